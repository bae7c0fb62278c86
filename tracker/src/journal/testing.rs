//! Made-up objects and changes for the tests of the journal.

use crate::model::change::{Change, ChangeKind};
use crate::model::digest::Digest;
use crate::model::ids::{
    ActorId, BootId, ChainName, Generation, Handle, Ifindex, Ifname, NetnsId, ObjectId, OperationId, Tgid,
};
use crate::model::link::LinkSnapshot;
use crate::model::nft::{Family, NftItem, NftSnapshot, NftSubject, RuleSnapshot, TableRef};
use crate::model::object::{Deed, Scope};
use crate::model::operation::{Operation, OperationKind, OperationState, StepOutcome};
use crate::model::owner::{Attribution, Certainty, Evidence, Owner};
use crate::model::path::{AbsPath, Inode, PathKind, PathSnapshot};
use crate::model::process::{Actor, ExecId, Image, Placement, ProcessKey, ProcessSource};
use crate::model::subject::{Snapshot, Subject};
use crate::model::time::{BootTime, WallTime};

pub(crate) fn scope(boot: u8, netns: u32) -> Scope {
    Scope { boot: BootId([boot; 16]), netns: NetnsId(netns) }
}

pub(crate) fn deed(time: i64, owner: &str, actor: Option<u64>) -> Deed {
    let owner = Owner::new(owner).expect("valid owner");
    let evidence = Evidence::CommitAndRequest { generation: 7, tid: 4711 };
    Deed {
        time: WallTime(time),
        boot_time: BootTime(time.unsigned_abs()),
        generation: Some(Generation(7)),
        attribution: Attribution::new(owner, Certainty::Exact, actor.map(ActorId), evidence)
            .with(Evidence::OwnerRule { rule: "kube-proxy".to_owned(), program: "kube-proxy".to_owned() }),
        operation: None,
    }
}

pub(crate) fn rule_subject(handle: u64) -> Subject {
    Subject::Nft(NftSubject {
        table: TableRef { family: Family::Ip, name: "nat".into() },
        item: NftItem::Rule { chain: ChainName::new("KUBE-SERVICES"), handle: Handle(handle) },
    })
}

/// A rule with some 200 bytes of expressions, as kube-proxy writes them.
pub(crate) fn rule_snapshot(content: u64) -> Snapshot {
    let mut expressions = vec![0x24; 200];
    expressions[..8].copy_from_slice(&content.to_le_bytes());
    Snapshot::Nft(NftSnapshot::Rule(RuleSnapshot {
        content: Digest::of(&expressions),
        expressions,
        compat: vec![1, 2, 3, 4],
        userdata: Vec::new(),
        chains: vec![ChainName::new("KUBE-SVC-ABCDEFGHIJKLMNOP")],
        sets: Vec::new(),
        objects: Vec::new(),
        comment: Some("default/kubernetes:https cluster IP".to_owned()),
    }))
}

pub(crate) fn path_subject(name: u64) -> Subject {
    Subject::Path(AbsPath::new(format!("/etc/cni/net.d/{name}").as_ref()).expect("absolute path"))
}

pub(crate) fn path_snapshot(content: u64) -> Snapshot {
    Snapshot::Path(PathSnapshot {
        kind: PathKind::File,
        inode: Inode { dev: 1, ino: content, born: Some(WallTime(5)) },
        mode: 0o644,
        uid: 0,
        gid: 0,
        size: content,
        modified: None,
    })
}

pub(crate) fn link_snapshot(name: &str) -> Snapshot {
    Snapshot::Link(LinkSnapshot {
        name: Ifname::new(name),
        kind: Some("bridge".to_owned()),
        mac: vec![2, 0, 0, 0, 0, 1],
        controller: None,
        lower: Some(Ifindex(2)),
        peer_netns: None,
        mtu: 1450,
        altnames: Vec::new(),
        info_data: vec![9; 20],
        is_up: true,
    })
}

/// A rule made by kube-proxy.
pub(crate) fn created(object: u64, handle: u64) -> Change {
    Change {
        object: ObjectId(object),
        kind: ChangeKind::Created,
        subject: rule_subject(handle),
        after: Some(rule_snapshot(handle)),
        deed: deed(1_000, "kubernetes/kube-proxy", Some(1)),
    }
}

pub(crate) fn removed(object: u64, handle: u64, time: i64) -> Change {
    Change {
        object: ObjectId(object),
        kind: ChangeKind::Removed,
        subject: rule_subject(handle),
        after: None,
        deed: deed(time, "docker", Some(2)),
    }
}

pub(crate) fn image(tgid: u32, program: &str) -> Image {
    Image {
        id: ExecId { process: ProcessKey { tgid: Tgid(tgid), start: BootTime(u64::from(tgid) * 1_000) }, exec: 1 },
        parent: Some(ProcessKey { tgid: Tgid(1), start: BootTime(0) }),
        exe: Some(format!("/usr/sbin/{program}")),
        comm: program.to_owned(),
        argv: vec![program.to_owned(), "--noflush".to_owned()],
        argv_truncated: false,
        uid: 0,
        login_uid: None,
        netns: NetnsId(4_026_531_840),
        placement: Placement { cgroup: "/kubepods.slice".to_owned(), ..Placement::default() },
        seat: Default::default(),
        cni: None,
        source: ProcessSource::Kernel,
    }
}

pub(crate) fn actor(tgid: u32) -> Actor {
    Actor {
        image: image(tgid, "iptables-restore"),
        ancestry: vec![image(2, "kube-proxy"), image(1, "systemd")],
        is_truncated: false,
    }
}

pub(crate) fn operation(id: u64, state: OperationState) -> Operation {
    Operation {
        id: OperationId(id),
        kind: OperationKind::Reset { owner: Owner::new("kubernetes").expect("valid owner") },
        requested_by: 0,
        begun: WallTime(3),
        ended: None,
        state,
        planned: 2,
        outcomes: vec![StepOutcome { object: ObjectId(4), step: "delete rule".to_owned(), error: None }],
    }
}
