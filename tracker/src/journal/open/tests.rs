//! Tests of opening: locks, refusals of the system, damage.

mod damage;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::journal::codec::{self, RowKind};
use crate::journal::sled::{SledBackend, SledOptions};
use crate::journal::testing::{created, rule_subject, scope};
use crate::journal::{Journal, JournalError, OpenOptions, Opened, Read, open, open_read_only};
use crate::model::ids::ObjectId;
use crate::model::time::WallTime;

/// A journal with some objects in it.
fn make_journal(dir: &Path, objects: u64) {
    let Opened { mut store, set_aside, lost_entries } = open(&OpenOptions::new(dir)).expect("new journal");
    assert_eq!((set_aside, lost_entries), (None, 0));
    store.begin(scope(1, 1), WallTime(1)).expect("begin");
    for first in (1..=objects).step_by(50) {
        store.append((first..first + 50).map(|n| created(n, n)).collect()).expect("append");
    }
    store.flush().expect("flush");
}

fn error_of<T>(result: Result<T, JournalError>) -> JournalError {
    match result {
        Ok(_) => panic!("expected an error"),
        Err(error) => error,
    }
}

#[test]
fn a_new_journal_is_private_and_survives_a_restart() {
    let parent = tempfile::tempdir().expect("directory");
    let dir = parent.path().join("var/lib/netdeed");
    make_journal(&dir, 100);
    let mode = std::fs::metadata(&dir).expect("directory").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let Opened { store, set_aside, lost_entries } = open(&OpenOptions::new(&dir)).expect("open again");
    assert_eq!((set_aside, lost_entries), (None, 0));
    let found = store.live(&scope(1, 1), &rule_subject(7)).expect("read");
    assert_eq!(found.map(|object| object.id), Some(ObjectId(7)));
}

#[test]
fn a_journal_is_had_by_one_at_a_time_until_its_last_reader_is_gone() {
    let dir = tempfile::tempdir().expect("directory");
    make_journal(dir.path(), 50);
    let options = OpenOptions::new(dir.path());
    let opened = open(&options).expect("open");
    assert!(matches!(error_of(open(&options)), JournalError::InUse { .. }));
    let error = error_of(open_read_only(dir.path()));
    assert!(error.to_string().contains("in use by another process"), "{error}");
    let reader = opened.store.reader();
    drop(opened);
    assert!(matches!(error_of(open_read_only(dir.path())), JournalError::InUse { .. }));
    drop(reader);
    let reader = open_read_only(dir.path()).expect("free again");
    assert_eq!(reader.stats().expect("stats").live_objects, 50);
    assert!(matches!(error_of(open(&options)), JournalError::InUse { .. }));
}

#[test]
fn there_is_nothing_to_read_where_no_tracker_ever_was() {
    let dir = tempfile::tempdir().expect("directory");
    for dir in [dir.path().to_owned(), dir.path().join("none")] {
        assert!(matches!(error_of(open_read_only(&dir)), JournalError::Absent { .. }));
    }
    assert_eq!(std::fs::read_dir(dir.path()).expect("read").count(), 0, "reading made something");
}

#[test]
fn a_directory_the_system_refuses_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().expect("directory");
    let file = dir.path().join("file");
    std::fs::write(&file, b"").expect("write");
    let error = error_of(open(&OpenOptions::new(file.join("journal"))));
    assert!(matches!(error, JournalError::Directory { .. }), "{error:?}");
    assert!(error.to_string().contains("file/journal"), "{error}");
    // sysfs takes no directories, from root neither
    let error = error_of(open(&OpenOptions::new("/sys/kernel/netdeed-journal")));
    assert!(matches!(error, JournalError::NotWritable { .. }), "{error:?}");
    assert!(error.to_string().contains("read-write"), "{error}");
}

#[test]
fn a_journal_that_lost_its_end_says_how_much() {
    let dir = tempfile::tempdir().expect("directory");
    make_journal(dir.path(), 100);
    let copy = dir.path().join("journal-000001.copy");
    damage::copy_dir(&dir.path().join("journal-000001"), &copy);
    {
        let Opened { mut store, .. } = open(&OpenOptions::new(dir.path())).expect("open");
        store.append((101..=150).map(|n| created(n, n)).collect()).expect("append");
        store.flush().expect("flush");
    }
    // a disk that forgot what was written last
    std::fs::remove_dir_all(dir.path().join("journal-000001")).expect("remove");
    std::fs::rename(&copy, dir.path().join("journal-000001")).expect("rename");
    let Opened { mut store, set_aside, lost_entries } = open(&OpenOptions::new(dir.path())).expect("open");
    assert_eq!((set_aside, lost_entries), (None, 50));
    assert_eq!(store.stats().expect("stats").entries, 101);
    store.flush().expect("flush");
    drop(store);
    assert_eq!(open(&OpenOptions::new(dir.path())).expect("open").lost_entries, 0, "said once");
}

#[test]
fn a_journal_of_a_newer_program_is_left_alone() {
    let dir = tempfile::tempdir().expect("directory");
    make_journal(dir.path(), 50);
    {
        let backend = SledBackend::open(&dir.path().join("journal-000001"), SledOptions::default()).expect("open");
        let mut head = crate::journal::backend::Backend::get(&backend, b"m").expect("read").expect("head");
        head[2] = 2;
        let mut crc = crc32fast::Hasher::new();
        crc.update(&head[..10]);
        crc.update(&head[14..]);
        head[10..14].copy_from_slice(&crc.finalize().to_le_bytes());
        let mut batch = crate::journal::backend::Batch::default();
        let put = |out: &mut Vec<u8>| {
            out.extend_from_slice(&head);
            Ok(())
        };
        batch.put(b"m", put).expect("put");
        crate::journal::backend::Backend::apply(&backend, &batch).expect("write");
        assert!(codec::decode::<u8>(RowKind::Head, b"m", &head).is_err());
    }
    for _ in 0..2 {
        let error = error_of(open(&OpenOptions::new(dir.path())));
        assert!(matches!(error, JournalError::Version { found: 2, known: 1 }), "{error:?}");
    }
}
