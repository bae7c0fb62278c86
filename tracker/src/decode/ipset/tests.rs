//! Requests and listings, made up attribute by attribute.

use proptest::prelude::*;

use super::*;
use crate::decode::rtnl::attributes::push;
use crate::model::ids::IpSetName;
use crate::model::ipset::{IpSetOrder, IpSetVerb};

fn message(command: u8, attributes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(20 + attributes.len()).expect("short");
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend([command, SUBSYSTEM, 5, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend([2, 0, 0, 0]);
    bytes.extend(attributes);
    bytes
}

fn named(pairs: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    pairs.iter().for_each(|(kind, value)| push(&mut bytes, *kind, value));
    bytes
}

fn member_data(address: [u8; 4]) -> Vec<u8> {
    let nest = named(&[(1 | 0x4000, &address)]);
    named(&[(1 | 0x8000, &nest), (9, &[0, 0, 0, 1])])
}

fn whole(command: u8, attributes: &[(u16, &[u8])]) -> Vec<IpSetOrder> {
    let bytes = message(command, &named(attributes));
    orders(&bytes, bytes.len() as u64)
}

#[test]
fn requests_say_what_they_ask_for() {
    let [swap] = whole(6, &[(1, &[7]), (2, b"a\0"), (3, b"b\0")]).try_into().expect("one order");
    assert_eq!((swap.verb, swap.set, swap.other), (IpSetVerb::Swap, Some("a".into()), Some("b".into())));
    let [flush] = whole(4, &[(1, &[7])]).try_into().expect("one order");
    assert_eq!((flush.verb, flush.set, flush.is_cut), (IpSetVerb::Flush, None, false));
    let create = whole(2, &[(1, &[7]), (2, b"a\0"), (3, b"hash:ip\0")]);
    assert_eq!(create[0].other, None, "the type is no second set");
    assert_eq!(whole(7, &[(1, &[7])]), [], "a listing changes nothing");
}

#[test]
fn a_request_that_was_cut_says_so() {
    let list = named(&[(7 | 0x8000, &member_data([10, 0, 0, 1])), (7 | 0x8000, &member_data([10, 0, 0, 2]))]);
    let bytes = message(9, &named(&[(1, &[7]), (2, b"a\0"), (8 | 0x8000, &list)]));
    let [add] = orders(&bytes, bytes.len() as u64).try_into().expect("one order");
    assert!(!add.is_cut && add.members.len() == 2, "{add:?}");
    let ip = add.members[1].parts.clone().expect("one member").ip;
    assert_eq!(ip, Some("10.0.0.2".parse().expect("an address")));
    let [cut] = orders(&bytes[..bytes.len() - 8], bytes.len() as u64).try_into().expect("one order");
    assert!(cut.is_cut && cut.members.len() == 1, "{cut:?}");
    let more = orders(&bytes, bytes.len() as u64 + 40);
    assert_eq!(more.last().map(|order| order.verb), Some(IpSetVerb::Anything));
}

#[test]
fn a_listing_is_put_together_of_its_messages() {
    let reference = 3_u32.to_be_bytes();
    let settings =
        named(&[(19, &65_536_u32.to_be_bytes()), (17, &[1, 2, 3, 4]), (25, &reference), (6, &[0, 0, 1, 44])]);
    let first = named(&[(7 | 0x8000, &member_data([10, 0, 0, 1]))]);
    let second = named(&[(7 | 0x8000, &member_data([10, 0, 0, 2]))]);
    let mut listing = Listing::default();
    let head: &[(u16, &[u8])] = &[
        (1, &[7]),
        (2, b"a\0"),
        (3, b"hash:ip\0"),
        (4, &[5]),
        (5, &[2]),
        (11, &[0, 9]),
        (7 | 0x8000, &settings),
        (8 | 0x8000, &first),
    ];
    listing.add_attributes(&named(head)).expect("understood");
    listing.add_attributes(&named(&[(1, &[7]), (2, b"a\0"), (8 | 0x8000, &second)])).expect("understood");
    let [set] = listing.sets.as_slice() else { panic!("{listing:?}") };
    assert_eq!((set.name.clone(), set.header.index, set.header.references), (IpSetName::from("a"), Some(9), 3));
    assert_eq!(set.header.seed, Some(0x0102_0304));
    assert_eq!(set.header.options, "family inet maxelem 65536 timeout 300");
    assert_eq!(set.members.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["10.0.0.1", "10.0.0.2"]);
    assert!(listing.add_attributes(&named(&[(2, b"b\0"), (8 | 0x8000, &second)])).is_err(), "members of no set");
}

proptest! {
    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200), total in any::<u64>()) {
        let _ = orders(&bytes, total);
        let _ = Listing::default().add_attributes(&bytes);
        let framed = message(9, &bytes);
        let _ = orders(&framed, framed.len() as u64);
    }
}
