//! A node in memory and a journal of who made what on it.

mod execution;
mod ipsets;
mod ipvs;
mod laws;
mod legacy;
mod links;
mod mounts;
mod nft;
mod paths;
mod selecting;
mod swapping;
mod sysctls;
mod traffic;
mod undoing;

use std::net::IpAddr;

use crate::host::{FakeHost, Host};
use crate::model::digest::Digest;
use crate::model::ids::{BootId, ChainName, Handle, Ifindex, NetnsId, ObjectId, ObjectName, SetName};
use crate::model::link::{AddressSnapshot, AddressSubject, LinkSnapshot};
use crate::model::nft::{
    BaseChain, ChainSnapshot, ElementSnapshot, Family, NftItem, NftSnapshot, OtherSnapshot, RuleSnapshot, SetSnapshot,
    TableRef, TableSnapshot,
};
use crate::model::object::{Deed, Object, Scope};
use crate::model::owner::{Attribution, Certainty, Evidence, Owner};
use crate::model::path::{AbsPath, PathKind};
use crate::model::route::{RouteSnapshot, RouteSubject};
use crate::model::subject::{Snapshot, Subject};
use crate::model::time::{BootTime, WallTime};

use super::{Action, Kept, KeptReason, LiveState, Plan, Reason, Refusal, Selection, candidate_paths, plan};

/// Nobody: what is made by nobody is not recorded.
const NOBODY: &str = "";
const KUBE: &str = "kubernetes/kube-proxy";
const FLANNEL: &str = "cni/flannel";
const DOCKER: &str = "docker";

/// `NFT_SET_*`
const ANONYMOUS: u32 = 1;
const CONSTANT: u32 = 2;
const INTERVAL: u32 = 4;
const MAP: u32 = 8;
const TIMEOUT: u32 = 16;

struct Scene {
    host: FakeHost,
    objects: Vec<Object>,
    /// How sure the owners of what is recorded next are.
    certainty: Certainty,
    /// The table that is worked in.
    here: TableRef,
    /// Somebody made again what somebody else had already made, which changes nothing and so is not recorded.
    collided: bool,
}

fn owner(path: &str) -> Owner {
    Owner::new(path).expect("valid owner")
}

fn deed(path: &str, certainty: Certainty) -> Deed {
    let evidence = Evidence::CommitThread { generation: 7, tid: 4321 };
    Deed {
        time: WallTime(0),
        boot_time: BootTime(0),
        generation: None,
        attribution: Attribution::new(owner(path), certainty, None, evidence),
        operation: None,
    }
}

fn filter() -> TableRef {
    TableRef { family: Family::Ip, name: "filter".into() }
}

fn abs(path: &str) -> AbsPath {
    AbsPath::new(std::path::Path::new(path)).expect("absolute")
}

fn kubernetes() -> Selection {
    Selection::of(owner("kubernetes"))
}

impl Scene {
    fn new() -> Self {
        Self {
            host: FakeHost::new(),
            objects: Vec::new(),
            certainty: Certainty::Exact,
            here: filter(),
            collided: false,
        }
    }

    /// Records an object as made by `by`; returns its subject.
    fn record(&mut self, by: &str, (subject, snapshot): (Subject, Snapshot)) -> Subject {
        if by != NOBODY {
            let id = ObjectId(self.objects.len() as u64 + 1);
            self.objects.push(Object {
                id,
                scope: Scope { boot: BootId([0; 16]), netns: NetnsId(1) },
                subject: subject.clone(),
                digest: snapshot.digest(),
                snapshot,
                created: deed(by, self.certainty),
                changed: None,
                rewritten: None,
                removed: None,
            });
        }
        subject
    }

    fn object(&mut self, subject: &Subject) -> &mut Object {
        self.objects.iter_mut().find(|object| object.subject == *subject).expect("recorded")
    }

    fn nft(&mut self, by: &str, table: &TableRef, item: NftItem, content: NftSnapshot) -> Subject {
        let made = self.host.ruleset.add(table, item, content).expect("the fake kernel takes it");
        self.record(by, made)
    }

    /// As [`Scene::nft`] in the current table, for what the kernel may refuse; then nothing is recorded.
    fn try_nft(&mut self, by: &str, item: NftItem, content: NftSnapshot) {
        let is_shareable = match &content {
            NftSnapshot::Table(_) => true,
            NftSnapshot::Chain(chain) => chain.base.is_some(),
            _ => false,
        };
        match self.host.ruleset.add(&self.here, item, content) {
            Ok(made) => {
                self.record(by, made);
            }
            Err(code) => self.collided |= code == libc::EEXIST && !is_shareable,
        }
    }

    fn table(&mut self, by: &str, table: &TableRef) -> Subject {
        self.flagged_table(by, table, 0)
    }

    fn flagged_table(&mut self, by: &str, table: &TableRef, flags: u32) -> Subject {
        let content = TableSnapshot { handle: Handle(0), flags, userdata: Vec::new() };
        self.nft(by, table, NftItem::Table, NftSnapshot::Table(content))
    }

    fn chain(&mut self, by: &str, name: &str) -> Subject {
        self.flagged_chain(by, name, None, 0)
    }

    fn base_chain(&mut self, by: &str, name: &str) -> Subject {
        let base = BaseChain { kind: "filter".to_owned(), hook: 1, priority: 0, policy: 1, device: None };
        self.flagged_chain(by, name, Some(base), 0)
    }

    fn flagged_chain(&mut self, by: &str, name: &str, base: Option<BaseChain>, flags: u32) -> Subject {
        let content = ChainSnapshot { handle: Handle(0), base, flags, userdata: Vec::new() };
        self.nft(by, &self.here.clone(), NftItem::Chain(name.into()), NftSnapshot::Chain(content))
    }

    fn rule(&mut self, by: &str, chain: &str, text: &str, jumps: &[&str], sets: &[&str]) -> Subject {
        let item = NftItem::Rule { chain: chain.into(), handle: Handle(0) };
        self.nft(by, &self.here.clone(), item, rule_content(text, jumps, sets, &[]))
    }

    fn set(&mut self, by: &str, name: &str, flags: u32) -> Subject {
        let content = SetSnapshot { handle: Handle(0), flags, attributes: Vec::new() };
        self.nft(by, &self.here.clone(), NftItem::Set(name.into()), NftSnapshot::Set(content))
    }

    fn element(&mut self, by: &str, set: &str, key: &[u8], jumps: &[&str]) -> Subject {
        self.timed_element(by, set, key, jumps, false)
    }

    fn timed_element(&mut self, by: &str, set: &str, key: &[u8], jumps: &[&str], has_timeout: bool) -> Subject {
        let item = NftItem::Element { set: set.into(), key: key.to_vec() };
        self.nft(by, &self.here.clone(), item, element_content(key, jumps, has_timeout))
    }

    fn counter(&mut self, by: &str, name: &str) -> Subject {
        let content = OtherSnapshot { handle: Handle(0), attributes: Vec::new() };
        let item = NftItem::Object { kind: 1, name: name.into() };
        self.nft(by, &self.here.clone(), item, NftSnapshot::Other(content))
    }

    fn link(
        &mut self,
        by: &str,
        ifindex: u32,
        name: &str,
        kind: Option<&str>,
        edit: impl FnOnce(&mut LinkSnapshot),
    ) -> Subject {
        let mut link = LinkSnapshot {
            name: name.into(),
            kind: kind.map(str::to_owned),
            mac: vec![2, 0, 0, 0, 0, 1],
            controller: None,
            lower: None,
            peer_netns: None,
            mtu: 1500,
            altnames: Vec::new(),
            info_data: Vec::new(),
            is_up: true,
        };
        edit(&mut link);
        let made = self.host.net.add(Subject::Link(Ifindex(ifindex)), Snapshot::Link(link)).expect("new link");
        self.record(by, made)
    }

    fn address(&mut self, by: &str, ifindex: u32, address: &str, prefix: u8, is_secondary: bool) -> Subject {
        let address: IpAddr = address.parse().expect("address");
        let subject = AddressSubject { ifindex: Ifindex(ifindex), address, prefix };
        let message = vec![2, prefix, u8::from(is_secondary), 0, 0, 0, 0, 0];
        let snapshot = AddressSnapshot { ifname: None, content: Digest::of(&message), message, is_dynamic: false };
        let made = self.host.net.add(Subject::Address(subject), Snapshot::Address(snapshot)).expect("new address");
        self.record(by, made)
    }

    fn route(&mut self, by: &str, destination: &str, prefix: u8, oif: Option<u32>, protocol: u8) -> Subject {
        let destination: IpAddr = destination.parse().expect("address");
        let subject = RouteSubject {
            family: if destination.is_ipv4() { 2 } else { 10 },
            destination: Some(destination),
            prefix,
            table: 254,
            tos: 0,
            priority: 0,
            // as the kernel's own check for equal routes: of IPv4, only routes it keeps itself are told apart by link
            oif: oif.map(Ifindex).filter(|_| destination.is_ipv6() || protocol == 2),
            gateway: None,
        };
        let mut message = vec![subject.family, prefix, 0, 0, 254, protocol, 0, 1, 0, 0, 0, 0];
        if let Some(oif) = oif {
            message.extend([8, 0, 4, 0]);
            message.extend(oif.to_ne_bytes());
        }
        let content = Digest::of(&message);
        let snapshot = RouteSnapshot { protocol, kind: 1, ifname: None, message, content };
        let made = self.host.net.add(Subject::Route(subject), Snapshot::Route(snapshot)).expect("new route");
        self.record(by, made)
    }

    fn path(&mut self, by: &str, path: &str, kind: PathKind) -> Subject {
        let made = self.host.files.create(&abs(path), kind, 5);
        self.record(by, made)
    }

    fn live(&mut self, selection: &Selection) -> LiveState {
        let paths = candidate_paths(&self.objects, selection);
        self.host.live(&paths).expect("the fake always answers")
    }

    fn plan(&mut self, selection: &Selection) -> Plan {
        let live = self.live(selection);
        plan(&self.objects, &live, selection)
    }
}

fn rule_content(text: &str, jumps: &[&str], sets: &[&str], objects: &[&str]) -> NftSnapshot {
    NftSnapshot::Rule(RuleSnapshot {
        expressions: text.as_bytes().to_vec(),
        compat: Vec::new(),
        userdata: Vec::new(),
        content: Digest::of(text.as_bytes()),
        chains: jumps.iter().map(|name| ChainName::new(*name)).collect(),
        sets: sets.iter().map(|name| SetName::new(*name)).collect(),
        objects: objects.iter().map(|name| ObjectName::new(*name)).collect(),
        comment: None,
    })
}

fn element_content(key: &[u8], jumps: &[&str], has_timeout: bool) -> NftSnapshot {
    let attributes = element_attributes(key, key.last() == Some(&1) && key.len() == 5);
    let content = Digest::of(&attributes);
    let chains = jumps.iter().map(|name| ChainName::new(*name)).collect();
    NftSnapshot::Element(ElementSnapshot { attributes, chains, content, has_timeout })
}

/// `NFTA_SET_ELEM_KEY`, and the interval-end flag.
fn element_attributes(key: &[u8], is_end: bool) -> Vec<u8> {
    let mut attributes = vec![12, 0, 1, 0x80, 8, 0, 1, 0];
    attributes.extend(key.iter().copied().chain(std::iter::repeat(0)).take(4));
    if is_end {
        attributes.extend([8, 0, 3, 0, 0, 0, 0, 1]);
    }
    attributes
}

/// The steps as text without their evidence.
fn steps(plan: &Plan) -> Vec<String> {
    plan.steps().iter().map(super::Step::describe).collect()
}

/// Why an object is refused.
fn refused<'a>(plan: &'a Plan, what: &str) -> &'a Reason {
    let found = plan.refusals().iter().find(|Refusal { what: it, .. }| it == what);
    &found.unwrap_or_else(|| panic!("`{what}` is not refused in\n{plan}")).reason
}

/// Why an object is kept.
fn kept<'a>(plan: &'a Plan, what: &str) -> &'a KeptReason {
    let found = plan.kept().iter().find(|Kept { what: it, .. }| it == what);
    &found.unwrap_or_else(|| panic!("`{what}` is not kept in\n{plan}")).reason
}
