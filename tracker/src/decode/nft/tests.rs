//! Messages as Linux 6.18 sent them.

use proptest::prelude::*;

use super::attribute::push_attribute;
use super::*;
use crate::model::ids::{ChainName, Generation, Handle, Tid};
use crate::model::nft::{
    BaseChain, ChainSnapshot, ElementSnapshot, Family, NftItem, NftSnapshot, NftSubject, RuleSnapshot, SetSnapshot,
    TableRef,
};
use crate::model::subject::{Snapshot, Subject};

/// `add rule ip t c ip saddr 10.0.0.0/8 counter jump d comment "hi"`.
#[rustfmt::skip]
const NEW_RULE: [u8; 260] = [
    // length 260, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, sequence number 6, portid 10084
    0x04, 0x01, 0, 0, 6, 10, 0, 0x0c, 6, 0, 0, 0, 0x64, 0x27, 0, 0,
    // family ip, version 0, low bits of generation 11
    2, 0, 0, 11,
    // NFTA_RULE_TABLE "t", NFTA_RULE_CHAIN "c", NFTA_RULE_HANDLE 4
    6, 0, 1, 0, b't', 0, 0, 0, 6, 0, 2, 0, b'c', 0, 0, 0, 12, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 4,
    // NFTA_RULE_EXPRESSIONS, 196 bytes
    0xc8, 0, 4, 0,
    // payload: to register 1, network header, offset 12, 1 byte
    0x34, 0, 1, 0, 12, 0, 1, 0, b'p', b'a', b'y', b'l', b'o', b'a', b'd', 0, 0x24, 0, 2, 0,
    8, 0, 1, 0, 0, 0, 0, 1, 8, 0, 2, 0, 0, 0, 0, 1, 8, 0, 3, 0, 0, 0, 0, 12, 8, 0, 4, 0, 0, 0, 0, 1,
    // cmp: register 1, equal, 0x0a
    0x2c, 0, 1, 0, 8, 0, 1, 0, b'c', b'm', b'p', 0, 0x20, 0, 2, 0,
    8, 0, 1, 0, 0, 0, 0, 1, 8, 0, 2, 0, 0, 0, 0, 0, 12, 0, 3, 0, 5, 0, 1, 0, 10, 0, 0, 0,
    // counter: 0 bytes, 0 packets
    0x2c, 0, 1, 0, 12, 0, 1, 0, b'c', b'o', b'u', b'n', b't', b'e', b'r', 0, 0x1c, 0, 2, 0,
    12, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    // immediate: verdict register, jump (-3) to "d"
    0x38, 0, 1, 0, 14, 0, 1, 0, b'i', b'm', b'm', b'e', b'd', b'i', b'a', b't', b'e', 0, 0, 0, 0x24, 0, 2, 0,
    8, 0, 1, 0, 0, 0, 0, 0, 24, 0, 2, 0, 20, 0, 2, 0, 8, 0, 1, 0, 255, 255, 255, 253, 6, 0, 2, 0, b'd', 0, 0, 0,
    // NFTA_RULE_USERDATA: type 0 (comment), length 3, "hi"
    9, 0, 7, 0, 0, 3, b'h', b'i', 0, 0, 0, 0,
];

/// Offset of the last byte of the counter's bytes in [`NEW_RULE`], and of the handle's.
const COUNTER_AT: usize = 175;
const HANDLE_AT: usize = 47;

/// `delete chain netdev n i { devices = { lo }; }`: devices only, the chain stays.
#[rustfmt::skip]
const DELETE_DEVICE: [u8; 124] = [
    // length 124, NFT_MSG_DELCHAIN, no flags, sequence number 2, some portid
    124, 0, 0, 0, 5, 10, 0, 0, 2, 0, 0, 0, 0x76, 0x93, 0xb4, 0x8f,
    // family netdev, low bits of generation 9
    5, 0, 0, 9,
    // NFTA_CHAIN_TABLE "n", NFTA_CHAIN_NAME "i", NFTA_CHAIN_HANDLE 1
    6, 0, 1, 0, b'n', 0, 0, 0, 6, 0, 3, 0, b'i', 0, 0, 0, 12, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1,
    // NFTA_CHAIN_HOOK: number 0, priority 0, NFTA_HOOK_DEVS { "lo" }, NFTA_HOOK_DEV "lo"
    40, 0, 4, 0, 8, 0, 1, 0, 0, 0, 0, 0, 8, 0, 2, 0, 0, 0, 0, 0,
    12, 0, 4, 0, 7, 0, 1, 0, b'l', b'o', 0, 0, 7, 0, 3, 0, b'l', b'o', 0, 0,
    // policy accept, type "filter", flags NFT_CHAIN_BASE, use count 1
    8, 0, 5, 0, 0, 0, 0, 1, 11, 0, 7, 0, b'f', b'i', b'l', b't', b'e', b'r', 0, 0,
    8, 0, 10, 0, 0, 0, 0, 1, 8, 0, 6, 0, 0, 0, 0, 1,
];

/// `NFT_MSG_NEWGEN` of generation 11 by thread 10084, "nft".
#[rustfmt::skip]
const NEW_GENERATION: [u8; 44] = [
    44, 0, 0, 0, 15, 10, 0, 0, 1, 0, 0, 0, 0x64, 0x27, 0, 0, 0, 0, 0, 11,
    8, 0, 1, 0, 0, 0, 0, 11, 8, 0, 2, 0, 0, 0, 0x27, 0x64, 8, 0, 3, 0, b'n', b'f', b't', 0,
];

/// `set s { type ipv4_addr; }` in `ip t`.
#[rustfmt::skip]
const NEW_SET: [u8; 112] = [
    112, 0, 0, 0, 9, 10, 0, 4, 4, 0, 0, 0, 0x64, 0x27, 0, 0, 2, 0, 0, 11,
    // table "t", name "s", NFTA_SET_HANDLE 3
    6, 0, 1, 0, b't', 0, 0, 0, 6, 0, 2, 0, b's', 0, 0, 0, 12, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 3,
    // key type 7, key length 4, userdata, an empty description
    8, 0, 4, 0, 0, 0, 0, 7, 8, 0, 5, 0, 0, 0, 0, 4, 10, 0, 13, 0, 0, 4, 2, 0, 0, 0, 0, 0, 4, 0, 9, 0,
    // NFTA_SET_TYPE, which 6.18 fills with an address; NFTA_SET_COUNT 1
    23, 0, 19, 0, b'0', b'x', b'f', b'f', b'f', b'f', b'f', b'f', b'f', b'f',
    b'8', b'2', b'5', b'0', b'7', b'f', b'4', b'0', 0, 0, 8, 0, 20, 0, 0, 0, 0, 1,
];

/// `add element ip t s { 1.2.3.4 }`.
#[rustfmt::skip]
const NEW_ELEMENT: [u8; 56] = [
    56, 0, 0, 0, 12, 10, 0, 4, 0, 0, 0, 0, 0x64, 0x27, 0, 0, 2, 0, 0, 11,
    6, 0, 1, 0, b't', 0, 0, 0, 6, 0, 2, 0, b's', 0, 0, 0,
    // NFTA_SET_ELEM_LIST_ELEMENTS { NFTA_LIST_ELEM { NFTA_SET_ELEM_KEY { NFTA_DATA_VALUE } } }
    20, 0, 3, 0, 16, 0, 1, 0, 12, 0, 1, 0, 8, 0, 1, 0, 1, 2, 3, 4,
];

fn decoded(datagram: &[u8]) -> Vec<Observation> {
    let mut out = Vec::new();
    let report = decode(datagram, &mut out);
    assert_eq!(report.undecoded, []);
    out
}

fn one(datagram: &[u8]) -> (TableRef, NftItem, Option<NftSnapshot>) {
    match decoded(datagram).pop() {
        Some(Observation::Nft { subject: Subject::Nft(NftSubject { table, item }), after }) => {
            let after = after.map(|after| match after {
                Snapshot::Nft(after) => after,
                other => panic!("expected an nf_tables snapshot but found {other:?}"),
            });
            (table, item, after)
        }
        other => panic!("expected an nf_tables object but found {other:?}"),
    }
}

fn reasons(datagram: &[u8]) -> Vec<Reason> {
    let mut out = Vec::new();
    let report = decode(datagram, &mut out);
    assert_eq!(out, []);
    report.undecoded.into_iter().map(|undecoded| undecoded.reason).collect()
}

/// A message of one type, in family `inet`, with some requester.
fn message(kind: u8, attributes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(20 + attributes.len()).expect("short");
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend([kind, 10, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 1]);
    bytes.extend_from_slice(attributes);
    bytes
}

fn attribute_list(list: &[(u16, &[u8])]) -> Vec<u8> {
    list.iter().fold(Vec::new(), |mut bytes, (kind, value)| {
        push_attribute(&mut bytes, *kind, value);
        bytes
    })
}

fn new_rule(datagram: &[u8]) -> RuleSnapshot {
    match one(datagram) {
        (_, _, Some(NftSnapshot::Rule(rule))) => rule,
        other => panic!("expected a rule but found {other:?}"),
    }
}

#[test]
fn a_rule() {
    let (table, item, _) = one(&NEW_RULE);
    assert_eq!(table, TableRef { family: Family::Ip, name: "t".into() });
    assert_eq!(item, NftItem::Rule { chain: "c".into(), handle: Handle(4) });
    let rule = new_rule(&NEW_RULE);
    assert_eq!(rule.expressions, NEW_RULE[52..248]);
    assert_eq!(rule.userdata, [0, 3, b'h', b'i', 0]);
    assert_eq!(rule.chains, [ChainName::from("d")]);
    assert_eq!((rule.sets.len(), rule.objects.len()), (0, 0));
    assert_eq!(rule.comment.as_deref(), Some("hi"));
}

#[test]
fn a_rules_digest_is_its_content_only() {
    let with = |at: usize, byte: u8| {
        let mut datagram = NEW_RULE;
        datagram[at] = byte;
        new_rule(&datagram).content
    };
    let digest = new_rule(&NEW_RULE).content;
    assert_eq!(with(COUNTER_AT, 9), digest, "counter");
    assert_ne!(
        new_rule(&{
            let mut other = NEW_RULE;
            other[COUNTER_AT] = 9;
            other
        })
        .expressions,
        new_rule(&NEW_RULE).expressions
    );
    assert_eq!(with(HANDLE_AT, 9), digest, "handle");
    let chain_at = NEW_RULE.iter().rposition(|byte| *byte == b'd').expect("there");
    assert_ne!(with(chain_at, b'e'), digest, "chain jumped to");
    let comment_at = NEW_RULE.iter().rposition(|byte| *byte == b'h').expect("there");
    assert_ne!(with(comment_at, b'H'), digest, "userdata");
}

#[test]
fn a_commits_end() {
    let [Observation::NftCommitted { generation, tid, comm }] = &decoded(&NEW_GENERATION)[..] else { panic!("one") };
    assert_eq!((*generation, *tid, comm.as_deref()), (Generation(11), Some(Tid(10084)), Some("nft")));
    let bare = decoded(&message(15, &attribute_list(&[(1, &[0, 0, 0, 5])])));
    assert_eq!(bare, [Observation::NftCommitted { generation: Generation(5), tid: None, comm: None }]);
}

#[test]
fn messages_of_one_datagram_keep_their_order_and_say_their_generation() {
    let mut out = Vec::new();
    let report = decode(&[&NEW_RULE[..], &NEW_ELEMENT, &NEW_GENERATION].concat(), &mut out);
    assert_eq!((report.decoded, report.generation_low, report.undecoded.len()), (3, Some(11), 0));
    assert!(matches!(
        &out[0],
        Observation::Nft { subject: Subject::Nft(NftSubject { item: NftItem::Rule { .. }, .. }), .. }
    ));
    assert!(matches!(out[2], Observation::NftCommitted { .. }));
}

#[test]
fn a_chain_and_the_deletion_of_its_device() {
    let mut added = DELETE_DEVICE;
    added[4] = 3; // NFT_MSG_NEWCHAIN
    let base = BaseChain { kind: "filter".to_owned(), hook: 0, priority: 0, policy: 1, device: Some("lo".to_owned()) };
    let chain = ChainSnapshot { handle: Handle(1), base: Some(base), flags: 1, userdata: Vec::new() };
    assert_eq!(one(&added).2, Some(NftSnapshot::Chain(chain)));
    let digest = one(&added).2.expect("added").digest();
    added[123] = 7; // use count
    assert_eq!(one(&added).2.expect("added").digest(), digest);
    assert_eq!(reasons(&DELETE_DEVICE), [Reason::DevicesDeleted]);
    // without the hook it is the whole chain
    let names = attribute_list(&[(1, b"n\0"), (3, b"i\0"), (2, &[0, 0, 0, 0, 0, 0, 0, 1])]);
    assert_eq!(one(&message(5, &names)).1, NftItem::Chain("i".into()));
    assert_eq!(one(&message(27, &names)).2, None, "destroy is a deletion");
}

#[test]
fn a_set_without_what_changes_by_itself() {
    let (_, item, after) = one(&NEW_SET);
    assert_eq!(item, NftItem::Set("s".into()));
    let attributes = NEW_SET[48..80].to_vec();
    assert_eq!(after, Some(NftSnapshot::Set(SetSnapshot { handle: Handle(3), flags: 0, attributes })));
}

#[test]
fn an_element_and_its_key() {
    let (_, item, after) = one(&NEW_ELEMENT);
    assert_eq!(item, NftItem::Element { set: "s".into(), key: vec![1, 2, 3, 4] });
    let Some(NftSnapshot::Element(ElementSnapshot { attributes, chains, has_timeout, content })) = after else {
        panic!("an element")
    };
    assert_eq!((&attributes[..], chains.len(), has_timeout), (&NEW_ELEMENT[44..], 0, false));
    let element = |extra: &[(u16, &[u8])]| {
        let mut element = attribute_list(&[(1, &attribute_list(&[(1, &[1, 2, 3, 4])]))]);
        element.extend(attribute_list(extra));
        let list = attribute_list(&[(1, b"t\0"), (2, b"s\0"), (3, &attribute_list(&[(1, &element)]))]);
        match one(&message(12, &list)) {
            (_, NftItem::Element { key, .. }, Some(NftSnapshot::Element(element))) => (key, element),
            other => panic!("expected an element but found {other:?}"),
        }
    };
    let (_, timed) = element(&[(4, &[0; 8]), (5, &[1; 8])]);
    assert_eq!((timed.content, timed.has_timeout), (content, true));
    // NFTA_SET_ELEM_EXPR { "counter", 1 byte }
    let counting = attribute_list(&[(1, b"counter\0"), (2, &attribute_list(&[(1, &[0, 0, 0, 0, 0, 0, 0, 1])]))]);
    let counted = attribute_list(&[(1, b"counter\0"), (2, &attribute_list(&[(1, &[0, 0, 0, 0, 0, 0, 9, 9])]))]);
    assert_eq!(element(&[(7, &counting)]).1.content, element(&[(7, &counted)]).1.content);
    assert_ne!(element(&[(7, &counting)]).1.content, content);
    // NFTA_SET_ELEM_FLAGS: the end of an interval is another element than its start
    assert_eq!(element(&[(3, &[0, 0, 0, 1])]).0, [1, 2, 3, 4, 1]);
    // NFTA_SET_ELEM_KEY_END
    assert_eq!(element(&[(10, &attribute_list(&[(1, &[1, 2, 3, 9])]))]).0, [1, 2, 3, 4, 1, 2, 3, 9]);
}

#[test]
fn objects_without_what_they_count() {
    let object = |kind: u8, data: &[(u16, &[u8])]| {
        let data = attribute_list(data);
        let list: [(u16, &[u8]); 6] = [
            (1, b"t\0"),
            (2, b"o\0"),
            (3, &[0, 0, 0, kind]),
            (5, &[0, 0, 0, 1]),
            (4, &data),
            (6, &[0, 0, 0, 0, 0, 0, 0, 2]),
        ];
        let (_, item, after) = one(&message(18, &attribute_list(&list)));
        assert_eq!(item, NftItem::Object { kind: u32::from(kind), name: "o".into() });
        after.expect("added").digest()
    };
    assert_eq!(object(1, &[(1, &[1; 8])]), object(1, &[(1, &[2; 8])]), "counter");
    let quota = |bytes: u8, flags: u8, consumed: u8| {
        object(2, &[(1, &[bytes; 8]), (2, &[0, 0, 0, flags]), (4, &[consumed; 8])])
    };
    assert_eq!(quota(1, 0, 1), quota(1, 2, 9), "a quota used up");
    assert_ne!(quota(1, 0, 1), quota(2, 0, 1));
    assert_ne!(quota(1, 0, 1), quota(1, 1, 1), "over");
    // the kernel's own announcement of a quota used up: neither sequence number nor portid
    let mut announced = message(18, &[]);
    announced[8..16].fill(0);
    assert_eq!(decoded(&announced), []);
}

#[test]
fn flowtables() {
    let hook = attribute_list(&[(1, &[0; 4]), (2, &[0; 4]), (3, &attribute_list(&[(1, b"lo\0")]))]);
    let hook = attribute_list(&[(1, &[0; 4]), (2, &[0; 4]), (4, &attribute_list(&[(1, b"lo\0")])), (9, &hook)]);
    let list: [(u16, &[u8]); 5] =
        [(1, b"t\0"), (2, b"f\0"), (3, &hook), (4, &[0, 0, 0, 7]), (5, &[0, 0, 0, 0, 0, 0, 0, 2])];
    let (_, item, after) = one(&message(22, &attribute_list(&list)));
    assert_eq!(item, NftItem::Flowtable("f".into()));
    assert_eq!(after.expect("added").handle(), Some(Handle(2)));
    assert_eq!(one(&message(24, &attribute_list(&list[..2]))).2, None);
    assert_eq!(reasons(&message(24, &attribute_list(&list))), [Reason::DevicesDeleted]);
}

#[test]
fn what_is_not_understood_is_reported_whole() {
    let mut out = Vec::new();
    let unknown = message(99, &[]);
    let report = decode(&[&NEW_ELEMENT[..], &unknown, &NEW_GENERATION].concat(), &mut out);
    assert_eq!((report.decoded, out.len()), (2, 2));
    let expected = Undecoded { kind: 0x0a63, reason: Reason::UnknownType(0x0a63), bytes: unknown };
    assert_eq!(report.undecoded, [expected]);
    assert_eq!(reasons(&NEW_RULE[..100]), [Reason::Malformed("message header")], "cut short");
    assert_eq!(reasons(&message(8, &attribute_list(&[(1, b"t\0"), (2, b"c\0")]))), [Reason::Missing("rule handle")]);
    let mut family = NEW_RULE;
    family[16] = 99;
    assert_eq!(reasons(&family), [Reason::UnknownFamily(99)]);
    // one good and one broken element: nothing of the message is believed
    let good = attribute_list(&[(1, &attribute_list(&[(1, &[1, 2, 3, 4])]))]);
    let list = attribute_list(&[(1, &good), (1, &[1, 2])]);
    let elements = message(12, &attribute_list(&[(1, b"t\0"), (2, b"s\0"), (3, &list)]));
    assert_eq!(reasons(&elements), [Reason::Malformed("attribute header")]);
}

proptest! {
    #[test]
    fn any_bytes_give_a_report(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut out = Vec::new();
        let report = decode(&bytes, &mut out);
        prop_assert_eq!(report.decoded + report.undecoded.len() > 0, !bytes.is_empty());
    }

    #[test]
    fn any_attributes_give_a_report(kind in 0_u8..35, attributes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let report = decode(&message(kind, &attributes), &mut Vec::new());
        prop_assert_eq!(report.decoded + report.undecoded.len(), 1);
    }

    #[test]
    fn damaged_messages_give_a_report(
        which in 0_usize..4,
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let whole: [&[u8]; 4] = [&NEW_RULE, &DELETE_DEVICE, &NEW_SET, &NEW_ELEMENT];
        let mut bytes = whole[which].to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let report = decode(&bytes, &mut Vec::new());
        prop_assert!(report.decoded + report.undecoded.len() > 0);
    }
}
