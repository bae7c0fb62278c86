//! Messages of traffic control as the kernel sends them, and arbitrary bytes.

use libc::{RTM_DELQDISC, RTM_NEWQDISC, RTM_NEWTCLASS};
use proptest::prelude::*;

use super::*;
use crate::decode::rtnl::objects;
use crate::model::subject::describe;

fn message(handle: u32, parent: u32, info: u32, kind: &str, options: &[u8]) -> Vec<u8> {
    let mut body = TrafficHeader { ifindex: 7, handle, parent, info }.emit();
    push(&mut body, TCA_KIND, format!("{kind}\0").as_bytes());
    push(&mut body, TCA_OPTIONS, options);
    body
}

/// What `kind` tells of the one object in `body`.
fn said(kind: u16, body: &[u8]) -> String {
    match objects(kind, body).expect("understood").as_slice() {
        [] => "nothing".to_owned(),
        [(subject, snapshot)] => describe(subject, snapshot),
        more => panic!("{more:?}"),
    }
}

fn digest(kind: u16, body: &[u8]) -> Digest {
    objects(kind, body).expect("understood")[0].1.digest()
}

#[test]
fn qdiscs_that_somebody_set_are_told_from_the_kernels_own() {
    assert_eq!(said(RTM_NEWQDISC, &message(0x8001_0000, 0xffff_ffff, 2, "tbf", &[])), "qdisc tbf 8001: dev #7 root");
    assert_eq!(
        said(RTM_NEWQDISC, &message(0xffff_0000, INGRESS, 1, "clsact", &[])),
        "qdisc clsact ffff: dev #7 ingress"
    );
    assert_eq!(said(RTM_NEWQDISC, &message(0, 0xffff_ffff, 2, "noqueue", &[])), "nothing");
    assert_eq!(
        said(RTM_DELQDISC, &message(0x14_0000, 0x1_0020, 1, "pfifo", &[])),
        "qdisc pfifo 14: dev #7 parent 1:20"
    );
}

#[test]
fn classes_that_come_with_their_qdisc_are_not_decoded() {
    assert_eq!(said(RTM_NEWTCLASS, &message(0x1_0010, 0xffff_ffff, 0, "htb", &[])), "tclass htb 1:10 dev #7");
    assert_eq!(said(RTM_NEWTCLASS, &message(0x8001_0001, 0x8001_0000, 0, "tbf", &[])), "nothing");
    assert_eq!(said(RTM_NEWTCLASS, &message(1, 0, 0, "mq", &[])), "nothing");
}

#[test]
fn filters_of_what_is_received_have_one_place() {
    let info = 10 << 16 | u32::from(0x0800_u16.to_be());
    let expected = "filter u32 dev #7 ingress pref 10 protocol ip handle 0x80000800";
    for parent in [0xffff_0000, INGRESS, FILTERS_IN] {
        assert_eq!(said(RTM_NEWTFILTER, &message(0x8000_0800, parent, info, "u32", &[])), expected);
    }
    let out = message(1, FILTERS_OUT, info, "bpf", &[]);
    assert_eq!(said(RTM_NEWTFILTER, &out), "filter bpf dev #7 egress pref 10 protocol ip handle 0x1");
    // a hash table of u32, what a listing begins the filters of a priority with, and a shared block
    assert_eq!(said(RTM_NEWTFILTER, &message(0x8000_0000, FILTERS_IN, info, "u32", &[])), "nothing");
    assert_eq!(said(RTM_NEWTFILTER, &message(0, FILTERS_IN, info, "bpf", &[])), "nothing");
    let mut block = message(1, FILTERS_IN, info, "bpf", &[]);
    block[4..8].fill(0xff);
    assert_eq!(said(RTM_NEWTFILTER, &block), "nothing");
    // gone with all of its priority
    assert!(said(RTM_DELTFILTER, &message(0, FILTERS_IN, info, "bpf", &[])).ends_with("handle 0x0"));
}

#[test]
fn counters_and_offload_state_are_no_content() {
    let filter = |id: u32, count: u8, action: &str| {
        let mut act = Vec::new();
        push(&mut act, TCA_ACT_KIND, action.as_bytes());
        push(&mut act, 4, &[count; 8]); // TCA_ACT_STATS
        let mut actions = Vec::new();
        push(&mut actions, 1, &act);
        let mut options = Vec::new();
        push(&mut options, 1, &actions);
        push(&mut options, 11, &id.to_ne_bytes()); // TCA_BPF_ID
        push(&mut options, 9, &[count; 4]); // TCA_BPF_FLAGS_GEN
        push(&mut options, TCA_BPF_NAME, b"cil_from_netdev\0");
        let mut body = message(1, FILTERS_IN, 1 << 16, "bpf", &options);
        push(&mut body, 7, &[count; 12]); // TCA_STATS2
        body
    };
    let of = |body: &[u8]| digest(RTM_NEWTFILTER, body);
    assert_eq!(of(&filter(5, 1, "gact")), of(&filter(5, 2, "gact")));
    assert_ne!(of(&filter(5, 1, "gact")), of(&filter(6, 1, "gact")), "another program");
    assert_ne!(of(&filter(5, 1, "gact")), of(&filter(5, 1, "mirred")), "another action");
    let decoded = objects(RTM_NEWTFILTER, &filter(5, 1, "gact")).expect("understood");
    let (_, Snapshot::Traffic(content)) = &decoded[0] else { panic!("{decoded:?}") };
    assert_eq!(content.name.as_deref(), Some("cil_from_netdev"));
    assert!(objects(RTM_NEWTFILTER, &content.message).is_some(), "what is kept decodes again");
    // `struct tc_htb_glob` ends with the packets that no class wanted
    let htb = |default: u32, direct: u32| {
        let mut options = Vec::new();
        let init: Vec<u8> = [3, 10, default, 0, direct].iter().flat_map(|number: &u32| number.to_ne_bytes()).collect();
        push(&mut options, 2, &init);
        digest(RTM_NEWQDISC, &message(0x1_0000, 0xffff_ffff, 2, "htb", &options))
    };
    assert_eq!(htb(10, 0), htb(10, 99));
    assert_ne!(htb(10, 0), htb(20, 0));
}

proptest! {
    #[test]
    fn any_bytes_are_answered(kind in 36_u16..47, body: Vec<u8>, tail: Vec<u8>) {
        drop(objects(kind, &body));
        let mut known = message(0x1_0000, FILTERS_IN, 0, "bpf", &tail);
        known.extend(body);
        drop(objects(kind, &known));
    }
}
