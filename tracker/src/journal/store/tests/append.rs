//! What an append does, and what it refuses.

use std::sync::Arc;

use crate::journal::backend::Backend as _;
use crate::journal::memory::MemoryBackend;
use crate::journal::testing::{actor, created, deed, operation, path_snapshot, path_subject, removed};
use crate::journal::testing::{rule_snapshot, rule_subject, scope};
use crate::journal::{Entry, Journal, JournalError, JournalLimits, Read, Store, verify};
use crate::model::change::{Change, ChangeKind};
use crate::model::gap::{Gap, GapReason};
use crate::model::ids::{EntrySeq, ObjectId};
use crate::model::operation::OperationState;
use crate::model::time::WallTime;

fn store() -> (Store, Arc<MemoryBackend>) {
    let backend = Arc::new(MemoryBackend::default());
    let mut store = Store::new(backend.clone(), JournalLimits::default()).expect("empty journal");
    store.begin(scope(1, 1), WallTime(10)).expect("begin");
    (store, backend)
}

fn change(kind: ChangeKind, object: u64, handle: u64, content: Option<u64>) -> Change {
    let deed = deed(2_000, "firewalld", Some(3));
    Change { object: ObjectId(object), kind, subject: rule_subject(handle), after: content.map(rule_snapshot), deed }
}

fn assert_refused(store: &mut Store, changes: Vec<Change>, object: u64, words: &str) {
    let before = (store.stats().expect("stats"), store.last_entries(99).expect("entries"));
    match store.append(changes) {
        Err(JournalError::Inconsistent { object: found, reason }) => {
            assert_eq!(found, ObjectId(object));
            assert!(reason.contains(words), "`{reason}` does not say `{words}`");
        }
        other => panic!("expected a refusal ({words}) but got {other:?}"),
    }
    assert_eq!(before, (store.stats().expect("stats"), store.last_entries(99).expect("entries")), "something was left");
}

#[test]
fn a_rewritten_rule_keeps_its_creator_and_moves_to_its_new_handle() {
    let (mut store, _) = store();
    store.append(vec![created(1, 16)]).expect("create");
    store.append(vec![change(ChangeKind::Rewritten, 1, 40, Some(16))]).expect("rewrite");
    let scope = scope(1, 1);
    assert_eq!(store.live(&scope, &rule_subject(16)).expect("read"), None);
    let object = store.live(&scope, &rule_subject(40)).expect("read").expect("lives under its new handle");
    assert_eq!(object.id, ObjectId(1));
    assert_eq!(object.owner().as_str(), "kubernetes/kube-proxy");
    assert_eq!(object.rewritten, Some(deed(2_000, "firewalld", Some(3))));
    assert_eq!(object.changed, None);
    let kinds: Vec<_> = store.history(ObjectId(1)).expect("history").iter().map(|c| (c.seq, c.change.kind)).collect();
    assert_eq!(kinds, [(EntrySeq(2), ChangeKind::Created), (EntrySeq(3), ChangeKind::Rewritten)]);
}

#[test]
fn a_change_keeps_the_creator_and_takes_the_new_content() {
    let (mut store, _) = store();
    store.append(vec![created(1, 16), change(ChangeKind::Changed, 1, 16, Some(99))]).expect("append");
    let object = store.object(ObjectId(1)).expect("read").expect("exists");
    assert_eq!(object.snapshot, rule_snapshot(99));
    assert_eq!(object.digest, rule_snapshot(99).digest());
    assert_eq!(object.owner().as_str(), "kubernetes/kube-proxy");
    assert_eq!(object.changed, Some(deed(2_000, "firewalld", Some(3))));
}

#[test]
fn a_removed_object_is_kept_but_names_nothing() {
    let (mut store, _) = store();
    store.append(vec![created(1, 16)]).expect("create");
    store.append(vec![removed(1, 16, 3_000)]).expect("remove");
    assert_eq!(store.live(&scope(1, 1), &rule_subject(16)).expect("read"), None);
    let object = store.object(ObjectId(1)).expect("read").expect("kept");
    assert_eq!(object.removed, Some(deed(3_000, "docker", Some(2))));
    let stats = store.stats().expect("stats");
    assert_eq!((stats.live_objects, stats.removed_objects), (0, 1));
    store.append(vec![created(2, 16)]).expect("the name is free again");
}

#[test]
fn what_does_not_fit_is_refused_whole() {
    let (mut store, _) = store();
    store.append(vec![created(1, 16), created(2, 17), removed(2, 17, 5)]).expect("append");
    let fine = || created(9, 90);
    assert_refused(&mut store, vec![fine(), created(1, 50)], 1, "exists already");
    assert_refused(&mut store, vec![fine(), created(9, 91)], 9, "exists already");
    assert_refused(&mut store, vec![fine(), created(3, 16)], 3, "same name");
    assert_refused(&mut store, vec![fine(), removed(7, 16, 5)], 7, "no such object");
    assert_refused(&mut store, vec![fine(), removed(2, 17, 5)], 2, "gone already");
    assert_refused(&mut store, vec![fine(), change(ChangeKind::Changed, 1, 16, None)], 1, "without content");
    assert_refused(&mut store, vec![fine(), change(ChangeKind::Created, 3, 30, None)], 3, "without content");
    let other_kind = Change {
        subject: path_subject(1),
        after: Some(path_snapshot(1)),
        ..change(ChangeKind::Changed, 1, 16, Some(1))
    };
    assert_refused(&mut store, vec![fine(), other_kind], 1, "another kind");
    store.begin(scope(1, 2), WallTime(20)).expect("begin elsewhere");
    assert_refused(&mut store, vec![fine(), removed(1, 16, 5)], 1, "another boot or network namespace");
}

#[test]
fn nothing_is_appended_before_the_tracker_began() {
    let mut store = Store::new(Arc::new(MemoryBackend::default()), JournalLimits::default()).expect("empty journal");
    assert_refused(&mut store, vec![created(1, 1)], 1, "did not begin");
}

#[test]
fn names_may_be_exchanged_within_one_append() {
    let (mut store, _) = store();
    store.append(vec![created(1, 16), created(2, 17)]).expect("create");
    let exchange = vec![change(ChangeKind::Changed, 1, 17, Some(1)), change(ChangeKind::Changed, 2, 16, Some(2))];
    store.append(exchange).expect("exchange");
    let id_of = |store: &Store, handle| store.live(&scope(1, 1), &rule_subject(handle)).expect("read").map(|o| o.id);
    assert_eq!((id_of(&store, 16), id_of(&store, 17)), (Some(ObjectId(2)), Some(ObjectId(1))));
    // passing through a name on the way to another leaves it with whoever has it
    let through = vec![change(ChangeKind::Changed, 1, 16, Some(1)), change(ChangeKind::Changed, 1, 18, Some(1))];
    store.append(through).expect("pass through");
    assert_eq!((id_of(&store, 16), id_of(&store, 18)), (Some(ObjectId(2)), Some(ObjectId(1))));
    // a name may be taken before its holder gives it up
    store.append(vec![created(3, 18), removed(1, 18, 9)]).expect("add, then delete");
    assert_eq!(id_of(&store, 18), Some(ObjectId(3)));
}

#[test]
fn equal_actors_get_one_number_also_after_a_restart() {
    let (mut store, backend) = store();
    let first = store.intern(&actor(100)).expect("intern");
    let second = store.intern(&actor(101)).expect("intern");
    assert_ne!(first, second);
    assert_eq!(store.intern(&actor(100)).expect("intern"), first);
    let mut store = Store::new(backend, JournalLimits::default()).expect("open again");
    assert_eq!(store.intern(&actor(101)).expect("intern"), second);
    assert_eq!(store.actor(first).expect("read"), Some(actor(100)));
    assert_eq!(store.actor(crate::model::ids::ActorId(77)).expect("read"), None);
    assert_eq!(store.intern(&actor(102)).expect("intern").0, second.0 + 1);
}

#[test]
fn numbers_given_out_never_come_back_once_used() {
    let (mut store, backend) = store();
    let (first, second) = (store.next_object(), store.next_object());
    assert_eq!((first, second), (ObjectId(1), ObjectId(2)));
    store.append(vec![created(2, 5)]).expect("append");
    let mut store = Store::new(backend, JournalLimits::default()).expect("open again");
    assert_eq!(store.next_object(), ObjectId(3));
    assert_eq!(store.next_object(), ObjectId(4));
    // a number left out may still be used
    store.append(vec![created(1, 6)]).expect("append");
    store.put_operation(&operation(5, OperationState::Begun)).expect("operation");
    assert_eq!(store.next_operation().0, 6);
}

#[test]
fn operations_and_gaps_are_entries_with_a_last_state() {
    let (mut store, backend) = store();
    store.put_operation(&operation(1, OperationState::Begun)).expect("begin it");
    store.put_operation(&operation(1, OperationState::Done)).expect("end it");
    let gap = Gap {
        from: WallTime(1),
        to: WallTime(2),
        from_boot: None,
        reason: GapReason::TrackerDown,
        appeared: 1,
        vanished: 2,
        changed: 3,
    };
    store.append_gap(gap.clone()).expect("gap");
    assert_eq!(store.operations().expect("read"), [operation(1, OperationState::Done)]);
    assert_eq!(store.gaps().expect("read"), std::slice::from_ref(&gap));
    let entries: Vec<_> = store.last_entries(3).expect("read").into_iter().map(|entry| entry.entry).collect();
    let states = [OperationState::Begun, OperationState::Done].map(|state| Entry::Operation(operation(1, state)));
    assert_eq!(entries, [states.as_slice(), &[Entry::Gap(gap)]].concat());
    assert_eq!(verify(&*backend).expect("whole"), store.verify().expect("whole"));
    assert_eq!(store.verify().expect("whole").entries, 4);
}

#[test]
fn a_row_that_went_missing_or_back_is_noticed_at_the_next_start() {
    let (mut store, backend) = store();
    store.append((1..=50).map(|id| created(id, id)).collect()).expect("append");
    let older = backend.get(&[b'o', 0, 0, 0, 0, 0, 0, 0, 0]).expect("read").expect("page of object 7");
    store.append(vec![removed(7, 7, 9)]).expect("remove");
    for (tag, number, value) in [(b'o', 0, Some(older)), (b'o', 1, None), (b'e', 2, None), (b'm', 0, None)] {
        let key: &[u8] = if tag == b'm' { b"m" } else { &[tag, 0, 0, 0, 0, 0, 0, 0, number] };
        let copy = super::edited(&*backend, key, value.as_deref());
        let result = Store::new(Arc::new(copy), JournalLimits::default()).map(|_| ());
        assert!(matches!(result, Err(JournalError::Damaged { .. })), "row {tag} {number}: {result:?}");
    }
}
