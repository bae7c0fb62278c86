//! The format as it is on disk: a recorded sample, a hash over all kinds of values, and damage of every sort.

use proptest::prelude::*;

use super::*;
use crate::journal::entry::Entry;
use crate::journal::testing::{
    actor, created, deed, link_snapshot, operation, path_snapshot, path_subject, removed, rule_snapshot, scope,
};
use crate::model::change::{Change, ChangeKind};
use crate::model::gap::{Gap, GapReason, Source};
use crate::model::ids::{Ifindex, OperationId};
use crate::model::operation::OperationState;
use crate::model::owner::{Attribution, Evidence};
use crate::model::subject::Subject;
use crate::model::time::{BootTime, WallTime};

const KEY: &[u8] = b"e\0\0\0\0\0\0\0\x01";

/// A removal of `/etc/cni/net.d/7` as version 1 wrote it.
const RECORDED_V1: &str = "4e440100020044000000ad4b48b401070406102f6574632f636e692f6e65742e642f3700f02eb817010706646f636b65\
     7203020007e724060a6b7562652d70726f78790a6b7562652d70726f787901020102";

fn removal_of_a_path() -> Entry {
    let mut change = removed(7, 1, 3_000);
    change.subject = path_subject(7);
    change.deed.operation = Some(OperationId(2));
    Entry::Change(change)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal")).collect()
}

fn encoded<T: Serialize>(kind: RowKind, value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    encode(kind, value, &mut out).expect("encode");
    out
}

#[test]
fn a_value_of_version_1_is_still_read() {
    let entry: Entry = decode(RowKind::Block, KEY, &unhex(RECORDED_V1)).expect("readable");
    assert_eq!(entry, removal_of_a_path());
    assert_eq!(hex(&encoded(RowKind::Block, &entry)), RECORDED_V1, "and still written the same way");
}

#[test]
fn a_block_of_version_1_keeps_its_hash() {
    let mut out = Vec::new();
    let hash = encode_block(ChainHash([0xaa; 16]), b"entries", &mut out).expect("encode");
    assert_eq!(hash.to_string(), "ec922eb1c17ee61a5c14d3a0f93a903d");
    let frame = decode_block(KEY, &out).expect("readable");
    assert_eq!((frame.previous, frame.hash, frame.payload), (ChainHash([0xaa; 16]), hash, b"entries".as_slice()));
}

/// One value of every type that is stored, with every variant the journal itself depends on.
fn samples() -> Vec<Entry> {
    let kinds =
        [ChangeKind::Found, ChangeKind::Created, ChangeKind::Changed, ChangeKind::Rewritten, ChangeKind::Removed];
    let contents = [
        (Subject::Link(Ifindex(3)), link_snapshot("cni0")),
        (created(1, 1).subject, rule_snapshot(1)),
        (path_subject(1), path_snapshot(1)),
    ];
    let reasons = [
        GapReason::TrackerDown,
        GapReason::Overrun { source: Source::Rtnetlink },
        GapReason::RingFull { source: Source::Requests, lost: 9 },
        GapReason::GenerationSkipped { from: 1, to: 3 },
        GapReason::JournalLost,
    ];
    let states =
        [OperationState::Begun, OperationState::Done, OperationState::Failed { error: "device busy".to_owned() }];
    let mut samples = vec![Entry::Started { scope: scope(1, 4_026_531_840), time: WallTime(-5) }];
    for (kind, (subject, snapshot)) in kinds.into_iter().flat_map(|k| contents.iter().map(move |c| (k, c))) {
        let (subject, after) = (subject.clone(), (kind != ChangeKind::Removed).then(|| snapshot.clone()));
        samples.push(Entry::Change(Change { kind, subject, after, ..created(300, 1) }));
    }
    let mut unknown = created(1, 1);
    unknown.deed.attribution = Attribution::unknown(Evidence::Gap { reason: GapReason::TrackerDown });
    samples.push(Entry::Change(unknown));
    samples.extend(reasons.into_iter().map(|reason| {
        Entry::Gap(Gap {
            from: WallTime(1),
            to: WallTime(2),
            from_boot: Some(BootTime(3)),
            reason,
            appeared: 4,
            vanished: 5,
            changed: 6,
        })
    }));
    samples.extend(states.into_iter().map(|state| Entry::Operation(operation(1, state))));
    samples
}

/// When this fails the format changed: a version-1 journal would be read wrongly or not at all. If that is meant, raise
/// [`VERSION`], read the old one on, record a sample of it, and only then put the new hash here.
#[test]
fn the_format_of_version_1_did_not_change_by_accident() {
    let mut hasher = blake3::Hasher::new();
    for entry in samples() {
        let bytes = encoded(RowKind::Block, &entry);
        assert_eq!(decode::<Entry>(RowKind::Block, KEY, &bytes).expect("readable"), entry);
        hasher.update(&bytes);
    }
    hasher.update(&encoded(RowKind::Actor, &actor(5)));
    hasher.update(&encoded(RowKind::ObjectPage, &deed(1, "docker", None)));
    assert_eq!(
        (VERSION, hasher.finalize().to_hex().as_str()),
        (1, "fd2533732227fcbc5be1b2a1a79eed901ea665d8f66da76d5562dad91b86e40c")
    );
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let whole = encoded(RowKind::Gap, &removal_of_a_path());
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let result = decode::<Entry>(RowKind::Gap, KEY, &bytes);
        assert!(matches!(result, Err(JournalError::Damaged { .. })), "bit {bit}: {result:?}");
    }
    for length in 0..whole.len() {
        let result = decode::<Entry>(RowKind::Gap, KEY, &whole[..length]);
        assert!(matches!(result, Err(JournalError::Damaged { .. })), "{length} bytes: {result:?}");
    }
    let longer = [whole.as_slice(), &[0]].concat();
    assert!(decode::<Entry>(RowKind::Gap, KEY, &longer).is_err());
}

/// A frame with a right checksum, whatever its other fields say.
fn sealed(version: u16, kind: u8, length: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = [MAGIC.as_slice(), &version.to_le_bytes(), &[kind, 0], &length.to_le_bytes(), &[0; 4]].concat();
    frame.extend_from_slice(payload);
    let crc = checksum(&frame);
    frame[CRC_AT..HEADER].copy_from_slice(&crc.to_le_bytes());
    frame
}

#[test]
fn a_newer_version_is_told_from_damage() {
    let result = decode::<u8>(RowKind::Head, b"m", &sealed(2, 99, 77, b"anything"));
    assert!(matches!(result, Err(JournalError::Version { found: 2, known: 1 })), "{result:?}");
    let broken = |frame: &[u8], words: &str| match decode::<u8>(RowKind::Head, b"m", frame) {
        Err(JournalError::Damaged { key, reason }) => {
            assert_eq!(key, "m");
            assert!(reason.contains(words), "`{reason}` does not say `{words}`");
        }
        other => panic!("expected damage ({words}) but got {other:?}"),
    };
    broken(&sealed(0, 1, 1, b"a"), "version 0");
    broken(&sealed(1, 2, 1, b"a"), "expected a Head but found kind 2");
    broken(&sealed(1, 1, 2, b"a"), "expected 2 bytes");
    broken(&sealed(1, 1, 2, b"ab"), "after its value");
    broken(&sealed(1, 1, 0, b""), "no value of its kind");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0..10_u8) {
        // bare bytes, and bytes that pass all checks of the frame
        let length = u32::try_from(bytes.len()).expect("short");
        for frame in [bytes.clone(), sealed(1, kind, length, &bytes)] {
            drop(decode::<Entry>(RowKind::Block, KEY, &frame));
            drop(decode::<crate::model::process::Actor>(RowKind::Actor, KEY, &frame));
            drop(decode::<crate::model::object::Object>(RowKind::ObjectPage, KEY, &frame));
            drop(decode_block(KEY, &frame));
        }
    }
}
