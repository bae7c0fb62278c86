//! Watching and scanning directories on a real kernel: tmpfs mounts in a mount namespace of each test's own.
//!
//! Needs root (`CAP_SYS_ADMIN`, `CAP_DAC_READ_SEARCH`) and fails without. Not covered: a filesystem that really hangs;
//! that such ones are left alone is tested on mount tables only.

mod mount_namespace;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use netdeed_tracker::capture::fanotify::{FanotifySource, Limits, RootReport, Watch};
use netdeed_tracker::capture::mounts::MountTable;
use netdeed_tracker::capture::roots::{Depth, Root};
use netdeed_tracker::capture::scan::{scan, snapshot};
use netdeed_tracker::capture::{Raw, RawSource};
use netdeed_tracker::model::observation::{PathEvent, PathObservation};
use netdeed_tracker::model::path::{AbsPath, PathKind, PathSnapshot};
use netdeed_tracker::model::subject::{Snapshot, Subject};
use netdeed_tracker::model::time::BootTime;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::mount::{MountFlags, UnmountFlags};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use PathEvent::{Created, Deleted, MovedIn, MovedOut, Written};
use mount_namespace::{abs, in_namespace, mount_tmpfs, sh};

fn root(path: impl AsRef<Path>) -> Root {
    Root { path: abs(path), depth: Depth::All }
}

/// A source and what it told so far.
struct Watched {
    top: PathBuf,
    source: FanotifySource,
    reports: Vec<RootReport>,
    told: Vec<PathObservation>,
    losses: usize,
}

impl Watched {
    fn new(top: &Path, roots: &[Root], limits: Limits) -> Self {
        let (source, reports) = FanotifySource::open(roots, limits).expect("watching: these tests need root");
        Self { top: top.to_owned(), source, reports, told: Vec::new(), losses: 0 }
    }

    /// Waits for the queue, as the pipeline does, then reads it empty.
    fn drain(&mut self) {
        let mut fds = [PollFd::from_borrowed_fd(self.source.fd(), PollFlags::IN)];
        let ready = poll(&mut fds, Some(&Timespec { tv_sec: 10, tv_nsec: 0 })).expect("poll");
        assert_eq!(ready, 1, "nothing happened");
        self.drain_now();
    }

    fn drain_now(&mut self) {
        let mut raw = Vec::new();
        while self.source.drain(&mut raw, 100).expect("drain") {}
        for record in raw {
            match record {
                Raw::Path(told) => self.told.push(told),
                Raw::Lost { .. } => self.losses += 1,
                other => panic!("{other:?} from fanotify"),
            }
        }
    }

    /// What was told, as event, path below the top, and whether with content; told once.
    fn events(&mut self) -> Vec<(PathEvent, String, bool)> {
        let top = self.top.clone();
        let short = |told: &PathObservation| {
            let path = path(told).as_path().strip_prefix(&top).expect("below the top").display().to_string();
            (told.event, path, told.after.is_some())
        };
        let events = self.told.iter().map(short).collect();
        self.told.clear();
        events
    }
}

fn path(told: &PathObservation) -> &AbsPath {
    match &told.subject {
        Subject::Path(path) => path,
        other => panic!("not a path: {other:?}"),
    }
}

fn content(told: &PathObservation) -> &PathSnapshot {
    match &told.after {
        Some(Snapshot::Path(content)) => content,
        other => panic!("no path content: {other:?}"),
    }
}

#[track_caller]
fn expect(events: &[(PathEvent, String, bool)], expected: &[(PathEvent, &str, bool)]) {
    let events: Vec<_> = events.iter().map(|(event, path, after)| (*event, path.as_str(), *after)).collect();
    assert_eq!(events, expected);
}

#[test]
fn every_level_of_mkdir_p_is_told_with_the_process_that_made_it() {
    in_namespace(|top| {
        std::fs::create_dir(top.join("etc")).expect("mkdir");
        let mut watched = Watched::new(top, &[root(top.join("etc/cni"))], Limits::default());
        assert!(matches!(&watched.reports[0].watch, Watch::Watched { filesystem } if filesystem == "tmpfs"));
        let before = BootTime::now();
        let mut child = Command::new("mkdir").arg("-p").arg(top.join("etc/cni/net.d/a")).spawn().expect("mkdir");
        let tgid = child.id();
        assert!(child.wait().expect("wait").success());
        let after = BootTime::now();
        watched.drain();
        assert!(watched.told.iter().all(|told| told.tgid.map(|tgid| tgid.0) == Some(tgid)), "{:?}", watched.told);
        for told in &watched.told {
            assert!(told.after_time <= before && after <= told.before_time, "{told:?}");
            assert_eq!(Some(content(told)), snapshot(path(told)).expect("readable").as_ref());
        }
        expect(
            &watched.events(),
            &[(Created, "etc/cni", true), (Created, "etc/cni/net.d", true), (Created, "etc/cni/net.d/a", true)],
        );
        assert_eq!(watched.losses, 0);
    });
}

#[test]
fn every_one_of_many_processes_is_told_by_its_own_id() {
    in_namespace(|top| {
        let mut watched = Watched::new(top, &[root(top)], Limits::default());
        let spawn = |_| Command::new("sh").args(["-c", "exec mkdir -p $$/$$"]).current_dir(top).spawn().expect("sh");
        let children: Vec<_> = (0..200).map(spawn).collect();
        for mut child in children {
            assert!(child.wait().expect("wait").success());
        }
        watched.drain();
        assert_eq!(watched.told.len(), 400);
        for told in &watched.told {
            let name = path(told).as_path().file_name().map(|name| name.display().to_string());
            assert_eq!(name, told.tgid.map(|tgid| tgid.to_string()), "{told:?}");
        }
    });
}

#[test]
fn the_runtime_wakes_for_events_and_for_mounts() {
    in_namespace(|top| {
        std::fs::create_dir(top.join("cni")).expect("mkdir");
        let mut watched = Watched::new(top, &[root(top.join("cni"))], Limits::default());
        let fd = watched.source.fd().try_clone_to_owned().expect("descriptor");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            // SAFETY: the descriptor is owned, so it stays open for as long as it is registered.
            let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }.expect("pollable");
            let mut next = async |act: &dyn Fn()| {
                act();
                let ready = tokio::time::timeout(Duration::from_secs(10), fd.readable()).await;
                let mut ready = ready.expect("nothing happened").expect("readable");
                watched.drain_now();
                ready.clear_ready();
                (watched.told.len(), watched.losses)
            };
            assert_eq!(next(&|| std::fs::create_dir(top.join("cni/a")).expect("mkdir")).await, (1, 0));
            assert_eq!(next(&|| std::fs::create_dir(top.join("cni/b")).expect("mkdir")).await, (2, 0));
            assert_eq!(next(&|| mount_tmpfs(&top.join("cni"))).await, (2, 1));
            assert_eq!(next(&|| std::fs::create_dir(top.join("cni/c")).expect("mkdir")).await, (3, 1));
        });
    });
}

#[test]
fn the_window_starts_when_the_queue_was_last_found_empty() {
    in_namespace(|top| {
        let mut watched = Watched::new(top, &[root(top)], Limits::default());
        std::fs::create_dir(top.join("first")).expect("mkdir");
        watched.drain();
        let between = BootTime::now();
        watched.drain_now();
        std::fs::create_dir(top.join("second")).expect("mkdir");
        watched.drain();
        assert!(watched.told[0].after_time < between && between <= watched.told[1].after_time, "{:?}", watched.told);
        assert_eq!(watched.told[1].tgid.map(|tgid| tgid.0), Some(std::process::id()), "own acts are told too");
    });
}

#[test]
fn a_file_written_aside_and_renamed_keeps_its_identity() {
    in_namespace(|top| {
        let mut watched = Watched::new(top, &[root(top)], Limits::default());
        sh("echo conf > .tmp; mv .tmp 10-net.conflist", top);
        watched.drain();
        let (made, moved) = (&watched.told[0], watched.told.last().expect("told"));
        assert_eq!(content(made).inode, content(moved).inode, "the maker is known by the inode");
        assert_ne!(made.tgid, moved.tgid, "whoever renames it");
        assert_eq!(content(moved).size, 5);
        expect(
            &watched.events(),
            &[(Created, ".tmp", true), (MovedOut, ".tmp", false), (MovedIn, "10-net.conflist", true)],
        );
        std::fs::write(top.join("10-net.conflist"), "changed").expect("write");
        watched.drain();
        expect(&watched.events(), &[(Written, "10-net.conflist", true)]);
        std::fs::remove_file(top.join("10-net.conflist")).expect("remove");
        watched.drain();
        expect(&watched.events(), &[(Deleted, "10-net.conflist", false)]);
    });
}

#[test]
fn a_rename_over_a_file_tells_of_the_new_object() {
    in_namespace(|top| {
        std::fs::write(top.join("conf"), "old").expect("write");
        let mut watched = Watched::new(top, &[root(top)], Limits::default());
        std::fs::write(top.join("new"), "newer").expect("write");
        std::fs::rename(top.join("new"), top.join("conf")).expect("rename");
        watched.drain();
        assert_eq!(content(watched.told.last().expect("told")).size, 5);
        expect(&watched.events(), &[(Created, "new", true), (MovedOut, "new", false), (MovedIn, "conf", true)]);
    });
}

#[test]
fn what_an_earlier_process_made_is_not_shown_as_the_later_ones() {
    in_namespace(|top| {
        let mut watched = Watched::new(top, &[root(top)], Limits::default());
        for _ in 0..2 {
            sh("echo x > conf; rm conf", top); // the shell makes it, another process removes it
        }
        sh("echo last > conf", top);
        watched.drain();
        let with_content: Vec<_> = watched.told.iter().filter(|told| told.after.is_some()).collect();
        let [last] = with_content.as_slice() else { panic!("{with_content:?}") };
        assert_eq!(Some(content(last)), snapshot(&abs(top.join("conf"))).expect("readable").as_ref());
        let gone = || (Created, "conf", false);
        let removed = || (Deleted, "conf", false);
        expect(&watched.events(), &[gone(), removed(), gone(), removed(), (Created, "conf", true)]);
    });
}

#[test]
fn without_object_identity_no_content_is_given_to_the_wrong_process() {
    in_namespace(|top| {
        let limits = Limits { targets: false, ..Limits::default() };
        let mut watched = Watched::new(top, &[root(top)], limits);
        sh("echo x > conf; rm conf", top);
        sh("echo last > conf", top);
        sh("mkdir -p a/b", top);
        watched.drain();
        expect(
            &watched.events(),
            &[
                (Created, "conf", false),
                (Deleted, "conf", false),
                (Created, "conf", true),
                (Created, "a", true),
                (Created, "a/b", true),
            ],
        );
        std::fs::remove_file(top.join("conf")).expect("remove");
        watched.drain();
        watched.told.clear();
        sh("echo again > conf; rm conf; echo more > conf", top);
        watched.drain();
        let told: Vec<_> = watched.told.iter().map(|told| (told.event, told.tgid.is_some())).collect();
        assert_eq!(told, [(Created, true), (Deleted, true), (Created, false)], "merged: nobody is blamed for the last");
        assert!(watched.told[0].after.is_none() && watched.told[2].after.is_some());
    });
}

#[test]
fn a_renamed_directory_takes_its_content_along() {
    in_namespace(|top| {
        std::fs::create_dir_all(top.join("old/sub")).expect("mkdir");
        std::fs::create_dir(top.join("old/sub/known")).expect("mkdir");
        let mut watched = Watched::new(top, &[root(top)], Limits::default());
        std::fs::create_dir(top.join("old/sub/recent")).expect("mkdir");
        std::fs::rename(top.join("old"), top.join("new")).expect("rename");
        std::fs::create_dir(top.join("new/sub/later")).expect("mkdir");
        watched.drain();
        let inode = |index: usize| content(&watched.told[index]).inode;
        assert_eq!(inode(0), inode(6), "who made it before the move is known by its inode");
        expect(
            &watched.events(),
            &[
                (Created, "old/sub/recent", true),
                (MovedOut, "old", false),
                (MovedIn, "new", true),
                (MovedIn, "new/sub", true),
                (MovedIn, "new/sub/known", true),
                (MovedIn, "new/sub/later", true),
                (MovedIn, "new/sub/recent", true),
                (Created, "new/sub/later", true),
            ],
        );
    });
}

#[test]
fn a_directory_made_elsewhere_is_told_when_it_is_moved_under_a_root() {
    in_namespace(|top| {
        std::fs::create_dir_all(top.join("tmp/cni/net.d")).expect("mkdir");
        std::fs::create_dir(top.join("etc")).expect("mkdir");
        let mut watched = Watched::new(top, &[root(top.join("etc/cni/net.d"))], Limits::default());
        std::fs::create_dir(top.join("tmp/cni/net.d/first")).expect("mkdir");
        watched.drain();
        expect(&watched.events(), &[]);
        // the root comes with a directory above it
        std::fs::rename(top.join("tmp/cni"), top.join("etc/cni")).expect("rename");
        watched.drain();
        expect(&watched.events(), &[(MovedIn, "etc/cni/net.d", true), (MovedIn, "etc/cni/net.d/first", true)]);
        std::fs::create_dir(top.join("etc/cni/net.d/second")).expect("mkdir");
        watched.drain();
        expect(&watched.events(), &[(Created, "etc/cni/net.d/second", true)]);
        // and goes with one
        std::fs::rename(top.join("etc"), top.join("away")).expect("rename");
        std::fs::create_dir(top.join("away/cni/net.d/third")).expect("mkdir");
        watched.drain();
        expect(&watched.events(), &[(MovedOut, "etc/cni/net.d", false)]);
    });
}

#[test]
fn deletions_in_directories_that_are_gone_are_told() {
    in_namespace(|top| {
        std::fs::create_dir_all(top.join("etc/cni/before")).expect("mkdir");
        std::fs::write(top.join("etc/cni/before/file"), "").expect("write");
        let mut watched = Watched::new(top, &[root(top.join("etc/cni"))], Limits::default());
        sh("rm -rf etc/cni", top);
        sh("mkdir -p etc/cni/short; echo > etc/cni/short/file", top);
        sh("rm -rf etc/cni", top);
        watched.drain();
        expect(
            &watched.events(),
            &[
                (Deleted, "etc/cni/before/file", false),
                (Deleted, "etc/cni/before", false),
                (Deleted, "etc/cni", false),
                (Created, "etc/cni", false),
                (Created, "etc/cni/short", false),
                (Created, "etc/cni/short/file", false),
                (Deleted, "etc/cni/short/file", false),
                (Deleted, "etc/cni/short", false),
                (Deleted, "etc/cni", false),
            ],
        );
        assert_eq!(watched.losses, 0);
    });
}

#[test]
fn depth_bounds_what_is_told() {
    in_namespace(|top| {
        let roots = [Root { path: abs(top.join("docker")), depth: Depth::Levels(1) }];
        let mut watched = Watched::new(top, &roots, Limits::default());
        sh("mkdir -p docker/overlay2/layer/diff; echo > docker/overlay2/layer/diff/file", top);
        watched.drain();
        expect(&watched.events(), &[(Created, "docker", true), (Created, "docker/overlay2", true)]);
    });
}

#[test]
fn an_overflow_is_a_loss_in_its_place_and_watching_goes_on() {
    in_namespace(|top| {
        let limit = std::fs::read_to_string("/proc/sys/fs/fanotify/max_queued_events").expect("limit");
        let limit: usize = limit.trim().parse().expect("number");
        let mut watched = Watched::new(top, &[root(top)], Limits::default());
        for index in 0..limit + 10 {
            std::fs::create_dir(top.join(index.to_string())).expect("mkdir");
        }
        watched.drain();
        assert_eq!((watched.told.len(), watched.losses), (limit, 1));
        watched.told.clear();
        std::fs::create_dir(top.join("after")).expect("mkdir");
        watched.drain();
        expect(&watched.events(), &[(Created, "after", true)]);
    });
}

#[test]
fn a_mount_over_a_root_is_watched_from_then_on_and_told_as_a_loss() {
    in_namespace(|top| {
        std::fs::create_dir_all(top.join("kubelet/pods")).expect("mkdir");
        let mut watched = Watched::new(top, &[root(top.join("kubelet"))], Limits::default());
        mount_tmpfs(&top.join("kubelet"));
        watched.drain(); // the mount alone wakes
        assert_eq!((watched.losses, watched.events().len()), (1, 0));
        std::fs::create_dir(top.join("kubelet/pki")).expect("mkdir");
        watched.drain();
        expect(&watched.events(), &[(Created, "kubelet/pki", true)]);
        // nothing of ours keeps it from being unmounted
        rustix::mount::unmount(top.join("kubelet"), UnmountFlags::empty()).expect("unmount");
        watched.drain();
        assert_eq!(watched.losses, 2);
        std::fs::create_dir(top.join("kubelet/below")).expect("mkdir");
        watched.drain();
        expect(&watched.events(), &[(Created, "kubelet/below", true)]);
    });
}

#[test]
fn a_mount_elsewhere_is_no_loss() {
    in_namespace(|top| {
        std::fs::create_dir(top.join("kubelet")).expect("mkdir");
        std::fs::create_dir(top.join("elsewhere")).expect("mkdir");
        let mut watched = Watched::new(top, &[root(top.join("kubelet"))], Limits::default());
        mount_tmpfs(&top.join("elsewhere"));
        watched.drain();
        assert_eq!((watched.losses, watched.events().len()), (0, 0));
    });
}

#[test]
fn a_directory_is_told_although_something_is_mounted_on_it_at_once() {
    in_namespace(|top| {
        let roots = [Root { path: abs(top), depth: Depth::Levels(1) }];
        let mut watched = Watched::new(top, &roots, Limits::default());
        std::fs::create_dir(top.join("volume")).expect("mkdir");
        let bare = snapshot(&abs(top.join("volume"))).expect("readable").expect("there");
        mount_tmpfs(&top.join("volume"));
        watched.drain();
        assert_eq!(content(&watched.told[0]), &bare);
        let found = scan(&roots, 10).expect("scan");
        let volume = found.objects.iter().find(|(subject, _)| *subject == Subject::Path(abs(top.join("volume"))));
        assert_eq!(volume.map(|(_, content)| content), Some(&Snapshot::Path(bare)), "what is below the mount");
    });
}

#[test]
fn what_is_done_beside_a_bind_mount_is_told_under_the_root() {
    in_namespace(|top| {
        std::fs::create_dir_all(top.join("disk/kubelet")).expect("mkdir");
        std::fs::create_dir_all(top.join("var/kubelet")).expect("mkdir");
        rustix::mount::mount_bind(top.join("disk/kubelet"), top.join("var/kubelet")).expect("bind");
        let mut watched = Watched::new(top, &[root(top.join("var/kubelet"))], Limits::default());
        std::fs::create_dir(top.join("disk/kubelet/pki")).expect("mkdir");
        std::fs::create_dir(top.join("disk/other")).expect("mkdir");
        watched.drain();
        expect(&watched.events(), &[(Created, "var/kubelet/pki", true)]);
    });
}

#[test]
fn a_directory_that_no_mount_shows_is_not_taken_for_a_watched_one() {
    in_namespace(|top| {
        // Of a filesystem only `part` is mounted. For a directory outside of it the kernel gives the path `/`.
        let (disk, var) = (top.join("disk"), top.join("var"));
        std::fs::create_dir(&disk).expect("mkdir");
        mount_tmpfs(&disk);
        std::fs::create_dir_all(disk.join("part/cni")).expect("mkdir");
        std::fs::create_dir(disk.join("outside")).expect("mkdir");
        std::fs::create_dir(&var).expect("mkdir");
        rustix::mount::mount_bind(disk.join("part"), &var).expect("bind");
        let outside = std::fs::File::open(disk.join("outside")).expect("open");
        rustix::mount::unmount(&disk, UnmountFlags::DETACH).expect("unmount");
        let name = "root-of-a-netdeed-test";
        let roots = [root(var.join("cni")), root(Path::new("/").join(name))];
        let mut watched = Watched::new(top, &roots, Limits::default());
        rustix::fs::mkdirat(&outside, name, rustix::fs::Mode::RWXU).expect("mkdir");
        std::fs::create_dir(var.join("cni/right")).expect("mkdir");
        while watched.told.is_empty() {
            watched.drain(); // the second root is on the machine's own filesystem, where others work too
        }
        expect(&watched.events(), &[(Created, "var/cni/right", true)]);
    });
}

#[test]
fn a_root_behind_a_link_is_followed_to_where_it_is() {
    in_namespace(|top| {
        std::fs::create_dir_all(top.join("data/docker")).expect("mkdir");
        std::fs::create_dir_all(top.join("lib")).expect("mkdir");
        let mut watched = Watched::new(top, &[root(top.join("lib/docker"))], Limits::default());
        symlink("../data/docker", top.join("lib/docker")).expect("symlink");
        watched.drain();
        assert_eq!(watched.losses, 1, "what was done before the link was seen is not known");
        assert_eq!(watched.source.reports()[0].path, abs(top.join("data/docker")));
        std::fs::create_dir(top.join("data/docker/volumes")).expect("mkdir");
        watched.drain();
        expect(&watched.events(), &[(Created, "lib/docker", true), (Created, "data/docker/volumes", true)]);
    });
}

#[test]
fn filesystems_that_cannot_be_watched_are_reported_with_the_reason() {
    in_namespace(|top| {
        std::fs::create_dir(top.join("pseudo")).expect("mkdir");
        rustix::mount::mount("proc", top.join("pseudo"), "proc", MountFlags::empty(), None).expect("mount proc");
        let roots = [root(top.join("pseudo/net")), root(top.join("fine"))];
        let watched = Watched::new(top, &roots, Limits::default());
        let [bad, good] = watched.reports.as_slice() else { panic!("{:?}", watched.reports) };
        assert!(matches!(&bad.watch, Watch::NotWatched { reason } if reason.contains("proc")), "{bad:?}");
        assert!(matches!(&good.watch, Watch::Watched { .. }), "{good:?}");
        let roots = [Root { path: abs(top), depth: Depth::Levels(2) }];
        let whole = Watched::new(top, &roots, Limits::default());
        assert!(
            matches!(whole.reports[0].holes.as_slice(), [(hole, _)] if *hole == abs(top.join("pseudo"))),
            "{:?}",
            whole.reports
        );
        let found = scan(&roots, 100).expect("scan");
        assert_eq!(found.objects.len(), 2, "the root and the directory below the mount: {:?}", found.objects);
        assert!(matches!(found.skipped.as_slice(), [(path, _)] if *path == abs(top.join("pseudo"))), "{found:?}");
    });
}

#[test]
fn thousands_of_events_elsewhere_are_passed_over() {
    in_namespace(|top| {
        let mut watched = Watched::new(top, &[root(top.join("etc/cni"))], Limits::default());
        for dir in 0..50 {
            std::fs::create_dir_all(top.join(format!("noise/{dir}"))).expect("mkdir");
            for file in 0..50 {
                std::fs::write(top.join(format!("noise/{dir}/{file}")), "").expect("write");
            }
        }
        sh("mv noise/1 noise/one; rm -rf noise; mkdir -p etc/cni", top);
        watched.drain();
        expect(&watched.events(), &[(Created, "etc/cni", true)]);
        assert_eq!(watched.losses, 0);
    });
}

#[test]
fn special_files_and_links_are_told() {
    in_namespace(|top| {
        let mut watched = Watched::new(top, &[root(top)], Limits::default());
        symlink("nowhere", top.join("link")).expect("symlink");
        let _socket = std::os::unix::net::UnixListener::bind(top.join("socket")).expect("bind");
        watched.drain();
        let kinds: Vec<PathKind> = watched.told.iter().map(|told| content(told).kind).collect();
        assert_eq!(kinds, [PathKind::Symlink, PathKind::Special]);
        // their handles open too, for identity after a move
        sh("ln -s x one; mv one two", top);
        watched.drain();
        let inodes: Vec<_> = watched.told.iter().skip(2).map(|told| told.after.is_some()).collect();
        assert_eq!(inodes, [true, false, true]);
    });
}

#[test]
fn the_mount_table_of_this_thread_is_read() {
    in_namespace(|top| {
        let table = MountTable::read().expect("readable");
        let mount = table.of(&abs(top)).expect("mounted");
        assert_eq!((mount.fs_type.as_str(), mount.mount_point.as_path()), ("tmpfs", top));
    });
}
