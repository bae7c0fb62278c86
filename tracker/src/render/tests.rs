//! Whatever the bytes are, there is a line.

use proptest::prelude::*;

use super::{SetContent, Surroundings, iptables, nft};
use crate::decode::nft::attribute::push_attribute;
use crate::model::digest::DigestBuilder;
use crate::model::ids::Handle;
use crate::model::nft::{ElementSnapshot, Family, RuleSnapshot, SetSnapshot};

const NAMES: [&str; 38] = [
    "payload",
    "cmp",
    "meta",
    "immediate",
    "counter",
    "bitwise",
    "lookup",
    "match",
    "target",
    "ct",
    "range",
    "fib",
    "nat",
    "masq",
    "redir",
    "reject",
    "limit",
    "log",
    "queue",
    "quota",
    "objref",
    "dynset",
    "connlimit",
    "exthdr",
    "rt",
    "socket",
    "osf",
    "numgen",
    "hash",
    "byteorder",
    "tproxy",
    "dup",
    "fwd",
    "synproxy",
    "flow_offload",
    "last",
    "xfrm",
    "unheard of",
];

fn nested(attributes: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, value) in attributes {
        push_attribute(&mut bytes, *kind, value);
    }
    bytes
}

fn rule(expressions: Vec<u8>) -> RuleSnapshot {
    RuleSnapshot {
        expressions,
        compat: Vec::new(),
        userdata: vec![0],
        content: DigestBuilder::new("").finish(),
        chains: Vec::new(),
        sets: Vec::new(),
        objects: Vec::new(),
        comment: Some("c".to_owned()),
    }
}

fn expression(name: &str, attributes: &[(u16, Vec<u8>)]) -> Vec<u8> {
    nested(&[(1, nested(&[(1, format!("{name}\0").into_bytes()), (2, nested(attributes))]))])
}

/// Small numbers, so that registers and keys meet, and values of all lengths, nested or not.
fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        5 => (0_u32..24).prop_map(|number| number.to_be_bytes().to_vec()),
        1 => any::<u32>().prop_map(|number| number.to_be_bytes().to_vec()),
        2 => (0_u8..12).prop_map(|number| vec![number]),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
        1 => any::<u64>().prop_map(|number| number.to_be_bytes().to_vec()),
        3 => proptest::collection::vec(any::<u8>(), 0..18).prop_map(|bytes| nested(&[(1, bytes)])),
        1 => prop::sample::select(vec![&b"s\0"[..], b"s\x1b\0"]).prop_map(<[u8]>::to_vec),
        1 => prop::sample::select(vec![&b"c\0"[..], b"c\x1b[2J\0"]).prop_map(|chain| {
            nested(&[(2, nested(&[(1, vec![0xff, 0xff, 0xff, 0xfd]), (2, chain.to_vec())]))])
        }),
    ]
}

fn any_expression() -> impl Strategy<Value = Vec<u8>> {
    let attributes = proptest::collection::vec((1_u16..12, value()), 0..7);
    (prop::sample::select(NAMES.to_vec()), attributes).prop_map(|(name, attributes)| expression(name, &attributes))
}

/// One set under every name.
#[derive(Debug)]
struct OneSet(SetSnapshot, Vec<ElementSnapshot>);

impl Surroundings for OneSet {
    fn set(&self, _name: &str) -> Option<SetContent<'_>> {
        Some(SetContent { set: &self.0, elements: self.1.iter().collect() })
    }

    fn link(&self, ifindex: u32) -> Option<String> {
        Some(format!("link{ifindex}"))
    }
}

fn any_set() -> impl Strategy<Value = OneSet> {
    let number = |from: u32, to: u32| (from..to).prop_map(|number| number.to_be_bytes().to_vec());
    let element = (value(), value(), proptest::option::of(value()), number(0, 4));
    let elements = proptest::collection::vec(element, 0..4);
    (0_u32..256, number(0, 20), number(0, 70), number(0, 40), elements).prop_map(
        |(flags, key, kind, data, elements)| {
            let attributes = nested(&[(5, key), (6, kind), (7, data), (15, vec![0, 0, 0, 1])]);
            let elements = elements.into_iter().map(|(key, data, end, flags)| {
                let mut attributes = vec![(1, key), (2, data), (3, flags)];
                attributes.extend(end.map(|end| (10, end)));
                ElementSnapshot {
                    attributes: nested(&attributes),
                    chains: Vec::new(),
                    content: DigestBuilder::new("").finish(),
                    has_timeout: false,
                }
            });
            OneSet(SetSnapshot { handle: Handle(1), flags, attributes }, elements.collect())
        },
    )
}

/// Marked where inexact, on one line, without anything that could upset a terminal.
fn assert_sound(rendered: &super::Rendered) {
    assert!(rendered.is_exact || rendered.text.contains('['), "{rendered:?}");
    assert!(!rendered.text.chars().any(char::is_control), "{rendered:?}");
}

/// What nft writes is read off its sources (`queue_stmt_print`, `flow_offload_stmt_print`, `last_stmt_print`).
#[test]
fn statements_that_not_every_kernel_takes_are_written_as_nft_does() {
    let half = |number: u16| number.to_be_bytes().to_vec();
    let number = |number: u32| number.to_be_bytes().to_vec();
    let queue = |attributes: &[(u16, Vec<u8>)]| expression("queue", attributes);
    // a register, a modulus, one after the other, an offset
    let numgen = expression("numgen", &[(1, number(8)), (2, number(3)), (3, number(0)), (4, number(0))]);
    let computed = [numgen, queue(&[(4, number(8)), (3, half(1))])].concat();
    for (expressions, text) in [
        (queue(&[(1, half(0)), (2, half(1))]), "queue to 0"),
        (queue(&[(1, half(65535)), (2, half(1)), (3, half(1))]), "queue flags bypass to 65535"),
        (queue(&[(1, half(4)), (2, half(3)), (3, half(3))]), "queue flags bypass,fanout to 4-6"),
        (queue(&[(1, half(1)), (2, half(2)), (3, half(2))]), "queue flags fanout to 1-2"),
        (computed, "queue flags bypass to numgen inc mod 3"),
        (expression("flow_offload", &[(1, b"ft\0".to_vec())]), "flow add @ft"),
        (expression("last", &[(1, number(0))]), "last"),
        (expression("last", &[(1, number(1)), (2, 5_u64.to_be_bytes().to_vec())]), "last"),
    ] {
        let rendered = nft(Family::Inet, &RuleSnapshot { comment: None, ..rule(expressions) }, &());
        assert_eq!((rendered.text.as_str(), rendered.is_exact), (text, true));
    }
    let unheard = nft(Family::Ip, &rule(queue(&[(1, half(1)), (3, half(8))])), &());
    assert!(!unheard.is_exact && unheard.text.contains("[queue"), "{unheard:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_expressions_make_a_line(
        expressions in proptest::collection::vec(any_expression(), 0..6),
        set in any_set(),
        family in prop::sample::select(Family::ALL.to_vec()),
    ) {
        let rule = rule(expressions.concat());
        assert_sound(&nft(family, &rule, &set));
        assert_sound(&nft(family, &rule, &()));
        assert_sound(&iptables(family, "C", &rule, &set));
    }

    #[test]
    fn loads_compared_with_anything_make_a_line(
        load in (0_u32..4, 0_u32..42, 0_u32..20),
        mask in proptest::option::of(proptest::collection::vec(any::<u8>(), 1..17)),
        operation in 0_u32..7,
        constant in proptest::collection::vec(any::<u8>(), 0..18),
        first in prop::sample::select(vec![1_u8, 6, 17, 58, 132]),
        set in any_set(),
    ) {
        let number = |number: u32| number.to_be_bytes().to_vec();
        let mut list = expression("meta", &[(1, number(1)), (2, number(16))]);
        list.extend(expression("cmp", &[(1, number(1)), (2, number(0)), (3, nested(&[(1, vec![first])]))]));
        list.extend(expression("payload", &[(1, number(1)), (2, number(load.0)), (3, number(load.1)), (4, number(load.2))]));
        if let Some(mask) = mask {
            let xor = vec![0; mask.len()];
            list.extend(expression(
                "bitwise",
                &[(1, number(1)), (2, number(1)), (3, number(4)), (4, nested(&[(1, mask)])), (5, nested(&[(1, xor)]))],
            ));
        }
        let lookup = expression("lookup", &[(1, b"s\0".to_vec()), (2, number(1))]);
        list.extend(expression("cmp", &[(1, number(1)), (2, number(operation)), (3, nested(&[(1, constant)]))]));
        list.extend(lookup);
        for family in Family::ALL {
            let rule = rule(list.clone());
            assert_sound(&nft(family, &rule, &set));
            assert_sound(&iptables(family, "C", &rule, &set));
        }
    }

    #[test]
    fn any_structure_of_any_extension_makes_a_line(
        name in prop::sample::select(vec![
            "conntrack", "tcp", "sctp", "multiport", "string", "u32", "policy", "time", "hashlimit", "comment", "bpf",
            "rt", "hbh", "recent", "set", "DNAT", "SNAT", "NETMAP", "CT", "LOG", "NFQUEUE", "TPROXY", "physdev", "statistic",
        ]),
        revision in 0_u32..5,
        length in prop::sample::select(vec![8_usize, 16, 24, 32, 40, 48, 56, 64, 72, 80, 160, 168, 216, 232, 256, 280, 296, 304, 312, 528, 1984]),
        fill in proptest::collection::vec(any::<u8>(), 1..64),
    ) {
        let info: Vec<u8> = fill.iter().copied().cycle().take(length).collect();
        let class = if name.starts_with(char::is_uppercase) { "target" } else { "match" };
        let attributes = [(1, format!("{name}\0").into_bytes()), (2, revision.to_be_bytes().to_vec()), (3, info)];
        let rule = rule(expression(class, &attributes));
        assert_sound(&iptables(Family::Ip, "C", &rule, &()));
        assert_sound(&iptables(Family::Ip6, "C", &rule, &()));
    }
}
