//! Records built field by field, and bytes that are none.

use proptest::prelude::*;
use tracker_ebpf::abi::{ABI_VERSION, ExecShort};

use super::*;

/// A record under construction: zeros, then fields at their offsets.
struct Record(Vec<u8>);

impl Record {
    fn new(kind: u16, bytes: usize) -> Self {
        let mut record = Self(vec![0; bytes]);
        record.put(offset_of!(Header, kind), &kind.to_ne_bytes());
        record.put(offset_of!(Header, abi), &ABI_VERSION.to_ne_bytes());
        record.put(offset_of!(Header, time), &5_000_u64.to_ne_bytes());
        record.put(offset_of!(Header, start), &4_000_u64.to_ne_bytes());
        record.put(offset_of!(Header, cgroup_id), &77_u64.to_ne_bytes());
        for (at, value) in [
            (offset_of!(Header, tgid), 10_u32),
            (offset_of!(Header, tid), 11),
            (offset_of!(Header, uid), 12),
            (offset_of!(Header, login_uid), 1000),
            (offset_of!(Header, netns), 13),
        ] {
            record.put_u32(at, value);
        }
        record.put(offset_of!(Header, comm), b"iptables\0rest");
        record
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn put_u32(&mut self, at: usize, value: u32) {
        self.put(at, &value.to_ne_bytes());
    }

    fn ancestors(&mut self, at: usize, count: u32) {
        self.put_u32(at + offset_of!(Ancestry, count), count);
        for index in 0..count.min(ANCESTORS as u32) {
            let entry = at + offset_of!(Ancestry, entries) + index as usize * size_of::<Ancestor>();
            self.put(entry + offset_of!(Ancestor, start), &u64::from(100 - index).to_ne_bytes());
            self.put_u32(entry + offset_of!(Ancestor, tgid), 9 - index.min(8));
            self.put(entry + offset_of!(Ancestor, comm), b"a-name-of-15-by\0");
        }
    }
}

fn expected_task(ancestors: &[(u32, u64)]) -> TaskRef {
    TaskRef {
        process: ProcessKey { tgid: Tgid(10), start: BootTime(4_000) },
        tid: Tid(11),
        comm: "iptables".to_owned(),
        uid: 12,
        login_uid: Some(1000),
        netns: NetnsId(13),
        cgroup_id: 77,
        ancestors: ancestors
            .iter()
            .map(|(tgid, start)| AncestorRef {
                process: ProcessKey { tgid: Tgid(*tgid), start: BootTime(*start) },
                comm: "a-name-of-15-by".to_owned(),
            })
            .collect(),
    }
}

#[test]
fn a_fork_names_parent_child_and_ancestors() {
    let mut record = Record::new(kind::FORK, size_of::<Fork>());
    record.ancestors(offset_of!(Fork, ancestry), 2);
    record.put(offset_of!(Fork, child_start), &4_999_u64.to_ne_bytes());
    record.put_u32(offset_of!(Fork, child_tgid), 14);
    record.put_u32(offset_of!(Fork, child_inner_tgid), 3);
    let expected = Observation::Fork {
        time: BootTime(5_000),
        parent: expected_task(&[(9, 100), (8, 99)]),
        child: ProcessKey { tgid: Tgid(14), start: BootTime(4_999) },
        inner_tgid: Some(Tgid(3)),
    };
    assert_eq!(decode(&record.0), Ok(expected));
}

fn exec_record(argv: &[u8], argv_total: u32, env: &[u8]) -> Record {
    let mut record = Record::new(kind::EXEC, size_of::<ExecShort>());
    record.put(offset_of!(ExecHead, exe), b"/usr/sbin/iptables\0old bytes");
    record.put_u32(offset_of!(ExecHead, exe_bytes), 18);
    let capacity = (offset_of!(ExecShort, env) - offset_of!(ExecShort, argv)) as u32;
    record.put_u32(offset_of!(ExecHead, argv_capacity), capacity);
    record.put_u32(offset_of!(ExecHead, argv_bytes), argv.len() as u32);
    record.put_u32(offset_of!(ExecHead, argv_total), argv_total);
    record.put_u32(offset_of!(ExecHead, env_bytes), env.len() as u32);
    record.put(offset_of!(ExecShort, argv), argv);
    record.put(offset_of!(ExecShort, env), env);
    record
}

/// Path, arguments, whether they were cut, and variables of an exec.
type ExecParts = (Option<String>, Vec<String>, bool, Vec<(String, String)>);

fn exec_parts(record: &Record) -> ExecParts {
    match decode(&record.0) {
        Ok(Observation::Exec { exe, argv, argv_truncated, cni_env, .. }) => (exe, argv, argv_truncated, cni_env),
        other => panic!("expected an exec but found {other:?}"),
    }
}

#[test]
fn an_exec_says_from_where_and_zeros_say_nothing() {
    let seat = |record: &Record| match decode(&record.0) {
        Ok(Observation::Exec { seat, .. }) => seat,
        other => panic!("expected an exec but found {other:?}"),
    };
    let mut record = exec_record(b"a\0", 2, b"SSH_CONNECTION_X=no\0SSH_CONNECTION=10.0.0.1 5 10.0.0.2 22\0");
    record.put_u32(offset_of!(ExecHead, audit_session), 7);
    record.put_u32(offset_of!(ExecHead, terminal), (136 << 20) | 3);
    record.put_u32(offset_of!(ExecHead, inner_tgid), 2);
    record.put(offset_of!(ExecHead, netns_cookie), &9_u64.to_ne_bytes());
    let whole = Seat {
        tty: Some("pts/3".to_owned()),
        audit_session: Some(7),
        ssh: Some("10.0.0.1 5 10.0.0.2 22".to_owned()),
        inner_tgid: Some(Tgid(2)),
        netns_cookie: Some(9),
    };
    assert_eq!(seat(&record), whole);
    let mut nothing = exec_record(b"a\0", 2, b"HOME=/\0");
    nothing.put_u32(offset_of!(ExecHead, audit_session), UNSET_SESSION);
    assert_eq!(seat(&nothing), Seat::default());
}

#[test]
fn an_exec_keeps_arguments_and_only_whole_cni_variables() {
    let env = b"HOME=/root\0CNI_COMMAND=ADD\0SECRET=x\0CNI_ARGS=A=1;B=2\0XCNI_=no\0CNI_NO_VALUE\0CNI_NETNS=/var/ru";
    let (exe, argv, truncated, cni) = exec_parts(&exec_record(b"iptables\0-A\0\0", 13, env));
    assert_eq!(exe.as_deref(), Some("/usr/sbin/iptables"));
    assert_eq!(argv, ["iptables", "-A", ""], "the last argument is an empty one");
    assert!(!truncated);
    let expected = [("CNI_COMMAND", "ADD"), ("CNI_ARGS", "A=1;B=2")];
    assert_eq!(cni, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn an_exec_names_the_v1_cgroup_if_there_is_one() {
    let mut record = exec_record(b"x\0", 2, b"");
    let cgroup = |record: &Record| match decode(&record.0) {
        Ok(Observation::Exec { v1_cgroup, .. }) => v1_cgroup,
        other => panic!("expected an exec but found {other:?}"),
    };
    assert_eq!(cgroup(&record), None);
    record.put_u32(offset_of!(ExecHead, v1_hierarchy), 8);
    record.put(offset_of!(ExecHead, v1_cgroup_id), &77_u64.to_ne_bytes());
    assert_eq!(cgroup(&record), Some(CgroupId { hierarchy: 8, id: 77 }));
}

#[test]
fn a_cgroup_has_its_number_and_path_and_a_lying_length_does_no_harm() {
    let mut record = Record::new(kind::CGROUP_NAMED, size_of::<CgroupNamed>());
    record.put_u32(offset_of!(CgroupNamed, hierarchy), 8);
    record.put(offset_of!(CgroupNamed, id), &77_u64.to_ne_bytes());
    record.put(offset_of!(CgroupNamed, path), b"/a/b\0old");
    record.put_u32(offset_of!(CgroupNamed, path_bytes), 4);
    let cgroup = CgroupId { hierarchy: 8, id: 77 };
    assert_eq!(decode(&record.0), Ok(Observation::CgroupNamed { cgroup, path: "/a/b".to_owned() }));
    record.put_u32(offset_of!(CgroupNamed, path_bytes), u32::MAX);
    assert!(decode(&record.0).is_ok());
}

#[test]
fn a_request_about_mounts_names_two_paths() {
    let mut record = Record::new(kind::REQUEST_OPENED, size_of::<RequestOpened>());
    record.put_u32(offset_of!(RequestOpened, flags), IS_MOUNT);
    record.put_u32(offset_of!(RequestOpened, protocol), mount::MOVE);
    record.put_u32(offset_of!(RequestOpened, netns), 4_026_531_841);
    record.put(offset_of!(RequestOpened, total_bytes), &0x12_u64.to_ne_bytes());
    record.put(offset_of!(RequestOpened, data), b"/to\0old");
    record.put_u32(offset_of!(RequestOpened, data_bytes), 3);
    record.put(offset_of!(RequestOpened, data) + MOUNT_PATH_BYTES, b"/from\0");
    record.put_u32(offset_of!(RequestOpened, reserved), 5);
    let Ok(Observation::MountOpened(request)) = decode(&record.0) else { panic!("{:?}", decode(&record.0)) };
    assert_eq!((request.call, request.flags, request.namespace), (MountCall::Move, 0x12, 4_026_531_841));
    assert_eq!((request.target.as_slice(), request.from.as_slice()), (&b"/to"[..], &b"/from"[..]));
    record.put_u32(offset_of!(RequestOpened, data_bytes), u32::MAX);
    assert!(decode(&record.0).is_ok(), "a lying length does no harm");
    record.put_u32(offset_of!(RequestOpened, protocol), 9);
    assert_eq!(decode(&record.0), Err(DecodeError::Mount { found: 9 }));
}

#[test]
fn cut_arguments_are_marked() {
    let (_, argv, truncated, _) = exec_parts(&exec_record(b"sh\0-c\0iptab", 400, b""));
    assert_eq!(argv, ["sh", "-c", "iptab"]);
    assert!(truncated);
    let (_, argv, truncated, _) = exec_parts(&exec_record(b"", 0, b""));
    assert_eq!((argv.len(), truncated), (0, false));
}

#[test]
fn an_unreadable_exe_is_not_known() {
    let mut record = exec_record(b"x\0", 2, b"");
    record.put_u32(offset_of!(ExecHead, exe_bytes), 0);
    assert_eq!(exec_parts(&record).0, None);
}

#[test]
fn lengths_beyond_the_record_are_errors() {
    for field in [offset_of!(ExecHead, argv_capacity), offset_of!(ExecHead, env_bytes)] {
        let mut record = exec_record(b"x\0", 2, b"");
        record.put_u32(field, u32::MAX);
        record.put_u32(offset_of!(ExecHead, argv_bytes), u32::MAX);
        assert!(matches!(decode(&record.0), Err(DecodeError::Short { record: "exec", .. })));
    }
}

#[test]
fn a_request_carries_socket_and_task_namespaces() {
    let mut record = Record::new(kind::REQUEST_OPENED, size_of::<RequestOpened>());
    record.ancestors(offset_of!(RequestOpened, ancestry), 1);
    record.put(offset_of!(RequestOpened, total_bytes), &900_u64.to_ne_bytes());
    record.put_u32(offset_of!(RequestOpened, protocol), 12);
    record.put_u32(offset_of!(RequestOpened, netns), 99);
    record.put_u32(offset_of!(RequestOpened, portid), 4_242);
    let Ok(Observation::RequestOpened(request)) = decode(&record.0) else { panic!("expected a request") };
    assert_eq!(request.task, expected_task(&[(9, 100)]));
    assert_eq!((request.netns, request.portid), (NetnsId(99), Portid(4_242)));
    assert_eq!((request.protocol, request.length), (12, 900));
    assert!(request.is_truncated, "900 bytes of which none was captured");
}

#[test]
fn a_request_of_unknown_length_is_truncated() {
    let mut record = Record::new(kind::REQUEST_OPENED, size_of::<RequestOpened>());
    let is_truncated = |record: &Record| match decode(&record.0) {
        Ok(Observation::RequestOpened(request)) => request.is_truncated,
        other => panic!("expected a request but found {other:?}"),
    };
    let before = is_truncated(&record);
    record.put_u32(offset_of!(RequestOpened, flags), LENGTH_IS_LOWER_BOUND);
    assert_eq!((before, is_truncated(&record)), (false, true));
}

#[test]
fn results_are_signed() {
    let mut record = Record::new(kind::REQUEST_CLOSED, size_of::<RequestClosed>());
    record.put(offset_of!(RequestClosed, result), &(-105_i64).to_ne_bytes());
    record.put_u32(offset_of!(RequestClosed, portid), 7);
    let expected = Observation::RequestClosed { time: BootTime(5_000), tid: Tid(11), portid: Portid(7), result: -105 };
    assert_eq!(decode(&record.0), Ok(expected));
}

#[test]
fn table_families_follow_level_and_option() {
    let replace = |level, option| {
        let mut record = Record::new(kind::TABLE_REPLACED, size_of::<TableReplaced>());
        record.put_u32(offset_of!(TableReplaced, level), level);
        record.put_u32(offset_of!(TableReplaced, option), option);
        record.put(offset_of!(TableReplaced, table), b"filter\0");
        match decode(&record.0) {
            Ok(Observation::TableReplaced { family, table, .. }) => Ok((family, table)),
            Err(error) => Err(error),
            Ok(other) => panic!("expected a table but found {other:?}"),
        }
    };
    for (level, option, family) in [(0, 64, "ip"), (41, 64, "ip6"), (0, 96, "arp"), (0, 128, "eb")] {
        assert_eq!(replace(level, option), Ok((family, "filter".to_owned())));
    }
    assert_eq!(replace(41, 96), Err(DecodeError::Option { level: 41, option: 96 }));
}

#[test]
fn ids_that_were_never_set_are_none() {
    let mut record = Record::new(kind::FORK, size_of::<Fork>());
    record.put_u32(offset_of!(Header, login_uid), UNSET_UID);
    let Ok(Observation::Fork { parent, .. }) = decode(&record.0) else { panic!("expected a fork") };
    assert_eq!(parent.login_uid, None);
}

#[test]
fn more_ancestors_than_fit_are_not_believed() {
    let mut record = Record::new(kind::FORK, size_of::<Fork>());
    record.ancestors(offset_of!(Fork, ancestry), u32::MAX);
    let Ok(Observation::Fork { parent, .. }) = decode(&record.0) else { panic!("expected a fork") };
    assert_eq!(parent.ancestors.len(), ANCESTORS);
}

#[test]
fn other_versions_and_kinds_are_refused() {
    let mut record = Record::new(kind::EXIT, size_of::<Exit>());
    record.put(offset_of!(Header, abi), &(ABI_VERSION + 1).to_ne_bytes());
    assert_eq!(decode(&record.0), Err(DecodeError::Version { found: ABI_VERSION + 1 }));
    assert_eq!(decode(&Record::new(0, 80).0), Err(DecodeError::Kind { found: 0 }));
    assert!(matches!(decode(&[0; 79]), Err(DecodeError::Short { expected: 80, .. })));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..6000), kind in 0_u16..8) {
        let mut bytes = bytes;
        if bytes.len() >= 4 {
            bytes[..2].copy_from_slice(&kind.to_ne_bytes());
            bytes[2..4].copy_from_slice(&ABI_VERSION.to_ne_bytes());
        }
        let _ = decode(&bytes);
    }
}
