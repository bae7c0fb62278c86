//! Watching directories on a real kernel: a tmpfs in a mount namespace of each test's own.
//!
//! Needs root (`CAP_SYS_ADMIN`, `CAP_DAC_READ_SEARCH`) and fails without.

mod watched;

use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

use netdeed_tests::namespace::{in_mount_namespace, sh};
use netdeed_tests::wait;
use netdeed_tracker::capture::fanotify::{Limits, Watch};
use netdeed_tracker::capture::roots::{Depth, Root};
use netdeed_tracker::capture::scan::snapshot;
use netdeed_tracker::model::observation::PathEvent::{Created, Deleted, MovedIn, MovedOut, Written};
use netdeed_tracker::model::path::PathKind;
use netdeed_tracker::model::time::BootTime;

use watched::{Watched, abs, content, expect, path, root};

#[test]
fn every_level_of_mkdir_p_is_told_with_the_process_that_made_it() {
    in_mount_namespace(|top| {
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
    in_mount_namespace(|top| {
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
fn the_window_starts_when_the_queue_was_last_found_empty() {
    in_mount_namespace(|top| {
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
    in_mount_namespace(|top| {
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
fn both_halves_of_a_move_are_told_in_one_turn() {
    const MOVES: usize = 3_000;
    in_mount_namespace(|top| {
        std::fs::write(top.join("f0"), "x").expect("write");
        let mut watched = Watched::new(top, &[root(top)], Limits::default());
        let dir = top.to_owned();
        // a reader that never sleeps comes between the halves now and then
        let mover = std::thread::spawn(move || {
            for number in 0..MOVES {
                let name = |number| dir.join(format!("f{number}"));
                std::fs::rename(name(number), name(number + 1)).expect("rename");
            }
        });
        let mut arrived = 0;
        wait::until("all moves", Duration::from_secs(60), || {
            for budget in [1, 100] {
                watched.drain_with(budget);
                let of = |event| watched.told.iter().filter(|told| told.event == event).count();
                assert_eq!(of(MovedOut), of(MovedIn), "{:?}", watched.told);
                arrived += of(MovedIn);
                watched.told.clear();
            }
            (arrived == MOVES).then_some(())
        })
        .expect("all are told");
        mover.join().expect("moved");
        assert_eq!(watched.losses, 0);
    });
}

#[test]
fn a_rename_over_a_file_tells_of_the_new_object() {
    in_mount_namespace(|top| {
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
    in_mount_namespace(|top| {
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
    in_mount_namespace(|top| {
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
    in_mount_namespace(|top| {
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
    in_mount_namespace(|top| {
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
    in_mount_namespace(|top| {
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
    in_mount_namespace(|top| {
        let roots = [Root { path: abs(top.join("docker")), depth: Depth::Levels(1) }];
        let mut watched = Watched::new(top, &roots, Limits::default());
        sh("mkdir -p docker/overlay2/layer/diff; echo > docker/overlay2/layer/diff/file", top);
        watched.drain();
        expect(&watched.events(), &[(Created, "docker", true), (Created, "docker/overlay2", true)]);
    });
}

#[test]
fn an_overflow_is_a_loss_in_its_place_and_watching_goes_on() {
    in_mount_namespace(|top| {
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
fn a_root_behind_a_link_is_followed_to_where_it_is() {
    in_mount_namespace(|top| {
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
fn thousands_of_events_elsewhere_are_passed_over() {
    in_mount_namespace(|top| {
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
    in_mount_namespace(|top| {
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
