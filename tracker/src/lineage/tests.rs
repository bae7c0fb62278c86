//! The process table against a made-up /proc.

use std::time::Duration;

use super::procfs::tests::FakeProc;
use super::{Candidates, Limits, ProcFs, ProcessTable};
use crate::model::ids::{NetnsId, Portid, Tgid, Tid};
use crate::model::observation::{AncestorRef, Observation, Request, TaskRef};
use crate::model::process::{Actor, ProcessKey, ProcessSource};
use crate::model::time::BootTime;

const MS: u64 = 1_000_000;

fn key(tgid: u32, start_ms: u64) -> ProcessKey {
    // not a multiple of /proc's tick, as a kernel's time would be
    ProcessKey { tgid: Tgid(tgid), start: BootTime(start_ms * MS + 7) }
}

fn task(process: ProcessKey, comm: &str) -> TaskRef {
    TaskRef {
        process,
        tid: Tid(process.tgid.0),
        comm: comm.to_owned(),
        uid: 0,
        login_uid: None,
        netns: NetnsId(1),
        cgroup_id: 1,
        ancestors: Vec::new(),
    }
}

fn ancestors(chain: &[(ProcessKey, &str)]) -> Vec<AncestorRef> {
    chain.iter().map(|(process, comm)| AncestorRef { process: *process, comm: (*comm).to_owned() }).collect()
}

fn fork(parent: &TaskRef, child: ProcessKey) -> Observation {
    Observation::Fork { time: child.start, parent: parent.clone(), child, inner_tgid: None }
}

fn exec(time_ms: u64, task: &TaskRef, argv: &[&str]) -> Observation {
    Observation::Exec {
        time: BootTime(time_ms * MS),
        task: task.clone(),
        exe: Some(argv[0].to_owned()),
        argv: argv.iter().map(|arg| (*arg).to_owned()).collect(),
        argv_truncated: false,
        cni_env: Vec::new(),
        seat: Default::default(),
        v1_cgroup: None,
    }
}

fn exit(time_ms: u64, process: ProcessKey) -> Observation {
    Observation::Exit { time: BootTime(time_ms * MS), process }
}

fn request(time_ms: u64, task: &TaskRef) -> Observation {
    Observation::RequestOpened(Request {
        time: BootTime(time_ms * MS),
        task: task.clone(),
        protocol: 12,
        netns: NetnsId(1),
        portid: Portid(0),
        length: 0,
        messages: Vec::new(),
        is_truncated: false,
        ip_sets: Vec::new(),
        ipvs: Vec::new(),
    })
}

/// systemd (1) and kubelet (50), started 500 ms after boot.
fn booted() -> (FakeProc, ProcessTable) {
    let proc = FakeProc::new();
    proc.add(1, 0, 0, &["/usr/lib/systemd/systemd"], "0::/init.scope\n");
    proc.add(50, 1, 50, &["/usr/bin/kubelet", "--token", "s3cret"], "0::/system.slice/kubelet.service\n");
    let mut table = ProcessTable::new(proc.procfs(), Limits::default());
    table.backfill(BootTime(1_000 * MS));
    (proc, table)
}

fn kubelet() -> TaskRef {
    task(key(50, 500), "kubelet")
}

fn window(table: &mut ProcessTable, tgid: u32, after_ms: u64, before_ms: u64) -> Candidates {
    table.process_at(Tgid(tgid), BootTime(after_ms * MS), BootTime(before_ms * MS))
}

fn one(candidates: Candidates) -> Actor {
    match candidates {
        Candidates::One(actor) => *actor,
        other => panic!("expected one actor but found {other:?}"),
    }
}

#[test]
fn a_process_gone_from_proc_has_its_whole_lineage() {
    let (_proc, mut table) = booted();
    let child = key(60, 2_000);
    table.observe(&fork(&kubelet(), child));
    table.observe(&exec(2_001, &task(child, "iptables"), &["/usr/sbin/iptables", "-N", "KUBE-FIREWALL"]));
    let actor = table.actor_of(&task(child, "iptables"));
    assert_eq!(actor.to_string(), "iptables ← kubelet ← systemd");
    assert_eq!(actor.image.argv, ["/usr/sbin/iptables", "-N", "KUBE-FIREWALL"]);
    assert_eq!(actor.image.id.exec, 1);
    assert_eq!(actor.image.parent, Some(key(50, 500)));
    assert_eq!(actor.image.placement.unit.as_deref(), Some("kubelet.service"), "inherited");
    assert_eq!(actor.ancestry[0].argv, ["/usr/bin/kubelet", "--token", "<redacted>"]);
    assert_eq!(actor.ancestry[0].id.process, key(50, 500), "the record's exact start time took over");
    assert!(!actor.is_truncated);
}

#[test]
fn a_later_exec_does_not_change_who_acted_before() {
    let (_proc, mut table) = booted();
    let child = key(60, 2_000);
    table.observe(&fork(&kubelet(), child));
    table.observe(&exec(2_001, &task(child, "first"), &["/bin/first"]));
    let before = table.actor_of(&task(child, "first"));
    let grandchild = key(61, 2_002);
    table.observe(&fork(&task(child, "first"), grandchild));
    table.observe(&exec(2_003, &task(child, "second"), &["/bin/second"]));
    assert_eq!(before.image.exe.as_deref(), Some("/bin/first"));
    assert_eq!(table.actor_of(&task(child, "second")).image.exe.as_deref(), Some("/bin/second"));
    assert_eq!(table.actor_of(&task(grandchild, "first")).to_string(), "first ← first ← kubelet ← systemd");
    assert_eq!(one(window(&mut table, 60, 2_001, 2_002)).image.exe.as_deref(), Some("/bin/first"));
}

#[test]
fn a_daemonised_helper_keeps_the_parents_it_was_forked_by() {
    let (_proc, mut table) = booted();
    let (shell, helper) = (key(60, 2_000), key(61, 2_010));
    table.observe(&fork(&kubelet(), shell));
    table.observe(&exec(2_001, &task(shell, "sh"), &["/bin/sh"]));
    table.observe(&fork(&task(shell, "sh"), helper));
    table.observe(&exec(2_011, &task(helper, "helper"), &["/bin/helper"]));
    table.observe(&exit(2_012, shell));
    table.observe(&exit(100_000, key(99, 3_000)));
    assert_eq!(table.process_at(Tgid(60), BootTime(2_005 * MS), BootTime(2_006 * MS)), Candidates::None, "forgotten");
    let mut reparented = task(helper, "helper");
    reparented.ancestors = ancestors(&[(key(1, 0), "systemd")]);
    assert_eq!(table.actor_of(&reparented).to_string(), "helper ← sh ← kubelet ← systemd");
}

#[test]
fn an_unknown_task_is_known_by_its_record_and_by_proc_while_it_runs() {
    let (proc, mut table) = booted();
    proc.add(70, 50, 300, &["/opt/bin/flanneld"], "0::/system.slice/x.service\n");
    let mut unseen = task(key(80, 4_000), "iptables");
    unseen.ancestors = ancestors(&[(key(75, 3_900), "sh"), (key(70, 3_000), "flanneld"), (key(50, 500), "kubelet")]);
    let actor = table.actor_of(&unseen);
    assert_eq!(actor.to_string(), "iptables ← sh ← flanneld ← kubelet ← systemd");
    let sources: Vec<_> = actor.lineage().map(|image| image.source).collect();
    assert_eq!(
        sources,
        [ProcessSource::Kernel, ProcessSource::Ancestor, ProcessSource::Proc, ProcessSource::Proc, ProcessSource::Proc]
    );
    assert_eq!(actor.image.exe, None, "it is gone: nothing but its own record");
    assert_eq!(actor.ancestry[1].exe.as_deref(), Some("/opt/bin/flanneld"));
    assert!(!actor.is_truncated);
}

#[test]
fn a_reused_process_id_is_another_process() {
    let (proc, mut table) = booted();
    proc.add(70, 1, 900, &["/bin/other"], "");
    let actor = table.actor_of(&task(key(70, 3_000), "flanneld"));
    assert_eq!((actor.image.exe.as_deref(), actor.image.comm.as_str()), (None, "flanneld"));
    assert!(actor.is_truncated);
}

#[test]
fn a_missed_exec_is_noticed_by_the_task_name() {
    let (proc, mut table) = booted();
    let child = key(60, 2_000);
    table.observe(&fork(&kubelet(), child));
    let actor = table.actor_of(&task(child, "iptables"));
    assert_eq!((actor.image.exe.as_deref(), actor.image.program()), (None, "iptables"), "it is not kubelet's image");
    assert_eq!(actor.ancestry[0].program(), "kubelet");
    proc.add(61, 50, 210, &["/usr/sbin/ipset"], "");
    let child = key(61, 2_101);
    table.observe(&fork(&kubelet(), child));
    assert_eq!(table.actor_of(&task(child, "ipset")).image.exe.as_deref(), Some("/usr/sbin/ipset"));
}

#[test]
fn a_fork_that_the_backfill_saw_too_is_one_process() {
    let (proc, mut table) = booted();
    proc.add(60, 1, 95, &["/bin/worker"], "");
    table.backfill(BootTime(1_000 * MS));
    let known = table.len();
    table.observe(&fork(&kubelet(), key(60, 951)));
    assert_eq!(table.len(), known);
    let actor = table.actor_of(&task(key(60, 951), "worker"));
    assert_eq!(actor.to_string(), "worker ← kubelet ← systemd", "the parent it was forked by");
    assert_eq!(actor.image.source, ProcessSource::Kernel);
}

#[test]
fn bare_numbers_are_joined_by_time() {
    let (_proc, mut table) = booted();
    let (first, second) = (key(60, 2_000), key(60, 5_000));
    table.observe(&fork(&kubelet(), first));
    table.observe(&exec(2_001, &task(first, "one"), &["/bin/one"]));
    table.observe(&exit(3_000, first));
    table.observe(&fork(&kubelet(), second));
    table.observe(&exec(5_001, &task(second, "two"), &["/bin/two"]));
    assert_eq!(one(window(&mut table, 60, 2_500, 2_600)).image.program(), "one");
    assert_eq!(one(window(&mut table, 60, 6_000, 6_100)).image.program(), "two");
    assert_eq!(window(&mut table, 60, 3_500, 4_000), Candidates::None);
    assert!(matches!(window(&mut table, 60, 2_500, 6_000), Candidates::Many(actors) if actors.len() == 2));
    assert_eq!(window(&mut table, 61, 0, 9_000), Candidates::None);
}

#[test]
fn a_missed_exit_shows_in_proc() {
    let (proc, mut table) = booted();
    proc.add(60, 1, 200, &["/bin/one"], "");
    assert_eq!(one(window(&mut table, 60, 2_000, 2_100)).image.program(), "one");
    proc.add(60, 1, 500, &["/bin/two"], "");
    assert_eq!(one(window(&mut table, 60, 6_000, 6_100)).image.program(), "two");
    assert!(matches!(window(&mut table, 60, 4_900, 5_100), Candidates::Many(actors) if actors.len() == 2));
}

#[test]
fn a_process_that_no_record_told_of_comes_with_its_parents() {
    let (proc, mut table) = booted();
    proc.add(70, 50, 300, &["/bin/sh", "-c", "x"], "");
    proc.add(71, 70, 301, &["/bin/mkdir", "/x"], "");
    let actor = one(window(&mut table, 71, 3_010, 3_020));
    assert_eq!(actor.to_string(), "mkdir ← sh ← kubelet ← systemd");
    assert_eq!(window(&mut table, 71, 2_000, 2_100), Candidates::None, "it is younger");
}

#[test]
fn the_real_proc_shows_this_very_process() {
    let mut table = ProcessTable::new(ProcFs::host(), Limits::default());
    table.backfill(BootTime::now());
    let me = Tgid(std::process::id());
    let now = BootTime::now();
    let actor = one(table.process_at(me, now, now));
    let exe = std::env::current_exe().expect("we run something").to_string_lossy().into_owned();
    assert_eq!(actor.image.exe, Some(exe));
    let parent = actor.ancestry.first().expect("somebody started us").id.process;
    assert_eq!(parent.tgid.0, std::os::unix::process::parent_id());
    assert!(table.len() > 1);
}

#[test]
fn threads_are_known_by_records_of_the_time_or_by_proc() {
    let (proc, mut table) = booted();
    let daemon = key(90, 900);
    let thread = TaskRef { tid: Tid(95), ..task(daemon, "worker") };
    proc.add(90, 1, 90, &["/usr/bin/dockerd"], "");
    table.observe(&request(2_000, &thread));
    let at = |table: &mut ProcessTable, tid, after: u64, before: u64| {
        table.thread_at(Tid(tid), BootTime(after * MS), BootTime(before * MS))
    };
    assert_eq!(one(at(&mut table, 95, 1_990, 2_010)).image.program(), "dockerd");
    assert_eq!(one(at(&mut table, 90, 1_990, 2_010)).image.program(), "dockerd", "the leader's thread");
    assert_eq!(at(&mut table, 95, 2_500, 2_600), Candidates::None, "the number may be another's by then");
    // /proc answers for thread numbers, too
    proc.add(95, 1, 95, &["/usr/bin/dockerd"], "");
    proc.write(95, "status", "Tgid:\t90\nUid:\t0\t0\t0\t0\n");
    assert_eq!(one(at(&mut table, 95, 2_500, 2_600)).image.id.process, daemon);
    assert_eq!(at(&mut table, 95, 800, 900), Candidates::None, "the thread is younger");
}

#[test]
fn a_plugin_has_its_call_and_the_tools_it_runs_have_not() {
    let (_proc, mut table) = booted();
    let (plugin, tool) = (key(60, 2_000), key(61, 2_010));
    let env = vec![
        ("CNI_COMMAND".to_owned(), "ADD".to_owned()),
        ("CNI_PATH".to_owned(), "/opt/cni/bin".to_owned()),
        ("CNI_ARGS".to_owned(), "K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0".to_owned()),
    ];
    let with_env = |observation| match observation {
        Observation::Exec { time, task, exe, argv, argv_truncated, seat, v1_cgroup, .. } => {
            Observation::Exec { time, task, exe, argv, argv_truncated, cni_env: env.clone(), seat, v1_cgroup }
        }
        other => other,
    };
    table.observe(&fork(&kubelet(), plugin));
    table.observe(&with_env(exec(2_001, &task(plugin, "portmap"), &["/opt/cni/bin/portmap"])));
    table.observe(&fork(&task(plugin, "portmap"), tool));
    table.observe(&with_env(exec(2_011, &task(tool, "iptables"), &["/usr/sbin/iptables"])));
    let actor = table.actor_of(&task(tool, "iptables"));
    assert_eq!(actor.image.cni, None);
    assert_eq!(actor.ancestry[0].cni.as_ref().map(|call| call.command.as_str()), Some("ADD"));
    assert_eq!(actor.ancestry[0].placement.pod.as_ref().map(ToString::to_string).as_deref(), Some("default/web-0"));
}

#[test]
fn a_pod_gets_its_name_as_soon_as_the_kubelet_wrote_it() {
    let (proc, mut table) = booted();
    let uid = "8a1e3a52-9c0d-4b6e-8f11-0123456789ab";
    proc.add(60, 50, 200, &["/bin/app"], &format!("4:pids:/kubepods/pod{uid}/{}\n", "a".repeat(64)));
    let app = task(key(60, 2_000), "app");
    assert_eq!(table.actor_of(&app).image.placement.pod, None);
    std::fs::create_dir_all(proc.0.path().join(format!("var/log/pods/default_web-0_{uid}"))).expect("create");
    let pod = table.actor_of(&app).image.placement.pod.expect("the directory is there");
    assert_eq!(pod.to_string(), "default/web-0");
}

#[test]
fn memory_is_bounded() {
    let limits = Limits { processes: 20, exited: 5, retention: Duration::from_secs(60), threads: 3 };
    let proc = FakeProc::new();
    proc.add(1, 0, 0, &["/usr/lib/systemd/systemd"], "");
    let mut table = ProcessTable::new(proc.procfs(), limits);
    table.backfill(BootTime(0));
    let init = task(key(1, 0), "systemd");
    for tgid in 100..200 {
        table.observe(&fork(&init, key(tgid, u64::from(tgid))));
        table.observe(&request(200, &TaskRef { tid: Tid(tgid + 1000), ..init.clone() }));
    }
    assert_eq!(table.len(), 20);
    assert!(table.threads.len() <= 3);
    for tgid in 100..200 {
        table.observe(&exit(300, key(tgid, u64::from(tgid))));
    }
    assert_eq!(table.len(), 6, "five exited ones and systemd");
    table.observe(&exit(70_000, key(5, 5)));
    assert_eq!((table.len(), table.exited.len()), (1, 0), "their time is over");
}
