//! Records against the truth.

use super::acts::{ARGUMENT, Child, LOOPBACK, Own, Raised, Sent, Truth, VARIABLE};
use crate::capture::bpf::BpfReport;
use crate::capture::bpf::programs::NOTIFY;
use crate::model::ids::Tid;
use crate::model::observation::{IOCTL, Notified, NotifiedBy, Observation, TaskRef};
use crate::model::process::ProcessKey;

/// The check of notifications; made where the kernel lets the program attach.
pub(super) const NOTIFICATIONS: &str = "fentry:nlmsg_notify";

/// One check, so far.
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) result: Result<(), String>,
    /// Whether its record may still come.
    pub(super) may_improve: bool,
}

/// What became of a check: passed, or the record is not there (yet), or it is wrong or cannot come.
enum Outcome {
    Passed,
    NotSeen,
    Failed(String),
}

/// Makes every check against what was seen so far.
pub(super) fn all(truth: &Truth, seen: &[Observation], report: &BpfReport) -> Vec<Check> {
    let check = |name: &'static str, programs: &[&str], outcome: &dyn Fn() -> Outcome| {
        let outcome =
            if report.attached(programs) { outcome() } else { Outcome::Failed(format!("not all of {programs:?} run")) };
        let (result, may_improve) = match outcome {
            Outcome::Passed => (Ok(()), false),
            Outcome::NotSeen => (Err("no record of it came".to_owned()), true),
            Outcome::Failed(why) => (Err(why), false),
        };
        Check { name, result, may_improve }
    };
    let own = match &truth.own {
        Ok(own) => own,
        Err(error) => {
            let why = format!("cannot read about this process in /proc: {error}");
            return vec![Check { name: "fork", result: Err(why), may_improve: false }];
        }
    };
    let mut checks = vec![
        check("fork", &["netdeed_fork"], &|| with(&truth.child, |child| fork(own, child, seen))),
        check("exec", &["netdeed_exec"], &|| with(&truth.child, |child| exec(own, child, seen))),
        check("exit", &["netdeed_exit"], &|| with(&truth.child, |child| exit(child, seen))),
        check("sendto", &["netdeed_sendto", "netdeed_sendto_done"], &|| {
            with(&truth.sendto, |sent| request(own, sent, seen))
        }),
        check("sendmsg", &["netdeed_sendmsg", "netdeed_sendmsg_done"], &|| {
            with(&truth.sendmsg, |sent| request(own, sent, seen))
        }),
        check("setsockopt", &["netdeed_setsockopt", "netdeed_setsockopt_done"], &|| {
            with(&truth.setsockopt, |result| replaced(own, *result, seen))
        }),
        check("ioctl", &["netdeed_ioctl", "netdeed_ioctl_done"], &|| {
            with(&truth.ioctl, |result| renamed(own, *result, seen))
        }),
    ];
    // where the kernel does not let it attach, nothing relies on it
    if let Some(raised) = &truth.raised {
        checks.push(check(NOTIFICATIONS, &[NOTIFY], &|| with(raised, |raised| notified(own, raised, seen))));
    }
    checks
}

fn with<T>(done: &std::io::Result<T>, check: impl Fn(&T) -> Outcome) -> Outcome {
    match done {
        Ok(done) => check(done),
        Err(error) => Outcome::Failed(format!("cannot do it: {error}")),
    }
}

/// Compares, and names what differs.
fn equal<T: PartialEq + std::fmt::Debug>(what: &str, recorded: &T, truth: &T) -> Result<(), String> {
    if recorded == truth { Ok(()) } else { Err(format!("{what} recorded as {recorded:?}, is {truth:?}")) }
}

/// Compares processes by 10 ms ticks, all that /proc tells; a record without a start time is wrong at any time.
fn same_process(what: &str, recorded: ProcessKey, truth: ProcessKey) -> Result<(), String> {
    if recorded.start.0 != 0 && recorded.matches(truth) {
        return Ok(());
    }
    Err(format!("{what} recorded as {recorded:?}, is {truth:?} (to 10 ms)"))
}

fn task(own: &Own, task: &TaskRef) -> Result<(), String> {
    same_process("the process", task.process, own.process)?;
    equal("the thread", &task.tid, &own.tid)?;
    equal("the task's network namespace", &task.netns, &own.netns)?;
    equal("the user", &task.uid, &rustix::process::getuid().as_raw())?;
    if own.process.tgid.0 != 1 && task.ancestors.is_empty() {
        return Err("no ancestor recorded".to_owned());
    }
    Ok(())
}

fn outcome(result: Result<(), String>) -> Outcome {
    result.map_or_else(Outcome::Failed, |()| Outcome::Passed)
}

fn fork(own: &Own, child: &Child, seen: &[Observation]) -> Outcome {
    let found = seen.iter().find_map(|observation| match observation {
        Observation::Fork { parent, child: made, .. } if made.tgid == child.process.tgid => Some((parent, made)),
        _ => None,
    });
    let Some((parent, made)) = found else { return Outcome::NotSeen };
    outcome(task(own, parent).and_then(|()| same_process("the child", *made, child.process)))
}

fn exec(own: &Own, child: &Child, seen: &[Observation]) -> Outcome {
    let found = seen.iter().find(
        |observation| matches!(observation, Observation::Exec { task, .. } if task.process.tgid == child.process.tgid),
    );
    let Some(Observation::Exec { task, exe, argv, argv_truncated, cni_env, .. }) = found else {
        return Outcome::NotSeen;
    };
    let parent = || match task.ancestors.first() {
        Some(parent) => same_process("the parent", parent.process, own.process),
        None => Err("no ancestor recorded".to_owned()),
    };
    let result = same_process("the process", task.process, child.process)
        .and_then(|()| equal("the thread", &task.tid, &Tid(child.process.tgid.0)))
        .and_then(|()| equal("the path", &exe.as_deref(), &Some(child.exe)))
        .and_then(|()| equal("the arguments", argv, &vec![child.exe.to_owned(), ARGUMENT.to_owned()]))
        .and_then(|()| equal("whether arguments were cut", argv_truncated, &false))
        .and_then(|()| equal("the task's network namespace", &task.netns, &own.netns))
        .and_then(|()| parent());
    // The tracker's own environment may be longer than what a record holds; then the variable may be cut off.
    let variable = (VARIABLE.to_owned(), ARGUMENT.to_owned());
    let result = result.and_then(|()| match cni_env.iter().find(|(name, _)| *name == variable.0) {
        Some(found) => equal("the environment", found, &variable),
        None => Ok(()),
    });
    outcome(result)
}

fn exit(child: &Child, seen: &[Observation]) -> Outcome {
    let found = seen.iter().find_map(|observation| match observation {
        Observation::Exit { process, .. } if process.tgid == child.process.tgid => Some(*process),
        _ => None,
    });
    found.map_or(Outcome::NotSeen, |process| outcome(same_process("the process", process, child.process)))
}

/// The request from the bound socket `sent.portid`, and its end.
fn request(own: &Own, sent: &Sent, seen: &[Observation]) -> Outcome {
    let mut rest = seen.iter().skip_while(|observation| {
        !matches!(observation, Observation::RequestOpened(request)
            if request.portid == sent.portid && request.task.tid == own.tid)
    });
    let Some(Observation::RequestOpened(opened)) = rest.next() else {
        return wrong_portid(own, sent, seen);
    };
    let closed = rest.find_map(|observation| match observation {
        Observation::RequestClosed { tid, portid, result, .. } if *tid == own.tid => Some((*portid, *result)),
        _ => None,
    });
    let Some((portid, result)) = closed else { return Outcome::NotSeen };
    let result = task(own, &opened.task)
        .and_then(|()| equal("the socket's network namespace", &opened.netns, &own.netns))
        .and_then(|()| equal("the protocol", &opened.protocol, &0))
        .and_then(|()| equal("the length", &opened.length, &(sent.bytes as u64)))
        .and_then(|()| equal("the portid at the end", &portid, &sent.portid))
        .and_then(|()| equal("the result", &result, &(sent.bytes as i64)));
    outcome(result)
}

/// A request of ours without a portid is a wrong record, not a missing one: ours was bound.
fn wrong_portid(own: &Own, sent: &Sent, seen: &[Observation]) -> Outcome {
    let unbound = seen.iter().any(|observation| {
        matches!(observation, Observation::RequestOpened(request) if request.task.tid == own.tid && request.portid.0 == 0)
    });
    if unbound { Outcome::Failed(format!("the portid recorded as 0, is {}", sent.portid)) } else { Outcome::NotSeen }
}

/// The request to rename the loopback link, and its end.
fn renamed(own: &Own, result: i64, seen: &[Observation]) -> Outcome {
    let mut rest = seen.iter().skip_while(|observation| {
        !matches!(observation, Observation::RequestOpened(request)
            if request.protocol == IOCTL && request.task.tid == own.tid)
    });
    let Some(Observation::RequestOpened(opened)) = rest.next() else { return Outcome::NotSeen };
    let closed = rest.find_map(|observation| match observation {
        Observation::RequestClosed { tid, result, .. } if *tid == own.tid => Some(*result),
        _ => None,
    });
    let Some(recorded) = closed else { return Outcome::NotSeen };
    let names: Vec<Option<&str>> = opened.messages.iter().map(|message| message.link.ifname.as_deref()).collect();
    let result = task(own, &opened.task)
        .and_then(|()| equal("the socket's network namespace", &opened.netns, &own.netns))
        .and_then(|()| equal("the names", &names, &vec![Some(LOOPBACK); 2]))
        .and_then(|()| equal("the result", &recorded, &result));
    outcome(result)
}

fn replaced(own: &Own, result: i64, seen: &[Observation]) -> Outcome {
    let found = seen.iter().find(|observation| {
        matches!(observation, Observation::TableReplaced { table, task, .. }
            if table == ARGUMENT && task.tid == own.tid)
    });
    let Some(Observation::TableReplaced { task: by, netns, family, result: recorded, .. }) = found else {
        return Outcome::NotSeen;
    };
    let result = task(own, by)
        .and_then(|()| equal("the socket's network namespace", netns, &own.netns))
        .and_then(|()| equal("the family", family, &"ip"))
        .and_then(|()| equal("the result", recorded, &result));
    outcome(result)
}

/// `RTM_NEWLINK` of link 1, in the thread that raised it.
fn notified(own: &Own, raised: &Raised, seen: &[Observation]) -> Outcome {
    // the thread is also notified of what its network namespace starts with, while it still is in the old one
    let is_up = |head: &[u8]| head.get(24).is_some_and(|flags| flags & 1 == 1);
    let found = seen.iter().find_map(|observation| match observation {
        Observation::Notified(notified) if notified.task.tid == raised.tid && is_up(&notified.head) => Some(notified),
        _ => None,
    });
    let Some(Notified { time: _, task, by, netns, length, head }) = found else { return Outcome::NotSeen };
    let result = same_process("the process", task.process, own.process)
        .and_then(|()| equal("the task's network namespace", &task.netns, &raised.netns))
        .and_then(|()| equal("the socket's network namespace", netns, &raised.netns))
        .and_then(|()| equal("whose doing it is", by, &NotifiedBy::Task))
        .and_then(|()| equal("the kind", &head.get(4..6), &Some(&16_u16.to_ne_bytes()[..])))
        .and_then(|()| equal("the link", &head.get(20..24), &Some(&1_u32.to_ne_bytes()[..])))
        .and_then(|()| match head.first_chunk::<4>().map(|bytes| u32::from_ne_bytes(*bytes)) {
            Some(stated) if stated == *length => Ok(()),
            stated => Err(format!("the length recorded as {length}, is {stated:?}")),
        });
    outcome(result)
}
