//! What the hash chain shows and what it does not.

use std::sync::Arc;

use crate::journal::backend::Backend;
use crate::journal::codec;
use crate::journal::memory::MemoryBackend;
use crate::journal::testing::{created, scope};
use crate::journal::{Journal, JournalError, JournalLimits, Store, verify};
use crate::model::ids::EntrySeq;
use crate::model::time::WallTime;

/// A journal of blocks of one entry each: the start, then the creations.
fn journal() -> Arc<MemoryBackend> {
    let backend = Arc::new(MemoryBackend::default());
    let mut store = Store::new(backend.clone(), JournalLimits::default()).expect("empty journal");
    store.begin(scope(1, 1), WallTime(1)).expect("begin");
    (1..=6).for_each(|n| drop(store.append(vec![created(n, n)]).expect("append")));
    backend
}

fn key(seq: u8) -> [u8; 9] {
    [b'e', 0, 0, 0, 0, 0, 0, 0, seq]
}

/// A block with another content under a checksum that fits.
fn forged(backend: &dyn Backend, seq: u8) -> Vec<u8> {
    let row = backend.get(&key(seq)).expect("read").expect("block");
    let frame = codec::decode_block(&key(seq), &row).expect("whole");
    let name = b"kube-proxy";
    let at = frame.payload.windows(name.len()).position(|window| window == name).expect("names the owner");
    let mut payload = frame.payload.to_vec();
    payload[at..at + name.len()].copy_from_slice(b"cni-plugin");
    let mut row = Vec::new();
    codec::encode_block(frame.previous, &payload, &mut row).expect("encode");
    row
}

fn damaged_key(backend: &dyn Backend) -> String {
    match verify(backend) {
        Err(JournalError::Damaged { key, .. }) => key,
        other => panic!("expected damage but got {other:?}"),
    }
}

#[test]
fn a_forged_entry_is_found_at_the_one_after_it() {
    let backend = journal();
    let report = verify(&*backend).expect("whole");
    assert_eq!((report.first, report.entries, report.blocks), (EntrySeq(1), 7, 7));
    let forged_one = edited_at(&backend, 4);
    assert_eq!(damaged_key(&forged_one), "e0000000000000005");
    assert!(Store::new(Arc::new(forged_one), JournalLimits::default()).is_err(), "a start notices it too");
    assert_eq!(damaged_key(&edited_at(&backend, 7)), "m", "of the last one the head knows the hash");
}

fn edited_at(backend: &MemoryBackend, seq: u8) -> MemoryBackend {
    super::edited(backend, &key(seq), Some(&forged(backend, seq)))
}

#[test]
fn a_block_that_is_missing_or_elsewhere_is_found() {
    let backend = journal();
    for (seq, found) in [(1, "e0000000000000002"), (4, "e0000000000000005"), (7, "m")] {
        assert_eq!(damaged_key(&super::edited(&*backend, &key(seq), None)), found);
    }
    let other = backend.get(&key(3)).expect("read").expect("block");
    assert_eq!(damaged_key(&super::edited(&*backend, &key(4), Some(&other))), "e0000000000000004");
    let head_of_less = journal_head(3);
    assert_eq!(damaged_key(&super::edited(&*backend, b"m", Some(&head_of_less))), "m");
}

/// The head of the same journal when it had fewer creations.
fn journal_head(creations: u64) -> Vec<u8> {
    let backend = Arc::new(MemoryBackend::default());
    let mut store = Store::new(backend.clone(), JournalLimits::default()).expect("empty journal");
    store.begin(scope(1, 1), WallTime(1)).expect("begin");
    (1..=creations).for_each(|n| drop(store.append(vec![created(n, n)]).expect("append")));
    backend.get(b"m").expect("read").expect("head")
}

#[test]
fn equal_histories_have_equal_tips_and_a_noted_tip_shows_a_rewritten_one() {
    let tip = verify(&*journal()).expect("whole").tip;
    assert_eq!(verify(&*journal()).expect("whole").tip, tip);
    let backend = Arc::new(MemoryBackend::default());
    let mut store = Store::new(backend.clone(), JournalLimits::default()).expect("empty journal");
    store.begin(scope(1, 1), WallTime(1)).expect("begin");
    for n in 1..=6 {
        let handle = if n == 2 { 99 } else { n };
        store.append(vec![created(n, handle)]).expect("append");
    }
    let rewritten = verify(&*backend).expect("a history written anew as a whole is whole");
    assert_ne!(rewritten.tip, tip);
}
