//! Without a tracker: a real journal, and the live ruleset of a network namespace of the test's own.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use netdeed_tracker::capture::nfnetlink::dump_chain;
use netdeed_tracker::journal::Journal;
use netdeed_tracker::journal::open::{OpenOptions, open};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::fixture::world;
use crate::model::change::{Change, ChangeKind};
use crate::model::ids::{BootId, NetnsId};
use crate::model::object::{Deed, Scope};
use crate::model::owner::{Attribution, Certainty, Evidence};
use crate::model::path::{AbsPath, Inode, PathKind, PathSnapshot};
use crate::model::subject::{Snapshot, Subject};
use crate::model::time::BootTime;
use crate::support::Ran;

/// A network namespace with rules in it, removed when dropped.
struct Netns(String);

impl Netns {
    fn new(test: &str) -> Self {
        let netns = Self(format!("ndctl-{test}-{}", std::process::id()));
        ok(Command::new("ip").args(["netns", "add", &netns.0]));
        netns
    }

    fn path(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.0)
    }

    fn scope(&self) -> Scope {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("boot id");
        let netns = std::fs::metadata(self.path()).expect("netns").ino();
        Scope { boot: BootId::parse(&boot).expect("valid"), netns: NetnsId(u32::try_from(netns).expect("32 bits")) }
    }

    fn nft(&self, command: &str) {
        ok(Command::new("ip").args(["netns", "exec", &self.0, "nft", command]));
    }

    /// What a tracker in it would have recorded of its chain `FORWARD`.
    fn rules(&self) -> Vec<(Subject, Snapshot)> {
        let namespace = File::open(self.path()).expect("netns");
        let dump = move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("setns");
            dump_chain(&world::filter(), &"FORWARD".into()).expect("dump")
        };
        std::thread::spawn(dump).join().expect("no panic")
    }

    fn run(&self, journal: &Path, arguments: &[&str]) -> Ran {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path().display())).arg(env!("CARGO_BIN_EXE_netdeed"));
        command.args(["--socket", "/nonexistent/netdeed.sock", "--journal"]).arg(journal).args(arguments);
        crate::support::ran(command.output().expect("nsenter runs"))
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", &self.0]).status();
    }
}

fn ok(command: &mut Command) {
    let output = command.output().expect("runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Writes a journal as a tracker that ran in `scope` would have.
fn record(directory: &Path, scope: Scope, things: Vec<(Subject, Snapshot)>) {
    let mut store = open(&OpenOptions::new(directory)).expect("journal").store;
    store.begin(scope, world::at(0)).expect("begun");
    let attribution = Attribution::new(world::owner("admin/root"), Certainty::Exact, None, Evidence::Baseline);
    let changes = things.into_iter().map(|(subject, content)| Change {
        object: store.next_object(),
        kind: ChangeKind::Created,
        subject,
        after: Some(content),
        deed: Deed {
            time: world::at(1),
            boot_time: BootTime(1),
            generation: None,
            attribution: attribution.clone(),
            operation: None,
        },
    });
    let changes = changes.collect();
    store.append(changes).expect("appended");
    store.heartbeat(world::at(60)).expect("alive");
    store.flush().expect("flushed");
}

const NOTE: &str = "as of 2026-05-04 03:03:00 UTC\n";

#[test]
fn a_rule_is_answered_for_while_it_is_the_recorded_one() {
    let netns = Netns::new("rule");
    netns.nft("add table ip filter; add chain ip filter FORWARD; add rule ip filter FORWARD ip saddr 192.0.2.1 drop");
    netns.nft("add rule ip filter FORWARD ip saddr 192.0.2.2 drop");
    let directory = tempfile::tempdir().expect("temporary directory");
    record(directory.path(), netns.scope(), netns.rules());

    let who = netns.run(directory.path(), &["who", "rule", "filter", "FORWARD", "2"]);
    assert_eq!(who.code, Some(0), "{}", who.stderr);
    assert!(who.stderr.starts_with("note: tracker is not running; reading journal `/") && who.stderr.ends_with(NOTE));
    assert!(who.stdout.contains("(position 2)") && who.stdout.contains("192.0.2.2"), "{}", who.stdout);
    assert!(who.stdout.contains("admin/root"), "{}", who.stdout);

    // a rule in front moves the places, not the handles
    netns.nft("insert rule ip filter FORWARD ip saddr 192.0.2.3 drop");
    let moved = netns.run(directory.path(), &["who", "rule", "filter", "FORWARD", "3"]);
    assert!(moved.stdout.contains("(position 3)") && moved.stdout.contains("192.0.2.2"), "{}", moved.stdout);
    let new = netns.run(directory.path(), &["who", "rule", "filter", "FORWARD", "1"]);
    assert_eq!((new.code, new.stdout.as_str()), (Some(1), ""));
    assert!(new.stderr.contains("the journal knows no rule ip filter FORWARD position 1"), "{}", new.stderr);
    let beyond = netns.run(directory.path(), &["who", "rule", "filter", "FORWARD", "4"]);
    assert!(beyond.stderr.contains("has 3 rules, so there is none at position 4"), "{}", beyond.stderr);
}

#[test]
fn a_handle_used_again_does_not_inherit_an_owner() {
    let netns = Netns::new("reuse");
    let add = "add table ip filter; add chain ip filter FORWARD; add rule ip filter FORWARD ip saddr";
    netns.nft(&format!("{add} 192.0.2.1 drop"));
    let directory = tempfile::tempdir().expect("temporary directory");
    let recorded = netns.rules();
    record(directory.path(), netns.scope(), recorded.clone());

    netns.nft("delete table ip filter");
    netns.nft(&format!("{add} 192.0.2.66 accept"));
    assert_eq!(netns.rules()[0].0, recorded[0].0, "the kernel numbers a new table's rules anew");
    for place in [&["1"][..], &["--handle", "2"]] {
        let who = netns.run(directory.path(), &[&["who", "rule", "filter", "FORWARD"], place].concat());
        assert_eq!((who.code, who.stdout.as_str()), (Some(1), ""));
        assert!(who.stderr.contains("is not the rule the journal recorded under its handle"), "{}", who.stderr);
    }
}

#[test]
fn a_journal_of_another_boot_or_namespace_answers_for_directories_only() {
    let netns = Netns::new("scope");
    netns.nft("add table ip filter; add chain ip filter FORWARD; add rule ip filter FORWARD drop");
    let inode = Inode { dev: 1, ino: 2, born: None };
    let kind = PathKind::Dir;
    let content = PathSnapshot { kind, inode, mode: 0o755, uid: 0, gid: 0, size: 0, modified: None };
    let path = Subject::Path(AbsPath::new(Path::new("/etc/cni/net.d")).expect("absolute"));
    let things = || [netns.rules(), vec![(path.clone(), Snapshot::Path(content.clone()))]].concat();
    for (scope, part) in [
        (Scope { boot: BootId([7; 16]), ..netns.scope() }, "the journal is of an earlier boot"),
        (Scope { netns: NetnsId(1), ..netns.scope() }, "the journal is of network namespace 1, this is"),
    ] {
        let directory = tempfile::tempdir().expect("temporary directory");
        record(directory.path(), scope, things());
        let rule = netns.run(directory.path(), &["who", "rule", "filter", "FORWARD", "1"]);
        assert_eq!((rule.code, rule.stdout.as_str()), (Some(1), ""));
        assert!(rule.stderr.contains(part), "{}", rule.stderr);
        let dir = netns.run(directory.path(), &["who", "dir", "/etc/cni/net.d"]);
        assert!(dir.code == Some(0) && dir.stdout.starts_with("dir /etc/cni/net.d\n"), "{}", dir.stderr);
    }
}

#[test]
fn lists_and_logs_are_read_and_status_says_that_it_stopped() {
    let netns = Netns::new("lists");
    netns.nft("add table ip filter; add chain ip filter FORWARD; add rule ip filter FORWARD drop");
    let directory = tempfile::tempdir().expect("temporary directory");
    record(directory.path(), netns.scope(), netns.rules());
    for (arguments, part) in [
        (&["ls"][..], "rule ip filter FORWARD handle 2"),
        (&["ls", "--summary"], "admin/root      1"),
        (&["log"], "created    admin/root (exact)              rule ip filter FORWARD handle 2"),
        (&["who", "object", "1"], "rule ip filter FORWARD handle 2"),
    ] {
        let ran = netns.run(directory.path(), arguments);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(ran.stdout.contains(part), "{arguments:?}: {}", ran.stdout);
        assert!(ran.stderr.ends_with(NOTE), "{}", ran.stderr);
    }
    let status = netns.run(directory.path(), &["status"]);
    assert_eq!(status.code, Some(4), "a script must not take it for a running tracker");
    assert!(status.stdout.starts_with("tracker   stopped, version "), "{}", status.stdout);
    assert!(status.stdout.contains("complete  up to 2026-05-04 03:03:00 UTC"), "{}", status.stdout);
    let json = netns.run(directory.path(), &["status", "-o", "json"]);
    assert!(json.stdout.contains("\"state\": \"stopped\""), "{}", json.stdout);
}

#[test]
fn a_journal_that_a_tracker_has_is_left_alone() {
    let netns = Netns::new("inuse");
    let directory = tempfile::tempdir().expect("temporary directory");
    record(directory.path(), netns.scope(), Vec::new());
    let held = open(&OpenOptions::new(directory.path())).expect("journal");
    let ran = netns.run(directory.path(), &["ls"]);
    assert_eq!(ran.code, Some(4));
    assert!(
        ran.stderr.contains("is in use by another process\nhint: a tracker is running that listens elsewhere"),
        "{}",
        ran.stderr
    );
    drop(held);
    assert_eq!(netns.run(directory.path(), &["ls"]).code, Some(0));
}
