//! Boots and network namespaces.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::journal::memory::MemoryBackend;
use crate::journal::testing::{created, deed, path_snapshot, path_subject, removed, rule_subject, scope};
use crate::journal::{Journal, JournalLimits, ObjectFilter, Read, Store};
use crate::model::change::{Change, ChangeKind};
use crate::model::ids::ObjectId;
use crate::model::object::Object;
use crate::model::time::WallTime;

fn file(object: u64) -> Change {
    Change {
        object: ObjectId(object),
        kind: ChangeKind::Found,
        subject: path_subject(object),
        after: Some(path_snapshot(object)),
        deed: deed(1, "cni/flannel", None),
    }
}

fn visited(store: &dyn Read, filter: &ObjectFilter) -> Vec<Object> {
    let mut objects = Vec::new();
    store
        .visit(filter, &mut |object| {
            objects.push(object);
            ControlFlow::Continue(())
        })
        .expect("visit");
    objects
}

fn ids(store: &dyn Read, filter: &ObjectFilter) -> Vec<u64> {
    visited(store, filter).iter().map(|object| object.id.0).collect()
}

#[test]
fn kernel_objects_end_with_their_boot_and_files_do_not() {
    let backend = Arc::new(MemoryBackend::default());
    let mut store = Store::new(backend.clone(), JournalLimits::default()).expect("empty journal");
    store.begin(scope(1, 1), WallTime(10)).expect("begin");
    store.append(vec![created(1, 16), file(2)]).expect("append");
    store.begin(scope(2, 9), WallTime(500)).expect("begin after a reboot");
    for store in [&store, &Store::new(backend, JournalLimits::default()).expect("open again")] {
        assert_eq!(ids(store, &ObjectFilter::default()), [2]);
        assert_eq!(ids(store, &ObjectFilter { scope: Some(scope(1, 1)), ..ObjectFilter::default() }), [2]);
        assert_eq!(store.live(&scope(1, 1), &rule_subject(16)).expect("read"), None);
        assert_eq!(store.live(&scope(2, 9), &rule_subject(16)).expect("read"), None);
        assert_eq!(
            store.live(&scope(2, 9), &path_subject(2)).expect("read").map(|object| object.id),
            Some(ObjectId(2))
        );
        let ended = store.object(ObjectId(1)).expect("read").expect("kept");
        let end = ended.removed.clone().expect("gone with its boot");
        assert_eq!((end.time, end.attribution.owner().as_str()), (WallTime(500), "kernel"));
        assert_eq!(visited(store, &ObjectFilter { include_removed: true, ..ObjectFilter::default() })[0], ended);
        let stats = store.stats().expect("stats");
        assert_eq!((stats.live_objects, stats.removed_objects), (1, 1));
    }
    // the same name means another rule now
    store.append(vec![created(3, 16)]).expect("append");
    assert_eq!(store.live(&scope(2, 9), &rule_subject(16)).expect("read").map(|object| object.id), Some(ObjectId(3)));
}

#[test]
fn another_network_namespace_is_out_of_sight_until_the_tracker_is_back() {
    let mut store = Store::new(Arc::new(MemoryBackend::default()), JournalLimits::default()).expect("empty journal");
    store.begin(scope(1, 1), WallTime(10)).expect("begin");
    store.append(vec![created(1, 16)]).expect("append");
    store.begin(scope(1, 2), WallTime(20)).expect("begin elsewhere");
    store.append(vec![created(2, 16)]).expect("the name is another one there");
    assert_eq!(ids(&store, &ObjectFilter::default()), [2]);
    assert_eq!(ids(&store, &ObjectFilter { scope: Some(scope(1, 1)), ..ObjectFilter::default() }), [1]);
    assert_eq!(store.stats().expect("stats").live_objects, 1);
    store.begin(scope(1, 1), WallTime(30)).expect("begin at home");
    assert_eq!(ids(&store, &ObjectFilter::default()), [1]);
    store.append(vec![removed(1, 16, 40)]).expect("it can be changed again");
    assert_eq!(store.stats().expect("stats").live_objects, 0);
}

#[test]
fn a_boot_that_was_taken_for_over_can_come_back() {
    let mut store = Store::new(Arc::new(MemoryBackend::default()), JournalLimits::default()).expect("empty journal");
    store.begin(scope(1, 1), WallTime(10)).expect("begin");
    store.append(vec![created(1, 16)]).expect("append");
    store.begin(scope(2, 1), WallTime(20)).expect("begin");
    store.begin(scope(1, 1), WallTime(30)).expect("begin");
    assert_eq!(ids(&store, &ObjectFilter::default()), [1]);
    assert_eq!(store.live(&scope(1, 1), &rule_subject(16)).expect("read").map(|object| object.id), Some(ObjectId(1)));
}

#[test]
fn the_last_moment_alive_moves_with_heartbeats_only() {
    let backend = Arc::new(MemoryBackend::default());
    let mut store = Store::new(backend.clone(), JournalLimits::default()).expect("empty journal");
    assert_eq!((store.scope().expect("read"), store.last_alive().expect("read")), (None, None));
    store.begin(scope(1, 1), WallTime(10)).expect("begin");
    assert_eq!(store.last_alive().expect("read"), None, "nothing is known to be recorded yet");
    store.heartbeat(WallTime(15)).expect("heartbeat");
    store.begin(scope(1, 1), WallTime(90)).expect("begin");
    let store = Store::new(backend, JournalLimits::default()).expect("open again");
    assert_eq!(store.last_alive().expect("read"), Some(WallTime(15)));
    assert_eq!(store.reader().scope().expect("read"), Some(scope(1, 1)));
}
