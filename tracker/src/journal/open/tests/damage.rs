//! Damaged files: a journal opens or is set aside, in time, whatever is in its files.
//!
//! Each attempt is a process of its own, for sled may be left unusable in a process that met damage.

use std::fs::{self, OpenOptions as FileOptions};
use std::io::{Read as _, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::journal::testing::{created, rule_subject, scope};
use crate::journal::{Journal, OpenOptions, Opened, Read, SetAside, open, open_read_only};
use crate::model::ids::EntrySeq;
use crate::model::time::WallTime;

use super::make_journal;

const ATTEMPTS: u64 = 60;

/// How long an opener may take before it gives up: more than a healthy debug build needs on a busy machine.
const DEADLINE: Duration = Duration::from_secs(8);

/// Opens a journal, uses it, and says what it found. Gets the directory on its standard input.
#[test]
#[ignore = "is a process of the tests below"]
fn opener() {
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input).expect("standard input");
    // nothing is asked of it when somebody runs all ignored tests
    if input.is_empty() {
        return;
    }
    let options = OpenOptions { deadline: DEADLINE, ..OpenOptions::new(&input) };
    let Opened { mut store, set_aside, lost_entries } = open(&options).expect("open or set aside");
    store.begin(scope(9, 9), WallTime(50)).expect("begin");
    let id = store.next_object();
    store.append(vec![created(id.0, id.0)]).expect("append");
    store.flush().expect("flush");
    assert_eq!(store.live(&scope(9, 9), &rule_subject(id.0)).expect("read").map(|object| object.id), Some(id));
    let entries = store.entries(EntrySeq(0), usize::MAX).expect("all entries readable");
    match set_aside {
        Some(SetAside { path, reason, is_stuck }) => {
            assert_eq!(entries.len(), 2, "a new journal");
            println!("aside {is_stuck} {} {}", path.display(), reason.replace('\n', " "));
        }
        None => println!("fine {} {lost_entries}", entries.len()),
    }
    // a thread that hangs must not keep the process; its destructors might wait for it
    std::io::stdout().flush().expect("flush");
    std::process::exit(0);
}

/// What an opener said, or nothing if it did not come to an end in time.
fn run_opener(dir: &Path) -> Option<String> {
    let mut child = Command::new(std::env::current_exe().expect("own path"))
        .args(["journal::open::tests::damage::opener", "--exact", "--ignored", "--nocapture", "--test-threads", "1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start the opener");
    write!(child.stdin.take().expect("piped"), "{}", dir.display()).expect("tell the opener");
    let (sender, receiver) = mpsc::channel();
    let (mut out, mut err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let errors = std::thread::spawn(move || {
        let mut text = String::new();
        drop(err.read_to_string(&mut text));
        text
    });
    std::thread::spawn(move || {
        let mut text = String::new();
        drop(out.read_to_string(&mut text));
        drop(sender.send(text));
    });
    let output = receiver.recv_timeout(DEADLINE * 4);
    if output.is_err() {
        child.kill().expect("kill the opener");
    }
    child.wait().expect("reap the opener");
    let errors = errors.join().expect("read the errors");
    let said = |text: String| {
        let line =
            text.lines().find_map(|line| ["aside ", "fine "].iter().find_map(|w| line.find(w).map(|at| &line[at..])));
        line.map(str::to_owned).unwrap_or_else(|| panic!("opener said {text}\n{errors}"))
    };
    output.ok().map(said)
}

pub(super) fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("make a directory");
    for entry in fs::read_dir(from).expect("read a directory") {
        let entry = entry.expect("entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("type").is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copy a file");
        }
    }
}

/// Removes what lets sled begin near the end of its log, as before it first wrote that.
fn forget_snapshots(store: &Path) {
    for entry in fs::read_dir(store).expect("read the store") {
        let entry = entry.expect("entry");
        if entry.file_name().to_string_lossy().starts_with("snap.") {
            fs::remove_file(entry.path()).expect("remove a snapshot");
        }
    }
}

/// Damages one file of a sled directory; says how.
fn damage(store: &Path, attempt: u64) -> String {
    let mut random = attempt.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 7;
    let mut below = |bound: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % bound.max(1)
    };
    let mut files: Vec<PathBuf> = fs::read_dir(store)
        .expect("read the store")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    let path = if below(4) > 0 {
        store.join("db")
    } else {
        files[usize::try_from(below(files.len() as u64)).expect("few")].clone()
    };
    let size = fs::metadata(&path).expect("size").len();
    let file = FileOptions::new().write(true).read(true).open(&path).expect("open");
    // half of the hits near the end, where sled begins to read
    let at = if below(2) == 0 { below(size) } else { size.saturating_sub(1 + below(size.min(65_536))) };
    let kind = match below(4) {
        0 => {
            let length = usize::try_from(size.min(4096)).expect("fits");
            file.write_all_at(&vec![0; length], at / 4096 * 4096).expect("zero a block");
            "zeroed block"
        }
        1 => {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).expect("read");
            file.write_all_at(&[byte[0] ^ (1 << below(8))], at).expect("flip a bit");
            "flipped bit"
        }
        2 => {
            let noise: Vec<u8> = (0..512).map(|_| u8::try_from(below(256)).expect("byte")).collect();
            file.write_all_at(&noise, at).expect("write noise");
            "noise"
        }
        _ => {
            file.set_len(at).expect("truncate");
            "truncated"
        }
    };
    format!("{kind} at {at} of {size} in {}", path.display())
}

#[test]
fn whatever_is_damaged_it_opens_or_is_set_aside_in_time() {
    let dir = tempfile::tempdir().expect("directory");
    let whole = dir.path().join("whole");
    make_journal(&whole, 2_000);
    assert_eq!(run_opener(&whole).as_deref(), Some("fine 2003 0"), "2,000 changes, two starts, one change");
    let (mut fine, mut aside) = (0, 0);
    for attempt in 0..ATTEMPTS {
        let copy = dir.path().join(format!("copy-{attempt}"));
        copy_dir(&whole, &copy);
        if attempt % 2 == 0 {
            forget_snapshots(&copy.join("journal-000001"));
        }
        let how = damage(&copy.join("journal-000001"), attempt);
        let said = run_opener(&copy).unwrap_or_else(|| panic!("opener hung: {how}"));
        println!("{how}: {said}");
        if let Some(rest) = said.strip_prefix("aside ") {
            aside += 1;
            let mut words = rest.splitn(3, ' ').skip(1);
            let path = Path::new(words.next().expect("path"));
            assert!(path.is_dir() && path.parent() == Some(&copy), "{said}");
            assert!(path.file_name().expect("name").to_string_lossy().starts_with("journal.damaged-"), "{said}");
            assert!(words.next().is_some_and(|reason| reason.len() > 10), "{said}");
            // and the new one stays
            let again = run_opener(&copy).expect("opens again");
            assert!(again.starts_with("fine "), "{again}");
        } else {
            // start and change of the opener come on top; whatever is missing it knows
            let figures: Vec<u64> = said.split(' ').skip(1).map(|figure| figure.parse().expect("figure")).collect();
            assert_eq!(figures.iter().sum::<u64>(), 2_005, "{said}");
            fine += 1;
        }
        fs::remove_dir_all(&copy).expect("remove the copy");
    }
    assert!(fine > 0 && aside > 0, "{fine} fine, {aside} set aside: the damage does not damage");
}

#[test]
fn reading_sets_nothing_aside() {
    let dir = tempfile::tempdir().expect("directory");
    make_journal(dir.path(), 200);
    fs::write(dir.path().join("journal-000001/conf"), b"not what sled wrote there").expect("damage");
    assert!(open_read_only(dir.path()).is_err());
    assert!(dir.path().join("journal-000001/db").exists());
    let Opened { set_aside, .. } = open(&OpenOptions::new(dir.path())).expect("set aside");
    let SetAside { path, reason, is_stuck } = set_aside.expect("set aside");
    assert!(path.join("db").exists(), "nothing is deleted");
    assert!(!is_stuck && reason.contains("orrupt"), "{reason}");
    assert!(dir.path().join("journal-000002/db").exists());
}

#[test]
fn a_store_that_hangs_is_left_behind_at_the_deadline() {
    let dir = tempfile::tempdir().expect("directory");
    make_journal(dir.path(), 50);
    // opening a FIFO to read from waits for a writer
    let fifo = dir.path().join("journal-000001/conf");
    fs::remove_file(&fifo).expect("remove");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).expect("FIFO");
    let options = OpenOptions { deadline: Duration::from_millis(200), ..OpenOptions::new(dir.path()) };
    let start = Instant::now();
    let Opened { mut store, set_aside, .. } = open(&options).expect("set aside");
    assert!(start.elapsed() < Duration::from_secs(20), "took {:?}", start.elapsed());
    let SetAside { path, reason, is_stuck } = set_aside.expect("set aside");
    assert!(is_stuck && reason.contains("did not open within 200ms"), "{reason}");
    store.begin(scope(1, 1), WallTime(1)).expect("the new one works");
    // the thread goes on, in the directory that was moved, and must not disturb the new store
    drop(FileOptions::new().write(true).open(path.join("conf")).expect("a writer for the FIFO"));
    store.append(vec![created(1, 1)]).expect("the new one still works");
    store.flush().expect("flush");
    drop(store);
    let Opened { store, set_aside, .. } = open(&OpenOptions::new(dir.path())).expect("open again");
    assert_eq!((set_aside, store.stats().expect("stats").entries), (None, 2));
}
