//! The BPF programs on the running kernel, against real tools.
//!
//! Needs root, and `unshare`, `ip`, `iptables-nft`, `iptables-legacy` and `bash`; fails without. Each test runs itself
//! again in network and mount namespaces of its own, so that nothing of the machine is touched.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::offset_of;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use netdeed_tests::cgroup::Cgroup;
use netdeed_tracker::capture::bpf::{BpfOptions, BpfReport, BpfSource, ProgramReport, ProgramState, load, self_test};
use netdeed_tracker::capture::{Raw, RawSource};
use netdeed_tracker::decode::task::decode;
use netdeed_tracker::model::gap::Source;
use netdeed_tracker::model::ids::{NetnsId, Tgid};
use netdeed_tracker::model::observation::{CgroupId, NotifiedBy, Observation, TaskRef};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracker_ebpf::abi::{Header, IS_IOCTL, RequestOpened, kind};

/// Set in the inner run.
const INSIDE: &str = "NETDEED_BPF_TEST_INSIDE";
/// The program on a function of the kernel.
const NOTIFY: &str = "netdeed_notify";
/// Emulated processors need some of it.
const PATIENCE: Duration = Duration::from_secs(120);
const WITH_TRACEFS: &str =
    "mount --make-rprivate / && { test -e /sys/kernel/tracing/events || mount -t tracefs none /sys/kernel/tracing; }";

/// Runs `test` in namespaces prepared by the shell line `prepare`, by running this test binary again there.
fn inside(name: &str, prepare: &str, test: fn()) {
    if std::env::var_os(INSIDE).is_some() {
        return test();
    }
    assert!(rustix::process::geteuid().is_root(), "this test loads BPF programs and makes namespaces: run it as root");
    let script = format!("{prepare} && ip link set lo up && exec \"$@\"");
    let exe = std::env::current_exe().expect("own path");
    let status = Command::new("unshare")
        .args(["--net", "--mount", "sh", "-c", &script, "sh"])
        .arg(exe)
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .status()
        .expect("`unshare` runs");
    assert!(status.success(), "inner run of `{name}`: {status}");
}

fn own_netns() -> NetnsId {
    NetnsId(std::fs::metadata("/proc/self/ns/net").expect("own netns").ino() as u32)
}

/// Runs a command to its end and returns its process id.
fn run(line: &[&str]) -> Tgid {
    let mut child = Command::new(line[0])
        .args(&line[1..])
        .stdin(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run `{}`: {error}", line[0]));
    let id = child.id();
    let status = child.wait().expect("it can be waited for");
    assert!(status.success(), "{line:?}: {status}");
    Tgid(id)
}

/// Everything the ring holds now.
fn drain(source: &mut BpfSource) -> Vec<Raw> {
    let mut raw = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while source.drain(&mut raw, 1024).expect("the ring can be read") {
        assert!(Instant::now() < deadline, "the ring does not get empty");
    }
    raw
}

fn observations(raw: &[Raw]) -> Vec<Observation> {
    raw.iter()
        .filter_map(|record| match record {
            Raw::Bpf(bytes) => Some(decode(bytes).expect("our own records decode")),
            _ => None,
        })
        .collect()
}

/// The life of one process: fork by us, exec, exit, in this order, with the same identity throughout.
fn assert_life(seen: &[Observation], tgid: Tgid, argv: &[&str]) {
    let own = Tgid(std::process::id());
    let mut stages = Vec::new();
    let mut key = None;
    for observation in seen {
        match observation {
            Observation::Fork { parent, child, .. } if child.tgid == tgid => {
                assert_eq!(parent.process.tgid, own);
                key = Some(*child);
                stages.push("fork");
            }
            Observation::Exec { task, argv: found, .. } if task.process.tgid == tgid => {
                assert_eq!(Some(task.process), key);
                assert_eq!(found, argv);
                assert_eq!(task.ancestors[0].process.tgid, own);
                assert_eq!(task.ancestors.last().map(|first| first.process.tgid), Some(Tgid(1)));
                stages.push("exec");
            }
            Observation::Exit { process, .. } if process.tgid == tgid => {
                assert_eq!(Some(*process), key);
                stages.push("exit");
            }
            _ => {}
        }
    }
    assert_eq!(stages, ["fork", "exec", "exit"], "{argv:?}");
}

/// The protocols and lengths of the requests of one process, each with its end right after its begin.
fn requests_of(seen: &[Observation], tgid: Tgid) -> Vec<(u32, u64, i64)> {
    let mut requests = Vec::new();
    let mut open: Option<&netdeed_tracker::model::observation::Request> = None;
    for observation in seen {
        match observation {
            Observation::RequestOpened(request) if request.task.process.tgid == tgid => {
                assert!(open.is_none(), "a thread has one request at a time");
                assert_eq!(request.netns, own_netns());
                open = Some(request);
            }
            Observation::RequestClosed { tid, portid, result, .. } if tid.0 == tgid.0 => {
                let request = open.take().expect("an end has a begin");
                assert_ne!(portid.0, 0, "the socket is bound by now");
                assert!(request.portid.0 == 0 || request.portid == *portid);
                requests.push((request.protocol, request.length, *result));
            }
            _ => {}
        }
    }
    assert!(open.is_none(), "a begin has an end");
    requests
}

#[test]
fn real_tools_are_recorded_with_who_ran_them() {
    inside("real_tools_are_recorded_with_who_ran_them", WITH_TRACEFS, || {
        let (mut source, report) = load(&BpfOptions::default()).expect("the programs load");
        println!("{report:#?}");
        // not every kernel lets programs attach to functions
        let refused = report.unavailable().filter(|program| program.name != NOTIFY);
        assert_eq!(refused.collect::<Vec<_>>(), Vec::<&_>::new());
        assert!(report.sees_processes() && report.sees_requests() && report.sees_tables());
        let test = self_test(&mut source);
        assert!(test.passed(), "{test:#?}");

        assert_self_test_requests(&drain(&mut source));
        let bash = ["bash", "-c", "true"];
        let bridge = ["ip", "link", "add", "nd0", "type", "bridge"];
        let veth = ["ip", "link", "add", "nd1", "type", "veth", "peer", "name", "nd2"];
        let nft = ["iptables-nft", "-A", "INPUT", "-s", "192.0.2.1", "-j", "ACCEPT"];
        let legacy = ["iptables-legacy", "-A", "INPUT", "-s", "192.0.2.1", "-j", "ACCEPT"];
        let ids = [run(&bash), run(&bridge), run(&veth), run(&nft), run(&legacy)];
        let raw = drain(&mut source);
        assert!(!raw.iter().any(|record| matches!(record, Raw::Lost { .. })), "nothing was lost");
        let seen = observations(&raw);

        for (tgid, argv) in ids.into_iter().zip([&bash[..], &bridge, &veth, &nft, &legacy]) {
            assert_life(&seen, tgid, argv);
        }
        for tgid in [ids[1], ids[2]] {
            let requests = requests_of(&seen, tgid);
            assert!(requests.iter().any(|(protocol, _, _)| *protocol == 0), "{requests:?}");
            assert!(requests.iter().all(|(_, length, result)| *result == *length as i64), "{requests:?}");
        }
        let nft_requests = requests_of(&seen, ids[3]);
        assert!(nft_requests.iter().any(|(protocol, _, _)| *protocol == 12), "{nft_requests:?}");
        assert_table(&seen, ids[4]);
        assert_notifications(&seen, &report, &ids);
    });
}

/// Both requests of the self-test without effect (`NLMSG_NOOP`) were captured whole, also the one sent in two fragments.
fn assert_self_test_requests(raw: &[Raw]) {
    let own = std::process::id().to_ne_bytes();
    let mut captured = Vec::new();
    for record in raw {
        let Raw::Bpf(bytes) = record else { continue };
        let is_ours = bytes[offset_of!(Header, tgid)..].starts_with(&own);
        let is_request = || bytes.starts_with(&kind::REQUEST_OPENED.to_ne_bytes());
        let is_ioctl = || bytes[offset_of!(RequestOpened, flags)..].starts_with(&IS_IOCTL.to_ne_bytes());
        if is_ours && is_request() && !is_ioctl() {
            assert!(bytes[offset_of!(RequestOpened, data_bytes)..].starts_with(&32_u32.to_ne_bytes()));
            let data = &bytes[offset_of!(RequestOpened, data)..][..32];
            if data[4] == 1 {
                captured.push(data.to_vec());
            }
        }
    }
    let mut expected = vec![0; 32];
    (expected[0], expected[4], expected[6]) = (32, 1, 1);
    assert_eq!(captured, [expected.clone(), expected]);
}

/// Where the kernel lets that be seen: what it notifies of these processes' links is in their name, and of nobody else's.
fn assert_notifications(seen: &[Observation], report: &BpfReport, ids: &[Tgid; 5]) {
    let mut counts: BTreeMap<Tgid, usize> = BTreeMap::new();
    for observation in seen {
        let Observation::Notified(notified) = observation else { continue };
        if notified.netns == own_netns() && notified.by == NotifiedBy::Task {
            let link = &notified.head[20..24];
            assert!(!link.starts_with(&[0; 4]), "a link has a number: {notified:?}");
            *counts.entry(notified.task.process.tgid).or_default() += 1;
        }
    }
    if !report.sees_notifications() {
        let program = report.programs.iter().find(|program| program.name == NOTIFY).expect("it is reported");
        assert!(matches!(&program.state, ProgramState::Unavailable { reason, .. } if !reason.is_empty()));
        assert!(counts.is_empty());
        return;
    }
    assert!(counts.get(&ids[1]).is_some_and(|count| *count >= 1), "one bridge: {counts:?}");
    assert!(counts.get(&ids[2]).is_some_and(|count| *count >= 2), "two ends: {counts:?}");
    assert!([ids[0], ids[3], ids[4]].iter().all(|id| !counts.contains_key(id)), "they made no link: {counts:?}");
}

#[test]
fn a_script_is_recorded_under_its_own_path_with_its_cni_variables() {
    inside("a_script_is_recorded_under_its_own_path_with_its_cni_variables", "true", || {
        let (mut source, report) = load(&BpfOptions::default()).expect("the process programs load");
        assert!(report.sees_processes(), "{report:#?}");
        let folder = tempfile::tempdir().expect("a folder");
        let script = folder.path().join("bridge");
        std::fs::write(&script, "#!/bin/sh\nexit 0\n").expect("written");
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("executable");
        let path = script.to_str().expect("a path").to_owned();
        for padding in [10, 2_000] {
            let mut command = Command::new(&script);
            command.env_clear().env("PADDING", "x".repeat(padding)).env("CNI_COMMAND", "ADD").env("ZSECRET", "y");
            let id = command.arg("a").arg("").spawn().map(|mut child| (child.id(), child.wait())).expect("it runs").0;
            let seen = observations(&drain(&mut source));
            let exec = seen.iter().find_map(|observation| match observation {
                Observation::Exec { task, exe, argv, cni_env, argv_truncated, .. } if task.process.tgid.0 == id => {
                    Some((task.comm.clone(), exe.clone(), argv.clone(), *argv_truncated, cni_env.clone()))
                }
                _ => None,
            });
            let argv = ["/bin/sh", &path, "a", ""].map(str::to_owned).to_vec();
            let cni = vec![("CNI_COMMAND".to_owned(), "ADD".to_owned())];
            assert_eq!(exec, Some(("bridge".to_owned(), Some(path.clone()), argv, false, cni)), "padding {padding}");
        }
        let line = ["true", &"x".repeat(3_000)];
        let id = run(&line);
        let is_cut = observations(&drain(&mut source)).into_iter().find_map(|observation| match observation {
            Observation::Exec { task, argv, argv_truncated, .. } if task.process.tgid == id => {
                Some((argv[0].clone(), argv[1].len(), argv_truncated))
            }
            _ => None,
        });
        assert_eq!(is_cut, Some(("true".to_owned(), 1024 - 5, true)));
    });
}

/// The one replacement of `filter` by `iptables-legacy`, which is not a netlink request.
fn assert_table(seen: &[Observation], tgid: Tgid) {
    let tables: Vec<(&str, &str, i64, NetnsId)> = seen
        .iter()
        .filter_map(|observation| match observation {
            Observation::TableReplaced { task, netns, family, table, result, .. } if task.process.tgid == tgid => {
                Some((*family, table.as_str(), *result, *netns))
            }
            _ => None,
        })
        .collect();
    assert_eq!(tables, [("ip", "filter", 0, own_netns())]);
}

#[test]
fn a_missing_tracefs_only_costs_the_syscall_programs() {
    let prepare = "mount --make-rprivate / \
                   && { umount -l /sys/kernel/debug; umount -l /sys/kernel/tracing; } 2>/dev/null; \
                   ! test -e /sys/kernel/tracing/events && ! test -e /sys/kernel/debug/tracing/events";
    inside("a_missing_tracefs_only_costs_the_syscall_programs", prepare, || {
        let (mut source, report) = load(&BpfOptions::default()).expect("the process programs load");
        assert!(report.sees_processes(), "{report:#?}");
        assert!(!report.sees_requests() && !report.sees_tables());
        let first = report.unavailable().next().expect("some do not run");
        let expected = ProgramState::Unavailable {
            reason: "tracefs is not mounted".to_owned(),
            remedy: Some("mount -t tracefs none /sys/kernel/tracing".to_owned()),
        };
        assert_eq!(first.state, expected);
        let test = self_test(&mut source);
        assert!(test.processes_passed() && !test.requests_passed(), "{test:#?}");
        let line = ["bash", "-c", "true"];
        let id = run(&line);
        assert_life(&observations(&drain(&mut source)), id, &line);
    });
}

#[test]
fn without_privileges_the_error_says_what_is_needed() {
    if std::env::var_os(INSIDE).is_some() {
        let error = load(&BpfOptions::default()).expect_err("no privileges");
        println!("{error}");
        assert!(error.to_string().ends_with("run as root, or with CAP_BPF and CAP_PERFMON (CAP_SYS_ADMIN before 5.8)"));
        return;
    }
    assert!(rustix::process::geteuid().is_root(), "this test drops privileges: run it as root");
    let status = Command::new("setpriv")
        .args(["--bounding-set=-all", "--inh-caps=-all"])
        .arg(std::env::current_exe().expect("own path"))
        .args(["--exact", "without_privileges_the_error_says_what_is_needed", "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .expect("`setpriv` runs");
    assert!(status.success(), "{status}");
}

#[test]
fn what_does_not_fit_the_ring_is_counted_exactly() {
    inside("what_does_not_fit_the_ring_is_counted_exactly", WITH_TRACEFS, || {
        let options = BpfOptions { ring_bytes: 16 * 1024, ..BpfOptions::default() };
        let (mut source, _) = load(&options).expect("the programs load");
        let ids: BTreeSet<u32> = (0..40).map(|_| run(&["true"]).0).collect();
        let raw = drain(&mut source);
        let mut read = 0;
        for observation in observations(&raw) {
            match observation {
                Observation::Fork { child, .. } if ids.contains(&child.tgid.0) => read += 1,
                Observation::Exec { task: TaskRef { process, .. }, .. } | Observation::Exit { process, .. }
                    if ids.contains(&process.tgid.0) =>
                {
                    read += 1;
                }
                _ => {}
            }
        }
        let lost: u64 = raw
            .iter()
            .filter_map(|record| match record {
                Raw::Lost { source: Source::Processes, lost } => *lost,
                _ => None,
            })
            .sum();
        println!("read {read}, lost {lost}");
        assert!(read < 60, "16 KiB hold no more");
        // Other processes of the machine may have lost some, too.
        assert!(read + lost >= 120, "{read} read and {lost} lost of 3 records each of 40 processes");
        // Once it is empty it takes records again. Others' can fill it meanwhile, and then it says so.
        let deadline = Instant::now() + PATIENCE;
        let (after, raw) = loop {
            let tgid = run(&["true"]);
            let raw = drain(&mut source);
            if !raw.iter().any(|record| matches!(record, Raw::Lost { .. })) {
                break (tgid, raw);
            }
            assert!(Instant::now() < deadline, "the machine never leaves the ring room for one process");
        };
        assert_life(&observations(&raw), after, &["true"]);
    });
}

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;

/// `ip link add nd9 type bridge`, or its removal, as one netlink message that asks for an acknowledgement.
fn link_request(kind: u16) -> Vec<u8> {
    let mut attributes = Vec::new();
    let mut attribute = |number: u16, value: &[u8]| {
        attributes.extend((4 + value.len() as u16).to_ne_bytes());
        attributes.extend(number.to_ne_bytes());
        attributes.extend(value);
        attributes.resize(attributes.len().next_multiple_of(4), 0);
    };
    attribute(3, b"nd9\0"); // IFLA_IFNAME
    if kind == RTM_NEWLINK {
        attribute(18 | 0x8000, b"\x0a\0\x01\0bridge\0\0"); // IFLA_LINKINFO { IFLA_INFO_KIND }
    }
    let flags: u16 = if kind == RTM_NEWLINK { 0x605 } else { 0x5 };
    let mut message = Vec::new();
    message.extend((32 + attributes.len() as u32).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 24]);
    message.extend(attributes);
    message
}

#[test]
fn whoever_got_a_notification_finds_its_request_in_the_ring() {
    inside("whoever_got_a_notification_finds_its_request_in_the_ring", WITH_TRACEFS, || {
        const ROUNDS: usize = 200;
        let (mut source, _) = load(&BpfOptions::default()).expect("the programs load");
        let mut listener = Socket::new(NETLINK_ROUTE).expect("a socket");
        listener.bind(&SocketAddr::new(0, 1)).expect("RTMGRP_LINK");
        let worker = std::thread::spawn(|| {
            let mut socket = Socket::new(NETLINK_ROUTE).expect("a socket");
            socket.bind_auto().expect("bound");
            let kernel = SocketAddr::new(0, 0);
            for kind in [RTM_NEWLINK, RTM_DELLINK].into_iter().cycle().take(2 * ROUNDS) {
                socket.send_to(&link_request(kind), &kernel, 0).expect("sent");
                let (answer, _) = socket.recv_from_full().expect("an acknowledgement");
                assert_eq!(answer[16..20], [0; 4], "the kernel did it");
            }
        });
        let own = Tgid(std::process::id());
        let (mut notified, mut opened) = (0, 0);
        let deadline = Instant::now() + PATIENCE;
        while notified < 2 * ROUNDS {
            assert!(Instant::now() < deadline, "{notified} notifications came");
            let mut wait = [PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN)];
            poll(&mut wait, Some(&Timespec { tv_sec: 1, tv_nsec: 0 })).expect("poll");
            if wait[0].revents().is_empty() {
                continue;
            }
            let (message, _) = listener.recv_from_full().expect("a notification");
            let is_removal = message[4..6] == RTM_DELLINK.to_ne_bytes();
            let is_addition = message[4..6] == RTM_NEWLINK.to_ne_bytes() && message[28..32] == [0xff; 4];
            opened += observations(&drain(&mut source))
                .iter()
                .filter(|one| matches!(one, Observation::RequestOpened(request) if request.task.process.tgid == own))
                .count();
            if is_removal || is_addition {
                notified += 1;
                assert!(opened >= notified, "{notified} notifications, but only {opened} requests");
            }
        }
        worker.join().expect("the worker did its work");
    });
}

#[test]
fn a_cgroup_is_named_before_anything_runs_in_it_and_what_is_executed_there_names_it() {
    let prepare = format!(
        "{WITH_TRACEFS} && {{ grep -q ' - cgroup2\\? ' /proc/self/mountinfo || mount -t cgroup2 none /sys/fs/cgroup; }}"
    );
    inside("a_cgroup_is_named_before_anything_runs_in_it_and_what_is_executed_there_names_it", &prepare, || {
        let (mut source, report) = load(&BpfOptions::default()).expect("the programs load");
        let is_named = |one: &&ProgramReport| one.name.starts_with("netdeed_cgroup_");
        let programs: Vec<_> = report.programs.iter().filter(is_named).collect();
        assert!(programs.len() == 2 && programs.iter().all(|one| one.is_attached()), "{report:#?}");
        let cgroup = Cgroup::new("x.service").expect("a cgroup");
        let id = std::fs::metadata(cgroup.dir()).expect("it is there").ino();
        let expected = CgroupId { hierarchy: cgroup.hierarchy(), id };
        let script = format!("echo $$ > {}/cgroup.procs; exec true", cgroup.dir().display());
        let child = run(&["sh", "-ec", &script]);
        let seen = observations(&drain(&mut source));
        let named =
            seen.iter().position(|one| matches!(one, Observation::CgroupNamed { cgroup, .. } if *cgroup == expected));
        let named = named.expect("it was told of");
        assert!(
            matches!(&seen[named], Observation::CgroupNamed { path, .. } if *path == cgroup.path()),
            "{:?}",
            seen[named]
        );
        let executed: Vec<(usize, CgroupId)> = seen
            .iter()
            .enumerate()
            .filter_map(|(at, one)| match one {
                Observation::Exec { task, v1_cgroup, .. } if task.process.tgid == child => {
                    Some((at, v1_cgroup.unwrap_or(CgroupId::v2(task.cgroup_id))))
                }
                _ => None,
            })
            .collect();
        assert_eq!(executed.len(), 2, "{executed:?}");
        assert_ne!(executed[0].1, expected, "not yet");
        assert_eq!(executed[1].1, expected);
        assert!(named < executed[1].0);
    });
}
