//! A full disk: an error, reads go on, and with space again the writer goes on from what is durable.

use std::fs::{self, File};
use std::io::{Read as _, Write};
use std::process::{Command, Stdio};

use crate::journal::sled::{SledBackend, SledOptions};
use crate::journal::testing::{created, rule_subject, scope};
use crate::journal::{Journal, JournalError, OpenOptions, Opened, Read, Store, open, verify};
use crate::model::ids::{EntrySeq, ObjectId};
use crate::model::time::WallTime;

/// Fills the disk that a directory is on, to the last block.
fn fill_disk(path: &str) {
    let mut file = File::create(path).expect("create");
    for size in [1 << 16, 1 << 12] {
        while file.write_all(&vec![7; size]).is_ok() {}
    }
}

fn append(store: &mut Store, count: u64) -> Result<(), JournalError> {
    let changes = (0..count)
        .map(|_| {
            let id = store.next_object().0;
            created(id, id)
        })
        .collect();
    store.append(changes).map(|_| ())
}

/// The process that writes to a small disk, in a mount namespace of its own.
#[test]
#[ignore = "is a process of the test below"]
fn writer() {
    let mut dir = String::new();
    std::io::stdin().read_to_string(&mut dir).expect("standard input");
    // nothing is asked of it when somebody runs all ignored tests
    if dir.is_empty() {
        return;
    }
    let sled = SledOptions { flush_every_ms: 50, ..SledOptions::default() };
    let Opened { mut store, .. } = open(&OpenOptions { sled, ..OpenOptions::new(&dir) }).expect("open");
    store.begin(scope(1, 1), WallTime(1)).expect("begin");
    append(&mut store, 500).expect("append");
    store.flush().expect("flush");
    let durable = store.stats().expect("stats").entries;
    let filler = format!("{dir}/filler");
    fill_disk(&filler);
    // whether it is the append that fails or the flush depends on when the store below writes
    let mut is_taken = false;
    let error = (0..1_000).find_map(|_| {
        let appended = append(&mut store, 50);
        is_taken = appended.is_ok();
        appended.and_then(|()| store.flush()).err()
    });
    let error = error.expect("the disk is full");
    assert!(matches!(error, JournalError::Store { .. }), "{error:?}");
    let mut rolled_back = 0;
    for _ in 0..3 {
        match append(&mut store, 1).expect_err("still full") {
            JournalError::RolledBack { .. } => rolled_back += 1,
            JournalError::Store { .. } => {}
            other => panic!("unexpected {other:?}"),
        }
        let found = store.reader().live(&scope(1, 1), &rule_subject(500)).expect("reads go on");
        assert_eq!(found.map(|object| object.id), Some(ObjectId(500)));
        store.entries(EntrySeq(0), usize::MAX).expect("reads go on");
    }
    assert_eq!(rolled_back, u32::from(is_taken), "said once of what had been taken, however often it is tried");
    fs::remove_file(filler).expect("make space");
    append(&mut store, 700).expect("append");
    store.flush().expect("flush");
    let entries = store.entries(EntrySeq(0), usize::MAX).expect("read").len() as u64;
    assert!(entries >= durable + 700, "{entries} of {durable} and 700");
    drop(store);
    let Opened { store, set_aside, lost_entries } = open(&OpenOptions::new(&dir)).expect("open");
    assert_eq!((set_aside, lost_entries), (None, 0));
    assert_eq!(store.stats().expect("stats").entries, entries);
    drop(store);
    let path = format!("{dir}/journal-000001");
    let backend = SledBackend::open(path.as_ref(), SledOptions::default()).expect("open the store below");
    println!("went on with {}", verify(&backend).expect("chain is whole").entries);
}

#[test]
fn a_full_disk_is_an_error_until_there_is_space_again() {
    let dir = tempfile::tempdir().expect("directory");
    let mut child = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c"])
        .arg("mount -t tmpfs -o size=32m netdeed-test \"$1\" && shift && exec \"$@\"")
        .arg("sh")
        .arg(dir.path())
        .arg(std::env::current_exe().expect("own path"))
        .args(["journal::store::tests::full::writer", "--exact", "--ignored", "--nocapture", "--test-threads", "1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start the writer: the test needs unshare(1) of util-linux");
    write!(child.stdin.take().expect("piped"), "{}", dir.path().display()).expect("tell the writer");
    let output = child.wait_with_output().expect("wait for the writer");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("went on with "), "the test needs user and mount namespaces\n{said}\n{errors}");
}
