//! Watching and scanning while filesystems are mounted over, below and beside the roots.
//!
//! Needs root (`CAP_SYS_ADMIN`, `CAP_DAC_READ_SEARCH`) and fails without. Not covered: a filesystem that really hangs;
//! that such ones are left alone is tested on mount tables only.

mod watched;

use std::path::Path;
use std::time::Duration;

use netdeed_tests::namespace::{in_mount_namespace, mount_tmpfs, sh};
use netdeed_tracker::capture::RawSource;
use netdeed_tracker::capture::fanotify::{Limits, Watch};
use netdeed_tracker::capture::mounts::MountTable;
use netdeed_tracker::capture::roots::{Depth, Root};
use netdeed_tracker::capture::scan::{scan, snapshot};
use netdeed_tracker::model::observation::PathEvent::Created;
use netdeed_tracker::model::subject::{Snapshot, Subject};
use rustix::mount::{MountFlags, UnmountFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use watched::{Watched, abs, content, expect, root};

#[test]
fn the_runtime_wakes_for_events_and_for_mounts() {
    in_mount_namespace(|top| {
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
fn a_mount_over_a_root_is_watched_from_then_on_and_told_as_a_loss() {
    in_mount_namespace(|top| {
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
    in_mount_namespace(|top| {
        sh("mkdir kubelet elsewhere", top);
        let mut watched = Watched::new(top, &[root(top.join("kubelet"))], Limits::default());
        mount_tmpfs(&top.join("elsewhere"));
        watched.drain();
        assert_eq!((watched.losses, watched.events().len()), (0, 0));
    });
}

#[test]
fn a_directory_is_told_although_something_is_mounted_on_it_at_once() {
    in_mount_namespace(|top| {
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
    in_mount_namespace(|top| {
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
    in_mount_namespace(|top| {
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
fn filesystems_that_cannot_be_watched_are_reported_with_the_reason() {
    in_mount_namespace(|top| {
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
fn the_mount_table_of_this_thread_is_read() {
    in_mount_namespace(|top| {
        let table = MountTable::read().expect("readable");
        let mount = table.of(&abs(top)).expect("mounted");
        assert_eq!((mount.fs_type.as_str(), mount.mount_point.as_path()), ("tmpfs", top));
    });
}
