//! Answers and requests, made up attribute by attribute.

use proptest::prelude::*;

use super::*;
use crate::decode::rtnl::attributes::push;
use crate::model::ipvs::{IpvsOrder, IpvsVerb};

fn attributes(pairs: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    pairs.iter().for_each(|(kind, value)| push(&mut bytes, *kind, value));
    bytes
}

fn padded(address: [u8; 4]) -> Vec<u8> {
    let mut bytes = address.to_vec();
    bytes.resize(16, 0);
    bytes
}

/// A TCP service of 10.96.0.1:443, as ipvsadm and the kernel name it.
fn named_service() -> Vec<u8> {
    attributes(&[
        (attribute::SVC_AF, &2_u16.to_ne_bytes()),
        (attribute::SVC_PROTOCOL, &6_u16.to_ne_bytes()),
        (attribute::SVC_ADDR, &padded([10, 96, 0, 1])),
        (attribute::SVC_PORT, &443_u16.to_be_bytes()),
    ])
}

fn named_destination() -> Vec<u8> {
    attributes(&[
        (attribute::DEST_ADDR, &padded([10, 244, 0, 5])),
        (attribute::DEST_PORT, &8443_u16.to_be_bytes()),
        (attribute::DEST_FWD_METHOD, &0_u32.to_ne_bytes()),
        (attribute::DEST_WEIGHT, &7_u32.to_ne_bytes()),
        (attribute::DEST_U_THRESH, &9_u32.to_ne_bytes()),
        (attribute::DEST_L_THRESH, &3_u32.to_ne_bytes()),
    ])
}

fn message(kind: u16, command: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADERS + body.len()).expect("short");
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend([5, 0, 1, 0, 0, 0, 0, 0, 0, 0, command, VERSION, 0, 0]);
    bytes.extend(body);
    bytes
}

fn tcp() -> IpvsService {
    "tcp 10.96.0.1:443".parse().expect("a service")
}

#[test]
fn answers_say_what_a_service_was_made_with() {
    let mut inner = named_service();
    inner.extend(attributes(&[
        (attribute::SVC_SCHED_NAME, b"rr\0"),
        (attribute::SVC_FLAGS, &[3, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
        (attribute::SVC_TIMEOUT, &300_u32.to_ne_bytes()),
        (attribute::SVC_NETMASK, &[255, 255, 255, 255]),
        (10, &[0; 40]), // counters
    ]));
    let (found, settings) = service(&attributes(&[(attribute::SERVICE | 0x8000, &inner)])).expect("a service");
    assert_eq!(found, tcp());
    assert_eq!(settings.flags, 1, "that it is hashed is the kernel's own note");
    assert_eq!(settings.options(2), "-s rr -p 300");
    let (at, content) = destination(2, &attributes(&[(attribute::DEST, &named_destination())])).expect("one");
    assert_eq!(at.to_string(), "10.244.0.5:8443");
    assert_eq!(content.options(), "-m -w 7 -x 9 -y 3");
    let family = attributes(&[(2, b"IPVS\0"), (1, &37_u16.to_ne_bytes())]);
    assert_eq!(family_of(&family), Some((37, "IPVS".to_owned())));
}

#[test]
fn a_destination_may_be_of_the_other_family() {
    let inner = attributes(&[
        (attribute::DEST_ADDR, &[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        (attribute::DEST_PORT, &80_u16.to_be_bytes()),
        (attribute::DEST_FWD_METHOD, &2_u32.to_ne_bytes()),
        (attribute::DEST_WEIGHT, &1_u32.to_ne_bytes()),
        (attribute::DEST_U_THRESH, &0_u32.to_ne_bytes()),
        (attribute::DEST_L_THRESH, &0_u32.to_ne_bytes()),
        (attribute::DEST_ADDR_FAMILY, &10_u16.to_ne_bytes()),
        (attribute::DEST_TUN_TYPE, &[1]),
        (attribute::DEST_TUN_PORT, &6080_u16.to_be_bytes()),
    ]);
    let (at, content) = destination(2, &attributes(&[(attribute::DEST, &inner)])).expect("one");
    assert_eq!(at.to_string(), "[fd00::1]:80");
    assert_eq!(content.options(), "-i --tun-type gue --tun-port 6080 --tun-nocsum -w 1");
}

#[test]
fn requests_say_what_they_ask_for() {
    let one = |command: u8, body: &[u8]| {
        let bytes = message(37, command, body);
        orders(&bytes, bytes.len() as u64)
    };
    let both = attributes(&[(attribute::SERVICE, &named_service()), (attribute::DEST, &named_destination())]);
    let [add] = one(command::NEW_DEST, &both).try_into().expect("one order");
    assert_eq!(add.to_string(), "ipvs add destination tcp 10.96.0.1:443 10.244.0.5:8443");
    let [gone] = one(command::DEL_SERVICE, &both).try_into().expect("one order");
    assert_eq!(gone, IpvsOrder { verb: IpvsVerb::DelService, service: Some(tcp()), destination: None });
    let [flush] = one(command::FLUSH, &[]).try_into().expect("one order");
    assert_eq!((flush.verb, flush.service), (IpvsVerb::Flush, None));
    assert_eq!(one(command::GET_SERVICE, &both), [], "a question changes nothing");
    assert_eq!(one(command::NEW_DEST, &[]), [], "the kernel refuses what names nothing");
    let mark = attributes(&[(attribute::SVC_AF, &10_u16.to_ne_bytes()), (attribute::SVC_FWMARK, &7_u32.to_ne_bytes())]);
    let [mark] = one(command::SET_SERVICE, &attributes(&[(attribute::SERVICE, &mark)])).try_into().expect("one order");
    assert_eq!(mark.service.expect("a service").to_string(), "fwmark 7/ipv6");
}

#[test]
fn what_was_cut_may_be_anything() {
    let both = attributes(&[(attribute::SERVICE, &named_service()), (attribute::DEST, &named_destination())]);
    let bytes = message(37, command::NEW_DEST, &both);
    let cut = orders(&bytes[..bytes.len() - 8], bytes.len() as u64);
    assert_eq!(cut.iter().map(|order| order.verb).collect::<Vec<_>>(), [IpvsVerb::Anything]);
    let more = orders(&bytes, bytes.len() as u64 + 40);
    assert_eq!(more.last().map(|order| order.verb), Some(IpvsVerb::Anything));
    let other = [bytes.clone(), message(38, command::FLUSH, &[])].concat();
    assert_eq!(orders(&other, other.len() as u64).len(), 1, "messages to another family");
}

#[test]
fn options_of_sockets_say_the_same() {
    use tracker_ebpf::abi::sockopt::{IP_VS_SO_SET_ADDDEST, IP_VS_SO_SET_DEL, IP_VS_SO_SET_FLUSH};
    let mut value = vec![0; 68];
    value[..2].copy_from_slice(&6_u16.to_ne_bytes());
    value[4..8].copy_from_slice(&[10, 96, 0, 1]);
    value[8..10].copy_from_slice(&443_u16.to_be_bytes());
    value[44..48].copy_from_slice(&[10, 244, 0, 5]);
    value[48..50].copy_from_slice(&8443_u16.to_be_bytes());
    let add = sockopt_order(IP_VS_SO_SET_ADDDEST, &value).expect("an order");
    assert_eq!(add.to_string(), "ipvs add destination tcp 10.96.0.1:443 10.244.0.5:8443");
    assert_eq!(sockopt_order(IP_VS_SO_SET_DEL, &value[..44]).expect("an order").service, Some(tcp()));
    assert!(sockopt_order(IP_VS_SO_SET_ADDDEST, &value[..44]).is_none());
    assert_eq!(sockopt_order(IP_VS_SO_SET_FLUSH, &[]).expect("an order").verb, IpvsVerb::Flush);
    assert!(sockopt_order(64, &value).is_none());
    value[12..16].copy_from_slice(&7_u32.to_ne_bytes());
    assert_eq!(
        sockopt_order(IP_VS_SO_SET_DEL, &value).expect("an order").service.expect("one").to_string(),
        "fwmark 7"
    );
}

proptest! {
    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200), total in any::<u64>(), option in 1150..1165_u32) {
        let _ = orders(&bytes, total);
        let _ = (service(&bytes), destination(2, &bytes), family_of(&bytes), sockopt_order(option, &bytes));
        let framed = message(37, command::NEW_DEST, &bytes);
        let _ = orders(&framed, framed.len() as u64);
        let nested = attributes(&[(attribute::SERVICE, &bytes), (attribute::DEST, &bytes)]);
        let _ = (service(&nested), destination(10, &nested));
    }
}
