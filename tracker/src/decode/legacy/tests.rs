//! Tables made by hand, and any bytes at all.

use proptest::prelude::*;

use super::*;
use crate::model::legacy::{LegacyContent, LegacyFamily, LegacyPolicy, LegacyTable};

/// An entry of an `ip` table with these matches and this target.
fn entry(parts: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let layout = Layout::of(LegacyFamily::Ip);
    let mut bytes = vec![0; layout.length];
    for (index, (name, info)) in parts.iter().enumerate() {
        if index + 1 == parts.len() {
            let at = u16::try_from(bytes.len()).expect("short").to_ne_bytes();
            bytes[layout.target_offset..layout.target_offset + 2].copy_from_slice(&at);
        }
        let info_bytes = info.len().next_multiple_of(8);
        let start = bytes.len();
        bytes.resize(start + 32 + info_bytes, 0);
        let size = u16::try_from(32 + info_bytes).expect("short").to_ne_bytes();
        bytes[start..start + 2].copy_from_slice(&size);
        bytes[start + 2..start + 2 + name.len()].copy_from_slice(name.as_bytes());
        bytes[start + 32..start + 32 + info.len()].copy_from_slice(info);
    }
    let next = u16::try_from(bytes.len()).expect("short").to_ne_bytes();
    bytes[layout.target_offset + 2..layout.target_offset + 4].copy_from_slice(&next);
    bytes
}

fn standard(verdict: i32) -> (&'static str, Vec<u8>) {
    ("", verdict.to_ne_bytes().to_vec())
}

fn error(name: &str) -> (&'static str, Vec<u8>) {
    let mut info = name.as_bytes().to_vec();
    info.resize(30, 0);
    ("ERROR", info)
}

/// `filter` with INPUT (policy DROP): a jump to `OWN`, a rule without a target; and `OWN` with one rule.
fn sample() -> (TableInfo, Vec<u8>) {
    // each entry is 112 + 40 bytes, that of an error 112 + 64
    let own_rule = 3 * 152 + 176;
    let mut comment = b"hi\0garbage".to_vec();
    comment.resize(256, 0);
    let entries = [
        entry(&[standard(own_rule)]),
        entry(&[standard(2 * 152)]),
        entry(&[standard(-1)]),
        entry(&[error("OWN")]),
        entry(&[("comment", comment), standard(-2)]),
        entry(&[standard(-5)]),
        entry(&[error("ERROR")]),
    ];
    let bytes: Vec<u8> = entries.concat();
    let info = TableInfo {
        valid_hooks: 2,
        hook_entry: vec![0; 5],
        underflow: vec![0, 2 * 152, 0, 0, 0],
        num_entries: 7,
        size: u32::try_from(bytes.len()).expect("short"),
    };
    (info, bytes)
}

fn read(info: &TableInfo, bytes: &[u8]) -> Result<LegacyContent, Malformed> {
    let parsed = parse(Layout::of(LegacyFamily::Ip), info, bytes)?;
    content(LegacyTable { family: LegacyFamily::Ip, name: "filter".into() }, &parsed, bytes)
}

#[test]
fn chains_rules_and_jumps_are_found() {
    let (info, bytes) = sample();
    let content = read(&info, &bytes).expect("a table");
    let chains: Vec<_> =
        content.chains.iter().map(|chain| (chain.name.as_str(), chain.policy, chain.rules.len())).collect();
    assert_eq!(chains, [("INPUT", Some(LegacyPolicy::Drop), 2), ("OWN", None, 1)]);
    let rules = &content.chains[0].rules;
    assert_eq!(rules[0].chain.as_ref().map(crate::model::ids::ChainName::as_str), Some("OWN"));
    assert_eq!(rules[1].chain, None);
    assert_ne!(rules[0].content, rules[1].content);
    assert_eq!(content.chains[1].rules[0].comment.as_deref(), Some("hi"));
}

#[test]
fn counters_and_the_kernels_notes_are_no_content() {
    let (info, bytes) = sample();
    let before = read(&info, &bytes).expect("a table");
    let mut counted = bytes.clone();
    counted[96..112].fill(7);
    counted[92..96].fill(2);
    let mut read_back = read(&info, &counted).expect("a table");
    assert!(read_back.chains[0].rules[0].is_marked && !before.chains[0].rules[0].is_marked);
    assert_ne!(read_back.chains[0].rules[0].counters, [0, 0]);
    read_back.chains[0].rules[0].is_marked = false;
    read_back.chains[0].rules[0].counters = [0, 0];
    assert_eq!(read_back, before);
    let mut other = bytes;
    other[0] = 10; // a source address
    assert_ne!(read(&info, &other).expect("a table"), before);
}

#[test]
fn what_a_program_hands_in_is_the_same_table() {
    let (info, bytes) = sample();
    let layout = Layout::of(LegacyFamily::Ip);
    let mut replacement = vec![0; layout.replacement_bytes()];
    replacement[..6].copy_from_slice(b"filter");
    let mut put = |at: usize, number: u32| replacement[at..at + 4].copy_from_slice(&number.to_ne_bytes());
    put(32, info.valid_hooks);
    put(36, info.num_entries);
    put(40, info.size);
    put(64 + 4, info.underflow[1]);
    replacement.extend_from_slice(&bytes);
    assert_eq!(layout.replacement_bytes(), 96);
    assert_eq!(super::replacement(LegacyFamily::Ip, &replacement), read(&info, &bytes));
}

/// What is done to a table.
type Damage = fn(&mut TableInfo, &mut Vec<u8>);

#[test]
fn what_the_kernel_would_not_have_is_refused() {
    let (info, bytes) = sample();
    let broken: [(&str, Damage); 6] = [
        ("cut", |_, bytes| bytes.truncate(400)),
        ("a jump into a rule", |_, bytes| bytes[112 + 32] ^= 8),
        ("no end", |_, bytes| bytes.truncate(bytes.len() - 176)),
        ("no policy", |info, _| info.underflow[1] = 0),
        ("another count", |info, _| info.num_entries = 6),
        ("another hook", |info, _| info.valid_hooks = 6),
    ];
    for (what, damage) in broken {
        let (mut info, mut bytes) = (info.clone(), bytes.clone());
        damage(&mut info, &mut bytes);
        assert!(read(&info, &bytes).is_err(), "{what}");
    }
}

proptest! {
    #[test]
    fn any_bytes_give_an_answer(damage in prop::collection::vec((0..1300_usize, any::<u8>()), 0..8), cut in 0..1400_usize) {
        let (info, mut bytes) = sample();
        for (at, byte) in damage {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        bytes.truncate(cut);
        let info = TableInfo { size: u32::try_from(bytes.len()).expect("short"), ..info };
        let _ = read(&info, &bytes);
        for family in LegacyFamily::ALL {
            let _ = replacement(family, &bytes);
            let _ = parts(Layout::of(family), &bytes);
        }
    }

    #[test]
    fn any_bytes_at_all_give_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        for family in LegacyFamily::ALL {
            let _ = replacement(family, &bytes);
            let _ = parts(Layout::of(family), &bytes);
        }
    }
}
