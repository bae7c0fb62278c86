//! A writer killed at any moment loses nothing it acknowledged, and nothing half done is seen afterwards.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read as _, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::journal::sled::SledBackend;
use crate::journal::testing::{created, rule_snapshot, rule_subject, scope};
use crate::journal::{Entry, Journal, ObjectFilter, OpenOptions, Opened, Read, Store, open, verify};
use crate::model::change::{Change, ChangeKind};
use crate::model::ids::{EntrySeq, ObjectId};
use crate::model::subject::Subject;
use crate::model::time::{BootTime, WallTime};

const KILLS: u64 = 20;

/// A generator of numbers that need not be good ones.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Stamps a batch into its changes: number and size.
fn stamp(changes: &mut [Change], batch: u64) {
    let size = changes.len() as u64;
    for change in changes {
        change.deed.time = WallTime(batch.cast_signed());
        change.deed.boot_time = BootTime(size);
    }
}

/// The process that is killed: appends batches, makes each durable, says so. Gets the directory on its standard input.
#[test]
#[ignore = "is a process of the test below"]
fn writer() {
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input).expect("standard input");
    // nothing is asked of it when somebody runs all ignored tests
    let Some((dir, seed)) = input.split_once(' ') else { return };
    let mut numbers = Numbers(seed.trim().parse().expect("seed"));
    let Opened { mut store, set_aside, lost_entries } = open(&OpenOptions::new(dir)).expect("open");
    assert_eq!((set_aside, lost_entries), (None, 0));
    store.begin(scope(1, 1), WallTime(1)).expect("begin");
    let mut live: BTreeMap<ObjectId, u64> = names(&store);
    let mut handle = store.stats().expect("stats").entries * 10;
    loop {
        let size = if numbers.below(8) == 0 { 1_000 } else { 1 + numbers.below(100) };
        let mut changes: Vec<Change> = (0..size)
            .map(|_| {
                handle += 1;
                step(&mut store, &mut live, handle, numbers.below(10))
            })
            .collect();
        let batch = store.stats().expect("stats").entries + 1;
        stamp(&mut changes, batch);
        let seqs = store.append(changes).expect("append");
        store.flush().expect("flush");
        let last = seqs.last().expect("not empty");
        // a pipe that is closed: the parent is done
        if writeln!(std::io::stdout(), "acknowledged {last}").is_err() {
            return;
        }
    }
}

fn step(store: &mut Store, live: &mut BTreeMap<ObjectId, u64>, handle: u64, choice: u64) -> Change {
    let oldest = live.first_key_value().map(|(id, handle)| (*id, *handle));
    match (choice, oldest) {
        (0..2, Some((id, old))) => {
            live.remove(&id);
            Change { kind: ChangeKind::Removed, after: None, ..created(id.0, old) }
        }
        (2..5, Some((id, _))) => {
            live.insert(id, handle);
            let (subject, after) = (rule_subject(handle), Some(rule_snapshot(handle)));
            Change { kind: ChangeKind::Rewritten, subject, after, ..created(id.0, handle) }
        }
        _ => {
            let id = store.next_object();
            live.insert(id, handle);
            created(id.0, handle)
        }
    }
}

/// The handles of living rules.
fn names(store: &dyn Read) -> BTreeMap<ObjectId, u64> {
    let mut names = BTreeMap::new();
    store
        .visit(&ObjectFilter::default(), &mut |object| {
            let Subject::Nft(nft) = &object.subject else { panic!("only rules are written") };
            let crate::model::nft::NftItem::Rule { handle, .. } = nft.item else { panic!("only rules are written") };
            names.insert(object.id, handle.0);
            ControlFlow::Continue(())
        })
        .expect("visit");
    names
}

fn spawn_writer(dir: &Path, seed: u64) -> Child {
    let mut child = Command::new(std::env::current_exe().expect("own path"))
        .args(["journal::store::tests::crash::writer", "--exact", "--ignored", "--nocapture", "--test-threads", "1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start the writer");
    let mut input = child.stdin.take().expect("piped");
    write!(input, "{} {seed}", dir.display()).expect("tell the writer");
    child
}

/// Lets the writer acknowledge some batches, kills it, and returns what it acknowledged last.
fn run_and_kill(dir: &Path, numbers: &mut Numbers) -> u64 {
    let mut child = spawn_writer(dir, numbers.below(1_000_000));
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut acknowledged = 0;
    let parse = |line: &str| line.strip_prefix("acknowledged ").and_then(|seq| seq.parse::<u64>().ok());
    for _ in 0..=numbers.below(6) {
        let seq = lines.by_ref().map(|line| line.expect("line")).find_map(|line| parse(&line));
        acknowledged = seq.expect("the writer goes on until it is killed");
    }
    // some moment in the midst of the next batch
    let (start, wait) = (Instant::now(), Duration::from_micros(numbers.below(40_000)));
    while start.elapsed() < wait {
        std::hint::spin_loop();
    }
    child.kill().expect("kill the writer");
    child.wait().expect("reap the writer");
    // what was written to the pipe before the kill counts as acknowledged
    lines.map_while(Result::ok).filter_map(|line| parse(&line)).last().unwrap_or(acknowledged)
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_half_done_is_seen() {
    let dir = tempfile::tempdir().expect("directory");
    let mut numbers = Numbers(20_260_504);
    let mut entries_before = 0;
    for kill in 0..KILLS {
        let acknowledged = run_and_kill(dir.path(), &mut numbers);
        let Opened { store, set_aside, lost_entries } = open(&OpenOptions::new(dir.path())).expect("open after a kill");
        assert_eq!((set_aside, lost_entries), (None, 0), "kill {kill}");
        let entries = store.entries(EntrySeq(0), usize::MAX).expect("all readable");
        assert!(entries.len() as u64 >= acknowledged, "kill {kill}: {} of {acknowledged}", entries.len());
        assert!(acknowledged > entries_before);
        entries_before = entries.len() as u64;
        assert!(entries.iter().zip(1..).all(|(entry, seq)| entry.seq == EntrySeq(seq)));
        check_batches_and_objects(&store, entries.into_iter().map(|entry| entry.entry));
        drop(store);
        let path = dir.path().join("journal-000001");
        let backend = SledBackend::open(&path, Default::default()).expect("open the store below");
        assert_eq!(verify(&backend).expect("chain is whole").entries, entries_before);
    }
}

fn check_batches_and_objects(store: &Store, entries: impl Iterator<Item = Entry>) {
    let mut batches: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
    let mut live: BTreeMap<ObjectId, Subject> = BTreeMap::new();
    for entry in entries {
        let Entry::Change(change) = entry else { continue };
        let (seen, _) = batches.entry(change.deed.time.0).or_insert((0, change.deed.boot_time.0));
        *seen += 1;
        match change.kind {
            ChangeKind::Removed => drop(live.remove(&change.object)),
            _ => drop(live.insert(change.object, change.subject)),
        }
    }
    for (batch, (seen, size)) in batches {
        assert_eq!(seen, size, "batch {batch} is there in part");
    }
    let mut found = BTreeMap::new();
    store
        .visit(&ObjectFilter::default(), &mut |object| {
            found.insert(object.id, object.subject);
            ControlFlow::Continue(())
        })
        .expect("visit");
    assert_eq!(found, live, "objects are what their entries say");
}
