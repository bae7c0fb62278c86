//! Swapping one CNI for another: what stands in the way before the old one's things go, and what is left or doubled once
//! the new one is up.
//!
//! Pure: what the tracker knows and what lives in, findings out. Removing is a reset of the old CNI's owner alone; nothing
//! here removes anything. What is left is found by owner and, where no owner is known, by the signs of [`networks`].

mod config;
mod leftovers;
pub mod networks;
mod tunnels;

use std::collections::BTreeMap;
use std::fmt;

use super::live::LiveState;
use crate::model::ids::{Ifindex, ObjectId, Tgid};
use crate::model::link::LinkSnapshot;
use crate::model::object::Object;
use crate::model::owner::Owner;
use crate::model::subject::{Class, Snapshot, Subject};

pub use config::CniConfig;
use networks::Network;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// May break something.
    Warning,
    /// Breaks something, or makes the swap pointless.
    Problem,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Problem => "problem",
        })
    }
}

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is the word it is shown by")]
pub enum Check {
    Agents,
    Pods,
    Configuration,
    Tunnels,
    Leftovers,
    Masquerade,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Agents => "agents",
            Self::Pods => "pods",
            Self::Configuration => "configuration",
            Self::Tunnels => "tunnels",
            Self::Leftovers => "leftovers",
            Self::Masquerade => "masquerade",
        })
    }
}

/// Something found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a finding wants to be read"]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// By which check.
    pub check: Check,
    /// What.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl Finding {
    fn new(severity: Severity, check: Check, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { severity, check, what: what.into(), remedy: remedy.into() }
    }
}

/// A program that runs now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Whose.
    pub owner: Owner,
    /// Its name.
    pub program: String,
    /// Its process id.
    pub tgid: Tgid,
    /// The command that stops it.
    pub remedy: String,
}

/// A program that has a UDP port open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortUser {
    /// The port.
    pub port: u16,
    /// The program's name.
    pub program: String,
    /// Its process id.
    pub tgid: Tgid,
}

/// All that is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The journal's objects of the scope, of all owners.
    pub objects: &'a [Object],
    /// What lives.
    pub live: &'a LiveState,
    /// Programs of Kubernetes and its CNIs.
    pub agents: &'a [Agent],
    /// The pods that links were made for, where that is known.
    pub pods: &'a BTreeMap<ObjectId, String>,
    /// CNI configurations, in the order of their names: a runtime takes the first one.
    pub configs: &'a [CniConfig],
    /// Who has the UDP port of the new CNI's tunnel: see [`Swap::wanted_port`].
    pub ports: &'a [PortUser],
}

/// From which CNI to which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swap {
    /// The one that goes.
    pub from: Owner,
    /// The one that comes.
    pub to: Option<Owner>,
}

impl Swap {
    /// The UDP port that the new CNI's tunnel has by default.
    pub fn wanted_port(&self) -> Option<u16> {
        self.to.as_ref().and_then(Self::known).and_then(|to| to.vxlan).map(|(port, _)| port)
    }

    fn known(owner: &Owner) -> Option<&'static Network> {
        networks::of(owner)
    }

    fn name(owner: &Owner) -> &str {
        owner.as_str().rsplit('/').next().unwrap_or_default()
    }
}

/// What to know before the old CNI's things go. Problems keep a swap from being begun unless it is forced.
pub fn preflight(scene: &Scene<'_>, swap: &Swap) -> Vec<Finding> {
    let mut findings = Vec::new();
    agents(scene, swap, "it would add again what is removed", &mut findings);
    attached_pods(scene, swap, false, &mut findings);
    config::before(scene, swap, &mut findings);
    tunnels::before(scene, swap, &mut findings);
    shared_plugins(scene, swap, &mut findings);
    sorted(findings)
}

/// What is left of the old CNI, doubled, or known to break, once the new one is up.
pub fn verify(scene: &Scene<'_>, swap: &Swap) -> Vec<Finding> {
    let mut findings = Vec::new();
    agents(scene, swap, "it adds its things again", &mut findings);
    if let Some(to) = &swap.to
        && !scene.agents.iter().any(|agent| agent.owner.is_within(to))
    {
        let what = format!("no program of {to} runs in this network namespace");
        findings.push(Finding::new(Severity::Warning, Check::Agents, what, "see whether its pod is up on this node"));
    }
    attached_pods(scene, swap, true, &mut findings);
    config::after(scene, swap, &mut findings);
    tunnels::after(scene, swap, &mut findings);
    leftovers::find(scene, swap, &mut findings);
    sorted(findings)
}

fn sorted(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by(|a, b| (b.severity, a.check, &a.what).cmp(&(a.severity, b.check, &b.what)));
    findings
}

fn agents(scene: &Scene<'_>, swap: &Swap, effect: &str, findings: &mut Vec<Finding>) {
    for Agent { owner, program, tgid, remedy } in scene.agents.iter().filter(|agent| agent.owner.is_within(&swap.from))
    {
        let what = format!("{program} (process {tgid}, {owner}) runs: {effect}");
        let remedy = format!("delete its DaemonSet, or stop it here: {remedy}");
        findings.push(Finding::new(Severity::Problem, Check::Agents, what, remedy));
    }
}

/// Links by which pods are attached: the ends of pairs whose other end is in another network namespace.
fn attached_pods(scene: &Scene<'_>, swap: &Swap, is_after: bool, findings: &mut Vec<Finding>) {
    let links = links(scene.live);
    let mut attached = Vec::new();
    for object in scene.objects.iter().filter(|object| object.is_live() && object.owner().is_within(&swap.from)) {
        let Subject::Link(ifindex) = &object.subject else { continue };
        let Some(link) = links.get(ifindex) else { continue };
        if link.kind.as_deref() == Some("veth") && link.peer_netns.is_some() {
            let pod = scene.pods.get(&object.id).map(|pod| format!("{pod} by ")).unwrap_or_default();
            attached.push(format!("{pod}{}", link.name));
        }
    }
    if attached.is_empty() {
        return;
    }
    attached.sort();
    let count = attached.len();
    let (are, name) = (if count == 1 { "pod is" } else { "pods are" }, Swap::name(&swap.from));
    let which = shortened(&attached);
    let (severity, what, remedy) = match is_after {
        false => (
            Severity::Problem,
            format!("{count} {are} attached by {name} and would lose the network: {which}"),
            "drain the node, or delete these pods after the swap",
        ),
        true => (
            Severity::Problem,
            format!("{count} {are} still attached by {name}, with addresses that the new CNI does not know: {which}"),
            "delete these pods, so that they are made anew",
        ),
    };
    findings.push(Finding::new(severity, Check::Pods, what, remedy));
}

/// What plugins such as portmap made for pods of the old CNI is theirs, not the CNI's: it goes when the pods go.
fn shared_plugins(scene: &Scene<'_>, swap: &Swap, findings: &mut Vec<Finding>) {
    let mut counts: BTreeMap<&Owner, usize> = BTreeMap::new();
    for object in scene.objects.iter().filter(|object| object.is_live() && object.class() == Class::Rule) {
        let owner = object.owner();
        let is_other = !owner.is_within(&swap.from) && swap.to.as_ref().is_none_or(|to| !owner.is_within(to));
        if owner.class() == "cni" && is_other {
            *counts.entry(owner).or_default() += 1;
        }
    }
    for (owner, count) in counts {
        let what = format!("{count} rules are of {owner}, made for pods; they stay, and go with their pods");
        let remedy = format!("`netdeed ls --owner {owner}` shows them; drain the node first, or reset that owner too");
        findings.push(Finding::new(Severity::Note, Check::Pods, what, remedy));
    }
}

fn links(live: &LiveState) -> BTreeMap<Ifindex, &LinkSnapshot> {
    let mut links = BTreeMap::new();
    for object in &live.rt {
        if let (Subject::Link(ifindex), Snapshot::Link(link)) = object {
            links.insert(*ifindex, link);
        }
    }
    links
}

/// A few of them, and how many more there are.
fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
