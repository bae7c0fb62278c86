//! The reader against type information built here byte by byte.

use proptest::prelude::*;

use super::*;

/// Type information under construction.
#[derive(Default)]
struct Builder {
    types: Vec<u8>,
    strings: Vec<u8>,
}

const PACKED: u32 = 1 << 31;

impl Builder {
    fn new() -> Self {
        Self { types: Vec::new(), strings: vec![0] }
    }

    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let at = self.strings.len() as u32;
        self.strings.extend(text.as_bytes());
        self.strings.push(0);
        at
    }

    /// Adds a type: name, kind with flag and count, size or type, then what its kind adds.
    fn add(&mut self, name: &str, kind: u8, flags: u32, size_or_type: u32, tail: &[u32]) {
        let name = self.string(name);
        for word in [name, u32::from(kind) << 24 | flags, size_or_type].iter().chain(tail) {
            self.types.extend(word.to_ne_bytes());
        }
    }

    fn structure(&mut self, name: &str, kind: u8, flag: u32, size: u32, members: &[(&str, u32, u32)]) {
        let tail: Vec<u32> = members.iter().flat_map(|(name, id, offset)| [self.string(name), *id, *offset]).collect();
        self.add(name, kind, flag | members.len() as u32, size, &tail);
    }

    fn bytes(&self) -> Vec<u8> {
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let mut bytes = MAGIC.to_ne_bytes().to_vec();
        bytes.extend([1, 0]);
        for word in [24, 0, types, types, strings] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(&self.types);
        bytes.extend(&self.strings);
        bytes
    }
}

/// One of every kind, and a structure that nests them. Numbers are in the order of the calls, from 1.
fn sample() -> Builder {
    let mut b = Builder::new();
    b.add("unsigned int", INT, 0, 4, &[0x20]); // 1
    b.add("", PTR, 0, 1, &[]); // 2
    b.add("", ARRAY, 0, 0, &[1, 1, 4]); // 3: unsigned int[4]
    b.add("colour", ENUM, 1, 4, &[0, 7]); // 4
    b.add("later", FWD, 0, 0, &[]); // 5
    b.add("u32", TYPEDEF, 0, 1, &[]); // 6
    b.add("", VOLATILE, 0, 6, &[]); // 7
    b.add("", CONST, 0, 7, &[]); // 8
    b.add("", RESTRICT, 0, 2, &[]); // 9
    b.add("", FUNC_PROTO, 1, 1, &[0, 1]); // 10
    b.add("call", FUNC, 0, 10, &[]); // 11
    b.add("global", VAR, 0, 1, &[1]); // 12
    b.add(".data", DATASEC, 1, 4, &[12, 0, 4]); // 13
    b.add("double", FLOAT, 0, 8, &[]); // 14
    b.add("note", DECL_TAG, 0, 12, &[u32::MAX]); // 15
    b.add("user", TYPE_TAG, 0, 1, &[]); // 16
    b.add("wide", ENUM64, 1, 8, &[0, 1, 2]); // 17
    b.structure("", UNION, 0, 8, &[("first", 14, 0), ("second", 1, 0)]); // 18: unnamed
    b.structure("inner", STRUCT, 0, 16, &[("", 18, 0), ("tagged", 16, 64), ("inum", 8, 96)]); // 19
    b.add("inner_t", TYPEDEF, 0, 19, &[]); // 20
    b.structure(
        "outer",
        STRUCT,
        PACKED,
        64,
        &[
            ("pointer", 2, 0),
            ("array", 3, 64),
            ("", 18, 192),
            ("nested", 20, 256),
            ("bits", 1, 3 << 24 | 384),
            ("whole", 1, 416),
            ("enum", 17, 448),
            ("nothing", 5, 512),
        ],
    ); // 21
    b
}

#[test]
fn every_byte_of_the_sample_is_accounted_for() {
    let builder = sample();
    let btf = Btf::parse(builder.bytes()).expect("the sample is valid");
    assert_eq!(btf.len(), 21);
    let last = btf.record_at(btf.records[20]).expect("the last record");
    assert_eq!(last.tail + 8 * MEMBER_BYTES, 24 + builder.types.len(), "the last record ends where the section does");
    assert_eq!(btf.strings, 24 + builder.types.len()..builder.bytes().len());
}

#[test]
fn members_are_found_with_their_sizes() {
    let btf = Btf::parse(sample().bytes()).expect("the sample is valid");
    let member = |path| btf.member("outer", path).map(|found| (found.offset, found.size));
    assert_eq!(member("pointer"), Ok((0, 8)));
    assert_eq!(member("array"), Ok((8, 16)));
    assert_eq!(member("first"), Ok((24, 8)), "in an unnamed union");
    assert_eq!(member("second"), Ok((24, 4)));
    assert_eq!(member("nested"), Ok((32, 16)), "through a typedef");
    assert_eq!(member("nested.second"), Ok((32, 4)));
    assert_eq!(member("nested.tagged"), Ok((40, 4)));
    assert_eq!(member("nested.inum"), Ok((44, 4)), "through const volatile typedef");
    assert_eq!(member("whole"), Ok((52, 4)));
    assert_eq!(member("enum"), Ok((56, 8)));
    assert_eq!(member("nothing"), Ok((64, 0)), "an incomplete type has no size");
}

#[test]
fn what_cannot_be_trusted_is_refused_with_its_reason() {
    let mut builder = sample();
    builder.structure("twice", STRUCT, 0, 8, &[("a", 1, 0), ("b", 1, 32)]);
    builder.structure("twice", STRUCT, 0, 8, &[("a", 1, 0), ("b", 1, 0)]);
    let btf = Btf::parse(builder.bytes()).expect("the sample is valid");
    let text = |structure, path| btf.member(structure, path).map_err(|error| error.to_string());
    assert_eq!(text("outer", "bits"), Err("`outer.bits` is a bit-field".to_owned()));
    assert_eq!(text("outer", "absent"), Err("structure `outer` has no member `absent`".to_owned()));
    assert_eq!(text("outer", "pointer.inum"), Err("structure `outer` has no member `pointer.inum`".to_owned()));
    assert_eq!(text("nowhere", "a"), Err("no structure `nowhere`".to_owned()));
    assert_eq!(text("twice", "b"), Err("structures named `twice` differ in `b`".to_owned()));
    assert_eq!(text("twice", "a"), Ok(Member { offset: 0, size: 4 }), "they agree about this one");
    assert_eq!(
        btf.sized_member("outer", "whole", 8).map_err(|error| error.to_string()),
        Err("`outer.whole` has 4 bytes, expected 8".to_owned())
    );
}

#[test]
fn enumerators_have_their_values() {
    let mut builder = sample();
    let (red, blue) = (builder.string("RED"), builder.string("BLUE"));
    builder.add("paint", ENUM, 2, 4, &[red, 3, blue, 9]);
    let btf = Btf::parse(builder.bytes()).expect("the sample is valid");
    assert_eq!((btf.enumerator("paint", "BLUE"), btf.enumerator("paint", "RED")), (Some(9), Some(3)));
    assert_eq!((btf.enumerator("colour", "BLUE"), btf.enumerator("paint", "GREEN")), (None, None));
}

#[test]
fn circles_end() {
    let mut builder = Builder::new();
    builder.add("a", TYPEDEF, 0, 2, &[]);
    builder.add("b", TYPEDEF, 0, 1, &[]);
    builder.add("", ARRAY, 0, 0, &[3, 3, 2]);
    builder.structure("", UNION, 0, 4, &[("", 4, 0)]);
    builder.structure("s", STRUCT, 0, 4, &[("typedef", 1, 0), ("array", 3, 0), ("", 4, 0)]);
    let btf = Btf::parse(builder.bytes()).expect("well formed");
    assert_eq!(btf.member("s", "typedef").map(|found| found.size), Ok(0));
    assert_eq!(btf.member("s", "array").map(|found| found.size), Ok(0));
    assert!(btf.member("s", "deep").is_err());
}

#[test]
fn every_truncation_is_an_error_or_a_complete_prefix() {
    let bytes = sample().bytes();
    for length in 0..bytes.len() {
        assert!(Btf::parse(bytes[..length].to_vec()).is_err(), "{length} of {} bytes", bytes.len());
    }
    let wrong = |at: usize, value| {
        let mut bytes = bytes.clone();
        bytes[at] = value;
        Btf::parse(bytes).map(|btf| btf.len()).map_err(|error| error.to_string())
    };
    assert_eq!(wrong(2, 2), Err("expected version 1 but found 2".to_owned()));
    assert_eq!(wrong(24 + 7, 31), Err("type 1 has unknown kind 31".to_owned()));
    assert!(wrong(0, 0).is_err_and(|text| text.starts_with("expected magic number")));
}

proptest! {
    #[test]
    fn no_bytes_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), header: bool) {
        if header && bytes.len() >= 4 {
            bytes[..4].copy_from_slice(&[0x9f, 0xeb, 1, 0]);
        }
        if let Ok(btf) = Btf::parse(bytes) {
            let _ = btf.member("outer", "nested.inum");
            let _ = btf.enumerator("colour", "RED");
        }
    }

    #[test]
    fn no_damage_panics(at in 0_usize..2000, value: u8, more in 0_usize..2000) {
        let mut bytes = sample().bytes();
        let length = bytes.len();
        bytes[at % length] = value;
        bytes[more % length] ^= value;
        if let Ok(btf) = Btf::parse(bytes) {
            for path in ["pointer", "array", "nested.inum", "second", "bits", "nothing"] {
                let _ = btf.member("outer", path);
            }
        }
    }
}
