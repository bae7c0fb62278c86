//! Retention.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use crate::journal::memory::MemoryBackend;
use crate::journal::testing::{actor, created, deed, removed, rule_snapshot, rule_subject, scope};
use crate::journal::{Journal, JournalLimits, ObjectFilter, Read, Store, verify};
use crate::model::change::{Change, ChangeKind};
use crate::model::ids::{ActorId, EntrySeq, ObjectId};
use crate::model::time::WallTime;

fn store(limits: JournalLimits) -> (Store, Arc<MemoryBackend>) {
    let backend = Arc::new(MemoryBackend::default());
    let mut store = Store::new(backend.clone(), limits).expect("empty journal");
    store.begin(scope(1, 1), WallTime(10)).expect("begin");
    (store, backend)
}

fn rewritten(object: u64, handle: u64, actor: Option<u64>) -> Change {
    Change {
        object: ObjectId(object),
        kind: ChangeKind::Rewritten,
        subject: rule_subject(handle),
        after: Some(rule_snapshot(handle)),
        deed: deed(2_000, "kubernetes/kube-proxy", actor),
    }
}

#[test]
fn the_oldest_entries_go_and_the_chain_goes_on_from_an_anchor() {
    let (mut store, backend) = store(JournalLimits { max_entries: 100, ..JournalLimits::default() });
    for round in 0..40 {
        store.append((1..=10).map(|n| created(round * 10 + n, round * 10 + n)).collect()).expect("append");
    }
    let before = verify(&*backend).expect("whole");
    assert_eq!((before.first, before.entries, before.anchor), (EntrySeq(1), 401, Default::default()));
    store.retain().expect("retain");
    let after = verify(&*backend).expect("whole from its anchor");
    assert!(after.entries <= 100 && after.entries > 80, "kept {}", after.entries);
    assert_ne!(after.anchor, before.anchor);
    assert_eq!(after.tip, before.tip);
    assert_eq!(after.first.0 + after.entries, 402);
    assert_eq!(store.entries(EntrySeq(0), 1).expect("read")[0].seq, after.first);
    assert_eq!(store.stats().expect("stats").live_objects, 400, "living objects stay");
    assert!(store.object(ObjectId(1)).expect("read").is_some());
    assert!(store.history(ObjectId(1)).expect("read").is_empty(), "its entry was dropped");
    assert_eq!(store.history(ObjectId(400)).expect("read").len(), 1);
    let store = Store::new(backend, JournalLimits::default()).expect("open again");
    assert_eq!(store.stats().expect("stats").entries, 401);
}

#[test]
fn bytes_are_bounded_too() {
    let (mut store, backend) = store(JournalLimits { max_bytes: 20_000, ..JournalLimits::default() });
    store.append((1..=200).map(|n| created(n, n)).collect()).expect("append");
    store.retain().expect("retain");
    let report = verify(&*backend).expect("whole");
    assert!(report.blocks <= 5 && report.blocks >= 3, "kept {} blocks", report.blocks);
}

#[test]
fn removed_objects_go_by_number_and_by_age() {
    let hour = Duration::from_secs(3600);
    let nanos = |hours: i64| hours * 3_600_000_000_000;
    let limits = JournalLimits { max_removed: 5, keep_removed: 2 * hour, ..JournalLimits::default() };
    let (mut store, backend) = store(limits);
    store.append((1..=20).map(|n| created(n, n)).collect()).expect("append");
    store.append((1..=10).map(|n| removed(n, n, nanos(n as i64))).collect()).expect("remove");
    store.retain().expect("retain");
    let kept = |store: &Store| (1..=20).filter(|n| store.object(ObjectId(*n)).expect("read").is_some()).count();
    assert_eq!(kept(&store), 15, "by number");
    store.heartbeat(WallTime(nanos(11))).expect("heartbeat");
    store.retain().expect("retain");
    assert_eq!(kept(&store), 12, "those removed in hours 6 to 8 are more than two hours gone at 11");
    let mut store = Store::new(backend, limits).expect("open again");
    store.heartbeat(WallTime(nanos(1_000))).expect("heartbeat");
    store.retain().expect("retain");
    assert_eq!((kept(&store), store.stats().expect("stats").live_objects), (10, 10), "the living stay");
}

#[test]
fn objects_of_a_boot_that_is_over_go_like_removed_ones() {
    for reopens in [false, true] {
        let limits = JournalLimits { max_removed: 3, ..JournalLimits::default() };
        let (mut store, backend) = store(limits);
        store.append((1..=8).map(|n| created(n, n)).collect()).expect("append");
        store.append(vec![removed(8, 8, 1)]).expect("remove");
        store.begin(scope(2, 1), WallTime(20)).expect("begin");
        if reopens {
            store = Store::new(backend, limits).expect("open again");
        }
        store.retain().expect("retain");
        let mut left = Vec::new();
        let all = ObjectFilter { include_removed: true, ..ObjectFilter::default() };
        store
            .visit(&all, &mut |object| {
                left.push(object.id.0);
                ControlFlow::Continue(())
            })
            .expect("visit");
        assert_eq!(left, [5, 6, 7], "the one removed before the reboot went first");
    }
}

#[test]
fn actors_stay_as_long_as_anything_names_them() {
    let (mut store, backend) = store(JournalLimits { max_entries: 10, max_removed: 0, ..JournalLimits::default() });
    let ids: Vec<ActorId> = (0..4).map(|n| store.intern(&actor(100 + n)).expect("intern")).collect();
    let by = |change: Change, actor: ActorId| Change { deed: deed(1, "docker", Some(actor.0)), ..change };
    store.append(vec![by(created(1, 1), ids[0]), by(created(2, 2), ids[1])]).expect("append");
    store.append(vec![by(removed(2, 2, 1), ids[1])]).expect("append");
    for handle in 0..40 {
        store.append(vec![rewritten(1, 100 + handle, Some(ids[2].0))]).expect("append");
    }
    for _ in 0..4 {
        store.retain().expect("retain");
    }
    let kept = |store: &Store| ids.iter().map(|id| store.actor(*id).expect("read").is_some()).collect::<Vec<_>>();
    assert_eq!(kept(&store), [true, false, true, false], "creator and rewriter of the living object stay");
    assert_ne!(store.intern(&actor(101)).expect("intern"), ids[1], "numbers are not used again");
    assert_eq!(store.intern(&actor(100)).expect("intern"), ids[0]);
    let mut store = Store::new(backend, JournalLimits { max_entries: 1, ..JournalLimits::default() }).expect("open");
    store.retain().expect("retain");
    assert_eq!(kept(&store), [true, false, true, false]);
}

#[test]
fn retention_within_the_limits_writes_nothing() {
    let (mut store, backend) = store(JournalLimits::default());
    store.append((1..=20).map(|n| created(n, n)).collect()).expect("append");
    let tip = verify(&*backend).expect("whole");
    store.retain().expect("retain");
    assert_eq!(verify(&*backend).expect("whole"), tip);
}

#[test]
fn one_call_does_a_bounded_amount() {
    let (mut store, backend) = store(JournalLimits { max_entries: 1, max_removed: 0, ..JournalLimits::default() });
    for n in 1..=3_000 {
        store.append(vec![created(n, n), removed(n, n, 1)]).expect("append");
    }
    store.retain().expect("retain");
    assert_eq!(verify(&*backend).expect("whole").blocks, 3_001 - 2_048);
    assert_eq!(store.stats().expect("stats").removed_objects, 3_000 - 2_048);
    store.retain().expect("retain");
    assert_eq!(store.stats().expect("stats").removed_objects, 0);
    assert!(verify(&*backend).expect("whole").entries <= 1);
}
