//! Which programs of an owner still run: they would add again what a reset removes.

use std::collections::BTreeSet;

use crate::attribution::{OwnerRules, Users};
use crate::control::api::RunningView;
use crate::lineage::{Limits, ProcFs, ProcessTable};
use crate::model::ids::NetnsId;
use crate::model::owner::{Evidence, Owner};
use crate::model::process::{Actor, Image, Placement, ProcessKey};
use crate::model::time::BootTime;

/// Judges what runs by the owner rules.
pub(super) struct RunningOwners {
    rules: OwnerRules,
    users: Box<dyn Users + Send + Sync>,
    netns: NetnsId,
}

impl RunningOwners {
    /// Looks at processes of one network namespace: those in others (a pod's own programs) change nothing here.
    pub(super) fn new(rules: OwnerRules, users: Box<dyn Users + Send + Sync>, netns: NetnsId) -> Self {
        Self { rules, users, netns }
    }

    /// The programs that run now and belong to `selected` or below it; one that another of them started and that is the
    /// same owner's is not listed beside it. `planned` are the owners of what a plan removes.
    pub(super) fn of(&self, selected: &Owner, planned: &BTreeSet<Owner>) -> Vec<RunningView> {
        let mut table = ProcessTable::new(ProcFs::host(), Limits::default());
        table.backfill(BootTime::now());
        self.among(table.living(), selected, planned)
    }

    fn among(&self, actors: Vec<Actor>, selected: &Owner, planned: &BTreeSet<Owner>) -> Vec<RunningView> {
        let mut found: Vec<(Owner, Actor)> = Vec::new();
        for actor in actors.into_iter().filter(|actor| actor.image.netns == self.netns) {
            let verdict = self.rules.classify(&actor, &*self.users);
            let is_known = !matches!(verdict.evidence, Evidence::NoOwnerRule { .. }) && !verdict.weak;
            // who is logged in adds nothing by merely being there
            let is_person = verdict.owner.class() == "admin";
            if is_known && !is_person && verdict.owner.is_within(selected) {
                found.push((verdict.owner, actor));
            }
        }
        let all: BTreeSet<(Owner, ProcessKey)> =
            found.iter().map(|(owner, actor)| (owner.clone(), actor.image.id.process)).collect();
        let is_top = |(owner, actor): &&(Owner, Actor)| {
            !actor.ancestry.iter().any(|image| all.contains(&(owner.clone(), image.id.process)))
        };
        found.iter().filter(is_top).map(|(owner, actor)| view(owner, actor, planned.contains(owner))).collect()
    }
}

fn view(owner: &Owner, actor: &Actor, blocks: bool) -> RunningView {
    let image = &actor.image;
    let Placement { unit, container, pod, .. } = &image.placement;
    RunningView {
        owner: owner.clone(),
        program: image.program().to_owned(),
        tgid: image.id.process.tgid,
        unit: unit.clone(),
        container: container.clone().or_else(|| sandbox(image)),
        pod: pod.as_ref().map(ToString::to_string),
        blocks,
        remedy: remedy(image),
    }
}

/// The pod sandbox a containerd shim runs: its `-id` argument.
fn sandbox(image: &Image) -> Option<String> {
    let is_shim = image.program().starts_with("containerd-shim");
    let at = image.argv.iter().position(|arg| arg == "-id").filter(|_| is_shim)?;
    image.argv.get(at + 1).cloned()
}

/// The command that stops it: its container's, its unit's, or a signal.
fn remedy(image: &Image) -> String {
    let short = |id: &str| id.chars().take(13).collect::<String>();
    let Placement { unit, container, runtime, .. } = &image.placement;
    match (container, runtime.as_deref(), unit.as_deref(), sandbox(image)) {
        (_, _, _, Some(sandbox)) => format!("crictl stopp {}", short(&sandbox)),
        (Some(id), Some(runtime @ ("docker" | "podman")), _, _) => format!("{runtime} stop {}", short(id)),
        (Some(id), _, _, _) => format!("crictl stop {}", short(id)),
        // a login session's scope is no unit to stop
        (None, _, Some(unit), _) if unit.ends_with(".service") => {
            format!("systemctl stop {}", unit.trim_end_matches(".service"))
        }
        (None, _, _, _) => format!("kill {}", image.id.process.tgid),
    }
}

/// A running program in a sentence.
pub(super) fn warning(running: &RunningView) -> String {
    let RunningView { owner, program, tgid, unit, container, pod, blocks, remedy } = running;
    let place = match (pod, unit, container) {
        (Some(pod), _, _) => format!(" of pod {pod}"),
        (None, Some(unit), _) => format!(" of {unit}"),
        (None, None, Some(container)) => format!(" of container {}", container.chars().take(13).collect::<String>()),
        (None, None, None) => String::new(),
    };
    let effect = if *blocks { "and would add its part again" } else { "and may have things added again" };
    format!("{program} (process {tgid}{place}, {owner}) still runs {effect}; stop it: {remedy}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::PasswdUsers;
    use crate::model::ids::Tgid;
    use crate::model::process::{ExecId, ProcessSource};

    const HERE: NetnsId = NetnsId(7);

    fn image(tgid: u32, exe: &str, argv: &[&str], placement: Placement) -> Image {
        Image {
            id: ExecId { process: ProcessKey { tgid: Tgid(tgid), start: BootTime(u64::from(tgid)) }, exec: 0 },
            parent: None,
            exe: Some(exe.to_owned()),
            comm: "x".to_owned(),
            argv: argv.iter().map(|arg| (*arg).to_owned()).collect(),
            argv_truncated: false,
            uid: 0,
            login_uid: None,
            netns: HERE,
            placement,
            seat: Default::default(),
            cni: None,
            source: ProcessSource::Proc,
        }
    }

    fn actor(image: Image, ancestry: &[&Image]) -> Actor {
        Actor { image, ancestry: ancestry.iter().map(|image| (*image).clone()).collect(), is_truncated: false }
    }

    fn running(actors: Vec<Actor>, planned: &[&str]) -> Vec<RunningView> {
        let owner = |path: &&str| Owner::new(path).expect("valid owner");
        let judge = RunningOwners::new(OwnerRules::default(), Box::new(PasswdUsers::parse("")), HERE);
        judge.among(actors, &owner(&"kubernetes"), &planned.iter().map(owner).collect())
    }

    #[test]
    fn what_made_planned_things_blocks_and_other_programs_of_the_owner_only_warn() {
        let init = image(1, "/sbin/init", &[], Placement::default());
        let in_unit = Placement { unit: Some("kubelet.service".to_owned()), ..Placement::default() };
        let kubelet = image(10, "/usr/bin/kubelet", &[], in_unit);
        let proxy = image(20, "/usr/local/bin/kube-proxy", &[], Placement::default());
        let helper = image(21, "/usr/sbin/iptables", &[], Placement::default());
        let found = running(
            vec![
                actor(init.clone(), &[]),
                actor(kubelet, &[&init]),
                actor(proxy.clone(), &[&init]),
                actor(helper, &[&proxy, &init]),
            ],
            &["kubernetes/kube-proxy"],
        );
        let short: Vec<(&str, bool, &str)> =
            found.iter().map(|it| (it.program.as_str(), it.blocks, it.remedy.as_str())).collect();
        assert_eq!(short, [("kubelet", false, "systemctl stop kubelet"), ("kube-proxy", true, "kill 20")]);
        assert_eq!(
            warning(&found[1]),
            "kube-proxy (process 20, kubernetes/kube-proxy) still runs and would add its part again; stop it: kill 20"
        );
    }

    #[test]
    fn containers_are_stopped_by_their_runtime_and_other_namespaces_do_not_count() {
        let container = Some("0123456789abcdef".to_owned());
        let placed = |runtime: &str| Placement {
            container: container.clone(),
            runtime: Some(runtime.to_owned()),
            ..Placement::default()
        };
        let shim = image(
            30,
            "/usr/bin/containerd-shim-runc-v2",
            &["x", "-namespace", "k8s.io", "-id", "feed"],
            Placement::default(),
        );
        let mut elsewhere = image(32, "/kube-proxy", &[], placed("containerd"));
        elsewhere.netns = NetnsId(8);
        let found = running(
            vec![
                actor(shim, &[]),
                actor(image(31, "/opt/bin/flanneld", &[], placed("containerd")), &[]),
                actor(elsewhere, &[]),
            ],
            &["cni/flannel"],
        );
        let remedies: Vec<&str> = found.iter().map(|it| it.remedy.as_str()).collect();
        assert_eq!(remedies, ["crictl stopp feed", "crictl stop 0123456789abc"]);
        assert_eq!(found[0].container.as_deref(), Some("feed"));
    }
}
