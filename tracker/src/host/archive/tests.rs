//! Archives: what goes in comes out, bounded, whole or not there.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;
use crate::capture::scan::snapshot;
use crate::host::restore::restore;
use crate::model::path::{AbsPath, PathSnapshot};

const FIRST: OperationId = OperationId(1);

fn abs(path: &Path) -> AbsPath {
    AbsPath::new(path).expect("absolute")
}

fn see(path: &Path) -> (AbsPath, PathSnapshot) {
    let path = abs(path);
    let seen = snapshot(&path).expect("readable").expect("there");
    (path, seen)
}

#[test]
fn files_come_back_with_mode_owner_times_and_attributes() {
    let top = tempfile::tempdir().expect("temporary directory");
    let (dir, file, link) = (top.path().join("d"), top.path().join("d/f"), top.path().join("d/l"));
    std::fs::create_dir(&dir).expect("mkdir");
    std::fs::write(&file, "content").expect("write");
    std::os::unix::fs::symlink("/nowhere", &link).expect("symlink");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o4751)).expect("chmod");
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o750)).expect("chmod");
    let attribute = rustix::fs::setxattr(&file, "user.netdeed", b"value", rustix::fs::XattrFlags::empty());
    let before = std::fs::metadata(&file).expect("stat");
    let dir_before = std::fs::metadata(&dir).expect("stat");
    let seen = [see(&dir), see(&file), see(&link)];

    let store = ArchiveStore::new(top.path(), 1 << 20);
    store.write(FIRST, b"record", &seen).expect("archived");
    assert_eq!(store.record(FIRST).expect("there"), b"record");
    std::fs::remove_dir_all(&dir).expect("removed");

    let wanted: BTreeSet<AbsPath> = seen.iter().map(|(path, _)| path.clone()).collect();
    for (path, result) in restore(&store, FIRST, &wanted).expect("readable") {
        result.unwrap_or_else(|error| panic!("{path}: {error:?}"));
    }
    let after = std::fs::metadata(&file).expect("back");
    assert_eq!(std::fs::read_to_string(&file).expect("readable"), "content");
    assert_eq!(after.permissions().mode(), before.permissions().mode());
    assert_eq!((after.uid(), after.mtime(), after.mtime_nsec()), (before.uid(), before.mtime(), before.mtime_nsec()));
    assert_eq!(std::fs::read_link(&link).expect("a link").to_string_lossy(), "/nowhere");
    let dir_after = std::fs::metadata(&dir).expect("back");
    assert_eq!(dir_after.permissions().mode(), dir_before.permissions().mode());
    assert_eq!((dir_after.mtime(), dir_after.mtime_nsec()), (dir_before.mtime(), dir_before.mtime_nsec()));
    if attribute.is_ok() {
        let mut value = [0_u8; 16];
        let length = rustix::fs::getxattr(&file, "user.netdeed", value.as_mut_slice()).expect("it is back");
        assert_eq!(&value[..length], b"value");
    }
    // nothing is put over what is there
    let again = restore(&store, FIRST, &wanted).expect("readable");
    assert!(again.iter().all(|(_, result)| result.is_err()), "{again:?}");
}

#[test]
fn nothing_is_put_through_a_symbolic_link() {
    let top = tempfile::tempdir().expect("temporary directory");
    let (dir, file, outside) = (top.path().join("d"), top.path().join("d/f"), top.path().join("outside"));
    std::fs::create_dir(&dir).expect("mkdir");
    std::fs::create_dir(&outside).expect("mkdir");
    std::fs::write(&file, "content").expect("write");
    let seen = [see(&file)];
    let store = ArchiveStore::new(top.path(), 1 << 20);
    store.write(FIRST, b"", &seen).expect("archived");
    std::fs::remove_dir_all(&dir).expect("removed");
    std::os::unix::fs::symlink(&outside, &dir).expect("symlink");
    let done = restore(&store, FIRST, &BTreeSet::from([abs(&file)])).expect("readable");
    assert!(done[0].1.is_err());
    assert_eq!(std::fs::read_dir(&outside).expect("readable").count(), 0);
}

#[test]
fn a_file_swapped_since_the_plan_is_not_archived_and_leaves_no_archive() {
    let top = tempfile::tempdir().expect("temporary directory");
    let (file, secret) = (top.path().join("f"), top.path().join("secret"));
    std::fs::write(&file, "planned").expect("write");
    std::fs::write(&secret, "others").expect("write");
    let seen = [see(&file)];
    std::fs::remove_file(&file).expect("removed");
    std::os::unix::fs::symlink(&secret, &file).expect("symlink");
    let store = ArchiveStore::new(top.path(), 1 << 20);
    let error = store.write(FIRST, b"", &seen).expect_err("swapped");
    assert!(matches!(error, ArchiveError::Changed { .. }), "{error:?}");
    assert_eq!(store.list().expect("readable"), []);
    assert!(matches!(store.record(FIRST), Err(ArchiveError::Missing(FIRST))));
}

#[test]
fn archives_are_bounded_and_the_oldest_go_first() {
    let top = tempfile::tempdir().expect("temporary directory");
    let store = ArchiveStore::new(top.path(), 4_000);
    let record = |fill: u8| vec![fill; 1_500];
    for id in 1..=3 {
        store.write(OperationId(id), &record(u8::try_from(id).expect("small")), &[]).expect("archived");
    }
    assert_eq!(store.list().expect("readable"), [OperationId(2), OperationId(3)]);
    assert_eq!(store.record(OperationId(3)).expect("there"), record(3));
    let error = store.write(OperationId(4), &vec![0; 5_000], &[]).expect_err("too large");
    assert!(matches!(error, ArchiveError::TooLarge { max_bytes: 4_000 }));
    assert_eq!(store.list().expect("readable").len(), 2, "nothing was dropped for it");
}

#[test]
fn a_damaged_record_is_told() {
    let top = tempfile::tempdir().expect("temporary directory");
    let store = ArchiveStore::new(top.path(), 1 << 20);
    store.write(FIRST, b"record", &[]).expect("archived");
    let path = top.path().join("archive/1/record");
    let mut bytes = Vec::new();
    std::fs::File::open(&path).and_then(|mut file| file.read_to_end(&mut bytes)).expect("readable");
    bytes[9] ^= 1;
    std::fs::write(&path, bytes).expect("writable");
    assert!(matches!(store.record(FIRST), Err(ArchiveError::Damaged { operation: FIRST, .. })));
}
