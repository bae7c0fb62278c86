use proptest::prelude::*;

use super::super::attribute::push_attribute;
use super::*;

/// An expression as an element of a list.
fn element(name: &str, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let (mut data, mut expression, mut list) = (Vec::new(), Vec::new(), Vec::new());
    for (kind, value) in attributes {
        push_attribute(&mut data, *kind, value);
    }
    push_attribute(&mut expression, 1, format!("{name}\0").as_bytes());
    push_attribute(&mut expression, 2, &data);
    push_attribute(&mut list, 1, &expression);
    list
}

#[test]
fn an_unknown_expression_does_not_disturb_its_neighbours() {
    let mut list = element("counter", &[(1, &[0; 8]), (2, &[0, 0, 0, 0, 0, 0, 0, 9])]);
    list.extend(element("from the future", &[(1, b"xyz")]));
    list.extend(element("reject", &[(1, &[0, 0, 0, 1])]));
    let kinds: Vec<Kind<'_>> = decode(&list).map(|expression| expression.kind).collect();
    assert!(matches!(&kinds[0], Kind::Counter(counter) if counter.packets == Some(9)));
    assert_eq!(kinds[1], Kind::Unknown);
    assert!(matches!(&kinds[2], Kind::Reject(reject) if reject.kind == 1 && reject.code.is_none()));
    let future = decode(&list).nth(1).expect("three");
    assert_eq!((future.name, future.data.len()), (&b"from the future"[..], 8));
}

#[test]
fn an_unknown_attribute_is_kept_beside_the_known() {
    let list = element("meta", &[(1, &[0, 0, 0, 1]), (2, &[0, 0, 0, 6]), (9, b"new"), (300, b"newer")]);
    let meta = decode(&list).next().expect("one");
    assert!(matches!(&meta.kind, Kind::Meta(meta) if meta.key == 6 && meta.register == Some(1)));
    assert_eq!(meta.unknown, [(9, &b"new"[..]), (300, &b"newer"[..])]);
}

#[test]
fn attributes_of_the_wrong_size_make_the_expression_unknown() {
    let list = element("cmp", &[(1, &[0, 0, 1]), (2, &[0; 4]), (3, &[8, 0, 1, 0, 1, 2, 3, 4])]);
    assert_eq!(decode(&list).next().expect("one").kind, Kind::Unknown);
    // nothing but padding attributes and none of those needed
    let list = element("limit", &[(6, &[])]);
    assert_eq!(decode(&list).next().expect("one").kind, Kind::Unknown);
}

#[test]
fn bytes_that_are_no_list_end_it() {
    let mut list = element("notrack", &[]);
    list.extend([3, 0, 1, 0]);
    let kinds: Vec<_> = decode(&list).map(|expression| (expression.name, expression.kind)).collect();
    assert_eq!(kinds, [(&b"notrack"[..], Kind::Notrack), (&b""[..], Kind::Unknown)]);
}

proptest! {
    #[test]
    fn any_bytes_are_decoded(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for expression in decode(&bytes) {
            prop_assert!(expression.data.len() <= bytes.len());
        }
    }

    #[test]
    fn any_attributes_of_any_expression_are_decoded(
        name in prop::sample::select(vec!["payload", "cmp", "ct", "dynset", "objref", "match", "exthdr", "nat", "log"]),
        attributes in proptest::collection::vec((0_u16..14, proptest::collection::vec(any::<u8>(), 0..12)), 0..8),
    ) {
        let attributes: Vec<_> = attributes.iter().map(|(kind, value)| (*kind, &value[..])).collect();
        let list = element(name, &attributes);
        prop_assert_eq!(decode(&list).map(|expression| expression.name.to_vec()).next(), Some(name.as_bytes().to_vec()));
    }
}
