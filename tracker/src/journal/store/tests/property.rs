//! Random sequences of calls give the same answers over memory, over sled and from the naive model.

use std::ops::ControlFlow;
use std::sync::Arc;

use proptest::prelude::*;

use crate::journal::backend::Backend;
use crate::journal::memory::MemoryBackend;
use crate::journal::sled::{SledBackend, SledOptions};
use crate::journal::testing::{operation, path_subject, rule_subject, scope};
use crate::journal::{Entry, Journal, JournalError, JournalLimits, ObjectFilter, Read, RecordedEntry, Store, verify};
use crate::model::change::ChangeKind;
use crate::model::gap::{Gap, GapReason, Source};
use crate::model::ids::{EntrySeq, ObjectId};
use crate::model::object::Scope;
use crate::model::operation::OperationState;
use crate::model::owner::Owner;
use crate::model::subject::Class;
use crate::model::time::WallTime;

use super::model::{Act, Model};

/// Names things can have.
const NAMES: u8 = 12;

#[derive(Debug, Clone)]
enum Call {
    Append(Vec<Act>),
    Begin { boot: u8, netns: u32 },
    Gap,
    Operation { id: u64, is_done: bool },
    Heartbeat,
    Reopen,
}

fn act() -> impl Strategy<Value = Act> {
    let kind = prop_oneof![
        4 => Just(ChangeKind::Created),
        1 => Just(ChangeKind::Found),
        2 => Just(ChangeKind::Changed),
        2 => Just(ChangeKind::Rewritten),
        2 => Just(ChangeKind::Removed),
    ];
    (kind, any::<u8>(), 0..NAMES, prop::bool::weighted(0.3), prop::bool::weighted(0.97))
        .prop_map(|(kind, pick, name, is_path, has_content)| Act { kind, pick, name, is_path, has_content })
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        12 => prop::collection::vec(act(), 1..4).prop_map(Call::Append),
        2 => prop::collection::vec(act(), 4..30).prop_map(Call::Append),
        2 => (1..4_u8, 1..3_u32).prop_map(|(boot, netns)| Call::Begin { boot, netns }),
        1 => Just(Call::Gap),
        1 => (1..4_u64, any::<bool>()).prop_map(|(id, is_done)| Call::Operation { id, is_done }),
        1 => Just(Call::Heartbeat),
        1 => Just(Call::Reopen),
    ]
}

/// One store under test with its backend.
struct Subject {
    store: Store,
    backend: Arc<dyn Backend>,
}

impl Subject {
    fn new(backend: Arc<dyn Backend>) -> Self {
        Self { store: Store::new(backend.clone(), JournalLimits::default()).expect("empty journal"), backend }
    }

    fn append(&mut self, acts: &[Act], model: &Model, time: i64) -> Option<Vec<crate::model::change::Change>> {
        let known: Vec<ObjectId> = model.objects.iter().map(|object| object.id).collect();
        let first = known.iter().max().map_or(1, |id| id.0 + 1);
        let changes: Vec<_> =
            acts.iter().zip(first..).map(|(act, next)| act.change(&known, ObjectId(next), time)).collect();
        match self.store.append(changes.clone()) {
            Ok(seqs) => {
                assert_eq!(seqs.len(), changes.len());
                assert_eq!(seqs.first(), Some(&EntrySeq(model.entries.len() as u64 + 1)));
            }
            Err(JournalError::Inconsistent { .. }) => return None,
            Err(error) => panic!("unexpected {error:?}"),
        }
        Some(changes)
    }
}

fn gap(time: i64) -> Gap {
    Gap {
        from: WallTime(time),
        to: WallTime(time + 1),
        from_boot: None,
        reason: GapReason::RingFull { source: Source::Nftables, lost: time.unsigned_abs() },
        appeared: 0,
        vanished: 0,
        changed: 0,
    }
}

fn state(is_done: bool) -> OperationState {
    if is_done { OperationState::Done } else { OperationState::Begun }
}

/// Makes a call on all stores and the model; a change of what is refused must be refused by all.
fn make(call: &Call, time: i64, model: &mut Model, subjects: &mut [Subject]) {
    match call {
        Call::Append(acts) => {
            let before = model.clone();
            let results: Vec<_> = subjects.iter_mut().map(|subject| subject.append(acts, &before, time)).collect();
            let known: Vec<ObjectId> = before.objects.iter().map(|object| object.id).collect();
            let first = known.iter().max().map_or(1, |id| id.0 + 1);
            let changes: Vec<_> =
                acts.iter().zip(first..).map(|(act, next)| act.change(&known, ObjectId(next), time)).collect();
            let fits = model.append(&changes);
            for result in results {
                assert_eq!(result.is_some(), fits, "model and store disagree on {changes:#?}");
            }
        }
        Call::Begin { boot, netns } => {
            model.begin(scope(*boot, *netns), WallTime(time));
            subjects.iter_mut().for_each(|s| s.store.begin(scope(*boot, *netns), WallTime(time)).expect("begin"));
        }
        Call::Gap => {
            model.entries.push(Entry::Gap(gap(time)));
            subjects.iter_mut().for_each(|s| s.store.append_gap(gap(time)).expect("gap"));
        }
        Call::Operation { id, is_done } => {
            let operation = operation(*id, state(*is_done));
            model.entries.push(Entry::Operation(operation.clone()));
            subjects.iter_mut().for_each(|s| s.store.put_operation(&operation).expect("operation"));
        }
        Call::Heartbeat => {
            model.last_alive = Some(WallTime(time));
            subjects.iter_mut().for_each(|s| s.store.heartbeat(WallTime(time)).expect("heartbeat"));
        }
        Call::Reopen => subjects.iter_mut().for_each(|s| *s = Subject::new(s.backend.clone())),
    }
}

fn filters(scope: Option<Scope>) -> Vec<ObjectFilter> {
    let all = ObjectFilter::default();
    vec![
        all.clone(),
        ObjectFilter { include_removed: true, ..all.clone() },
        ObjectFilter { scope, ..all.clone() },
        ObjectFilter { classes: vec![Class::File], ..all.clone() },
        ObjectFilter {
            owner: Some(Owner::new("kubernetes").expect("valid owner")),
            include_removed: true,
            scope,
            ..all
        },
    ]
}

fn compare(model: &Model, subject: &Subject) {
    let reader = subject.store.reader();
    assert_eq!((reader.scope().expect("read"), reader.last_alive().expect("read")), (model.scope, model.last_alive));
    assert_eq!(reader.gaps().expect("read"), model.gaps());
    assert_eq!(reader.operations().expect("read"), model.operations());
    for filter in filters(model.scope) {
        let mut ids = Vec::new();
        reader
            .visit(&filter, &mut |object| {
                ids.push(object.id);
                ControlFlow::Continue(())
            })
            .expect("visit");
        assert_eq!(ids, model.visited(&filter), "visit with {filter:?}");
    }
    for known in &model.objects {
        let (mut expected, end) = model.object(known.id).expect("known");
        let found = reader.object(known.id).expect("read").expect("kept");
        if let Some(time) = end {
            assert_eq!(found.removed.as_ref().map(|deed| deed.time), Some(time));
            expected.removed.clone_from(&found.removed);
        }
        assert_eq!(found, expected);
        assert_eq!(reader.history(known.id).expect("read"), model.history(known.id));
    }
    for scope in [scope(1, 1), scope(1, 2), scope(2, 1), scope(3, 2)] {
        for name in 0..u64::from(NAMES) {
            for subject in [rule_subject(name), path_subject(name)] {
                let found = reader.live(&scope, &subject).expect("read").map(|object| object.id);
                assert_eq!(found, model.live(&scope, &subject), "{subject:?} in {scope:?}");
            }
        }
    }
    compare_entries(model, &*reader);
    let stats = reader.stats().expect("read");
    let live = model.visited(&ObjectFilter::default()).len() as u64;
    let total = model.objects.len() as u64;
    assert_eq!((stats.entries, stats.live_objects), (model.entries.len() as u64, live));
    assert_eq!(stats.removed_objects, total - live);
    let report = verify(&*subject.backend).expect("whole chain");
    assert_eq!(report.entries, model.entries.len() as u64);
}

fn compare_entries(model: &Model, reader: &dyn Read) {
    let all: Vec<RecordedEntry> = (1..)
        .zip(&model.entries)
        .map(|(seq, entry)| RecordedEntry { seq: EntrySeq(seq), entry: entry.clone() })
        .collect();
    let count = all.len();
    for (from, limit) in [(0, 1_000_000), (1, 3), (count / 2, 5), (count, 10), (count + 1, 10), (2, 0)] {
        let expected: Vec<_> = all.iter().filter(|e| e.seq.0 >= from as u64).take(limit).cloned().collect();
        assert_eq!(reader.entries(EntrySeq(from as u64), limit).expect("read"), expected, "{limit} from {from}");
    }
    for limit in [0, 1, 7, count + 3] {
        assert_eq!(reader.last_entries(limit).expect("read"), all[count.saturating_sub(limit)..], "last {limit}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_and_sled_answer_like_the_model(calls in prop::collection::vec(call(), 1..40)) {
        let dir = tempfile::tempdir().expect("directory");
        let sled = SledBackend::open(&dir.path().join("db"), SledOptions::default()).expect("sled");
        let mut model = Model::default();
        let mut subjects = [Subject::new(Arc::<MemoryBackend>::default()), Subject::new(Arc::new(sled))];
        let begin = Call::Begin { boot: 1, netns: 1 };
        for (call, time) in std::iter::once(&begin).chain(&calls).zip(1..) {
            make(call, time, &mut model, &mut subjects);
            // memory after every call, sled at the end
            compare(&model, &subjects[0]);
        }
        compare(&model, &subjects[1]);
    }
}

#[test]
fn the_sequences_reach_what_they_are_meant_to_reach() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut appended, mut refused, mut ended) = (0, 0, 0);
    for _ in 0..40 {
        let calls = prop::collection::vec(call(), 40).new_tree(&mut runner).expect("calls").current();
        let mut model = Model::default();
        model.begin(scope(1, 1), WallTime(0));
        for (call, time) in calls.iter().zip(1..) {
            let before = model.entries.len();
            make(call, time, &mut model, &mut []);
            match call {
                Call::Append(_) if model.entries.len() > before => appended += 1,
                Call::Append(_) => refused += 1,
                Call::Begin { .. } => ended += 1,
                _ => {}
            }
        }
    }
    assert!(appended > 300 && refused > 300 && ended > 50, "{appended} appended, {refused} refused, {ended} begun");
}
