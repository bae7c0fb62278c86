//! Calls and mounts in every order: who is named, and who is not.

use super::*;
use crate::model::ids::{NetnsId, Tgid};
use crate::model::observation::TaskRef;
use crate::model::process::{ExecId, Image, Placement, ProcessKey, ProcessSource};

const HERE: u32 = 1;
const MS_MOVE: u64 = 1 << 13;
const MS_REC: u64 = 1 << 14;
const MS_BIND: u64 = 1 << 12;
const MS_PRIVATE: u64 = 1 << 18;
const MS_REMOUNT: u64 = 1 << 5;
const MNT_DETACH: u64 = 2;

fn asked(pid: u32, time: u64, call: MountCall, flags: u64, target: &str) -> (MountRequest, Arc<Actor>) {
    let process = ProcessKey { tgid: Tgid(pid), start: BootTime(1) };
    let task = TaskRef {
        process,
        tid: Tid(pid),
        comm: "mount".to_owned(),
        uid: 0,
        login_uid: None,
        netns: NetnsId(1),
        cgroup_id: 1,
        ancestors: Vec::new(),
    };
    let image = Image {
        id: ExecId { process, exec: 1 },
        parent: None,
        exe: Some("/bin/mount".to_owned()),
        comm: "mount".to_owned(),
        argv: Vec::new(),
        argv_truncated: false,
        uid: 0,
        login_uid: None,
        netns: NetnsId(1),
        placement: Placement::default(),
        seat: Default::default(),
        cni: None,
        source: ProcessSource::Kernel,
    };
    let actor = Arc::new(Actor { image, ancestry: Vec::new(), is_truncated: false });
    let (target, from) = (target.as_bytes().to_vec(), b"/from".to_vec());
    (MountRequest { time: BootTime(time), task, namespace: HERE, call, flags, target, from }, actor)
}

fn path(text: &str) -> AbsPath {
    AbsPath::new(Path::new(text)).expect("absolute")
}

/// The processes that one of the calls names for what happened at `/a/b/c`.
fn who(calls: &[(MountRequest, Arc<Actor>)], at: &str, act: MountAct) -> Vec<u32> {
    let mut table = MountRequests::new(HERE);
    for (request, actor) in calls {
        table.open(request.clone(), Arc::clone(actor));
    }
    let mut found = match table.behind(&path(at), act, BootTime(0), Hints::All) {
        Match::One { actor, is_exact: false, .. } => vec![actor.image.id.process.tgid.0],
        Match::Several { actors, .. } => actors.iter().map(|actor| actor.image.id.process.tgid.0).collect(),
        Match::None => Vec::new(),
        other => panic!("{other:?}"),
    };
    found.sort_unstable();
    found
}

#[test]
fn the_call_that_names_the_path_best_explains_a_mount() {
    use MountAct::Appeared;
    use MountCall::Mount;
    let exact = asked(1, 5, Mount, 0, "/a/b//c/");
    let above = asked(2, 5, Mount, MS_BIND | MS_REC, "/a");
    let link = asked(3, 5, Mount, 0, "/var/b/c");
    let relative = asked(4, 5, Mount, 0, "c");
    let opaque = asked(5, 5, MountCall::Move, 0, "/proc/self/fd/7");
    let all = [opaque.clone(), relative.clone(), link.clone(), above.clone(), exact];
    assert_eq!(who(&all, "/a/b/c", Appeared), [1]);
    assert_eq!(who(&all[..4], "/a/b/c", Appeared), [2]);
    assert_eq!(who(&all[..3], "/a/b/c", Appeared), [3]);
    assert_eq!(who(&all[..2], "/a/b/c", Appeared), [4]);
    assert_eq!(who(&all[..1], "/a/b/c", Appeared), [5]);
    assert!(who(&[asked(6, 5, Mount, 0, "/a/b"), asked(7, 5, Mount, 0, "/x/c")], "/a/b/c", Appeared).is_empty());
    assert_eq!(who(&[asked(6, 5, Mount, 0, "/a/b/c"), asked(7, 5, Mount, 0, "/a/b/c")], "/a/b/c", Appeared), [6, 7]);
}

#[test]
fn a_call_that_names_nothing_is_only_a_hint() {
    let mut table = MountRequests::new(HERE);
    let (request, actor) = asked(1, 5, MountCall::Mount, 0, "/proc/self/fd/7");
    table.open(request, actor);
    let behind = |hints| table.behind(&path("/a/b/c"), MountAct::Appeared, BootTime(0), hints);
    assert_eq!(behind(Hints::Paths), Match::None);
    assert!(matches!(behind(Hints::All), Match::One { .. }));
}

#[test]
fn a_call_only_explains_what_it_can_do() {
    use MountAct::{Appeared, Changed, Disappeared};
    use MountCall::{Mount, Move, Unmount};
    let one = |call, flags, at: &str, act| !who(&[asked(1, 5, call, flags, at)], "/a/b/c", act).is_empty();
    assert!(one(Mount, 0, "/a/b/c", Appeared) && !one(Mount, 0, "/a/b/c", Changed));
    assert!(!one(Mount, MS_PRIVATE | MS_REC, "/a/b/c", Appeared) && !one(Mount, 0, "/a/b/c", Disappeared));
    assert!(one(Mount, MS_REMOUNT | MS_BIND, "/a/b/c", Changed) && !one(Mount, MS_REMOUNT, "/a/b/c", Appeared));
    assert!(one(Unmount, 0, "/a/b/c", Disappeared) && !one(Unmount, 0, "/a/b/c", Appeared));
    assert!(one(Unmount, MNT_DETACH, "/a", Disappeared) && !one(Unmount, 0, "/a", Disappeared));
    assert!(one(Move, 0, "/a/b", Appeared), "with what is below it");
    // a moved mount goes from where it was
    let moved = |from: &str, call, flags| {
        let (mut request, actor) = asked(1, 5, call, flags, "/z");
        request.from = from.as_bytes().to_vec();
        !who(&[(request, actor)], "/a/b/c", Disappeared).is_empty()
    };
    assert!(moved("/a/b/c", Move, 0) && moved("/a", Mount, MS_MOVE) && !moved("/b", Move, 0));
}

#[test]
fn another_mount_namespaces_calls_count_only_by_the_very_path() {
    let elsewhere = |at: &str| {
        let (mut request, actor) = asked(1, 5, MountCall::Mount, 0, at);
        request.namespace = 2;
        who(&[(request, actor)], "/a/b/c", MountAct::Appeared)
    };
    assert_eq!(elsewhere("/a/b/c"), [1]);
    for other in ["", "c", "/x/b/c", "/proc/self/fd/3", "."] {
        assert!(elsewhere(other).is_empty(), "{other}");
    }
}

#[test]
fn failed_earlier_and_lost_calls_name_nobody() {
    let behind =
        |table: &MountRequests, since| table.behind(&path("/a/b/c"), MountAct::Appeared, BootTime(since), Hints::Paths);
    let mut table = MountRequests::new(HERE);
    let call = |table: &mut MountRequests, pid, time| {
        let (request, actor) = asked(pid, time, MountCall::Mount, 0, "/a/b/c");
        table.open(request, actor);
    };
    call(&mut table, 1, 5);
    table.close(Tid(1), BootTime(6), -16);
    assert_eq!(behind(&table, 0), Match::None, "it failed");
    call(&mut table, 2, 5);
    table.close(Tid(2), BootTime(6), 0);
    assert!(matches!(behind(&table, 6), Match::One { .. }));
    assert_eq!(behind(&table, 7), Match::None, "the table was read since");
    table.lost(BootTime(9));
    assert_eq!(behind(&table, 8), Match::Lost);
    assert_eq!(behind(&table, 10), Match::None);
    table.forget_before(BootTime(10));
    assert!(table.ended.is_empty() && table.open.is_empty());
    for pid in 0..10_000 {
        call(&mut table, pid, 20);
    }
    assert!(table.open.len() <= MAX);
}
