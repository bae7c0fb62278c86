//! The laws, for any sequence of changes by any owners: what is in scope goes or is refused with a reason, everything
//! else is byte-identical, planning again gives nothing to do; and if nothing was refused, the node is the one on which the
//! owner never ran.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::path::PathSnapshot;
use crate::rollback::{Execution, ExecutionState, Expectation, check, execute};

const ACTORS: [&str; 5] = [KUBE, FLANNEL, DOCKER, "admin/root", NOBODY];
const CHAINS: [&str; 5] = ["FORWARD", "INPUT", "A", "B", "C"];
const SETS: [&str; 3] = ["s0", "s1", "s2"];
const MOUNT_POINTS: [&str; 3] = ["/etc/x", "/etc/y", "/etc/y/d"];
const PATHS: [&str; 6] = ["/etc/x", "/etc/x/a", "/etc/x/b", "/etc/y/c", "/etc/y", "/etc/y/d/e"];

/// One thing somebody does. What is needed for it and is not there is made first, as the tools do.
#[derive(Debug, Clone)]
pub(super) enum Act {
    Table { table: usize },
    Chain { table: usize, chain: usize },
    Rule { table: usize, chain: usize, jump: Option<usize>, set: Option<usize>, counter: bool },
    Set { table: usize, set: usize, flags: u32 },
    Element { table: usize, set: usize, key: u8, jump: Option<usize>, timeout: bool },
    Counter { table: usize },
    Link { link: u32, controller: Option<u32>, lower: Option<u32>, veth: bool },
    Address { link: u32, host: u8 },
    Route { link: Option<u32>, net: u8 },
    File { path: usize },
    Mount { path: usize },
    LegacyChain { chain: usize },
    LegacyRule { chain: usize, jump: Option<usize>, text: u8 },
    Balance { service: u8, destination: Option<u8> },
}

fn act() -> impl Strategy<Value = Act> {
    let table = 0..2_usize;
    let chain = 0..CHAINS.len();
    let jump = proptest::option::weighted(0.5, 2..CHAINS.len());
    let set = 0..SETS.len();
    let link = 3..8_u32;
    prop_oneof![
        1 => table.clone().prop_map(|table| Act::Table { table }),
        3 => (table.clone(), chain.clone()).prop_map(|(table, chain)| Act::Chain { table, chain }),
        6 => (table.clone(), chain, jump.clone(), proptest::option::weighted(0.3, set.clone()), proptest::bool::weighted(0.2))
            .prop_map(|(table, chain, jump, set, counter)| Act::Rule { table, chain, jump, set, counter }),
        2 => (table.clone(), set.clone(), prop_oneof![Just(0), Just(MAP), Just(TIMEOUT), Just(CONSTANT)])
            .prop_map(|(table, set, flags)| Act::Set { table, set, flags }),
        4 => (table.clone(), set, 2..9_u8, jump, any::<bool>())
            .prop_map(|(table, set, key, jump, timeout)| Act::Element { table, set, key, jump, timeout }),
        1 => table.prop_map(|table| Act::Counter { table }),
        3 => (link.clone(), proptest::option::of(2..8_u32), proptest::option::of(2..8_u32), any::<bool>())
            .prop_map(|(link, controller, lower, veth)| Act::Link { link, controller, lower, veth }),
        3 => (2..8_u32, 1..5_u8).prop_map(|(link, host)| Act::Address { link, host }),
        3 => (proptest::option::of(2..8_u32), 0..5_u8).prop_map(|(link, net)| Act::Route { link, net }),
        3 => (0..PATHS.len()).prop_map(|path| Act::File { path }),
        2 => (0..MOUNT_POINTS.len()).prop_map(|path| Act::Mount { path }),
        3 => (0..3_u8, proptest::option::weighted(0.7, 1..4_u8))
            .prop_map(|(service, destination)| Act::Balance { service, destination }),
        1 => (2..CHAINS.len()).prop_map(|chain| Act::LegacyChain { chain }),
        5 => (0..CHAINS.len(), proptest::option::weighted(0.4, 2..CHAINS.len()), 0..3_u8)
            .prop_map(|(chain, jump, text)| Act::LegacyRule { chain, jump, text }),
    ]
}

fn tables(index: usize) -> TableRef {
    TableRef { family: Family::Ip, name: ["filter", "nat"][index].into() }
}

impl Scene {
    fn ensure_table(&mut self, by: &str, index: usize) {
        self.here = tables(index);
        let content = TableSnapshot { handle: Handle(0), flags: 0, userdata: Vec::new() };
        self.try_nft(by, NftItem::Table, NftSnapshot::Table(content));
    }

    /// Makes the chain if it is missing; only the first two of [`CHAINS`] are base chains.
    fn ensure_chain(&mut self, by: &str, index: usize) {
        let base = BaseChain { kind: "filter".to_owned(), hook: 1, priority: 0, policy: 1, device: None };
        let content =
            ChainSnapshot { handle: Handle(0), base: (index < 2).then_some(base), flags: 0, userdata: Vec::new() };
        self.try_nft(by, NftItem::Chain(CHAINS[index].into()), NftSnapshot::Chain(content));
    }

    fn act(&mut self, by: &str, act: &Act) {
        match *act {
            Act::Table { table } => self.ensure_table(by, table),
            Act::Chain { table, chain } => {
                self.ensure_table(by, table);
                self.ensure_chain(by, chain);
            }
            Act::Rule { table, chain, jump, set, counter } => {
                self.ensure_table(by, table);
                self.ensure_chain(by, chain);
                let jumps: Vec<&str> = jump.map(|jump| CHAINS[jump]).into_iter().collect();
                let sets: Vec<&str> = set.map(|set| SETS[set]).into_iter().collect();
                let objects: &[&str] = if counter { &["count"] } else { &[] };
                let item = NftItem::Rule { chain: CHAINS[chain].into(), handle: Handle(0) };
                self.try_nft(by, item, rule_content(&format!("{by} {act:?}"), &jumps, &sets, objects));
            }
            Act::Set { table, set, flags } => {
                self.ensure_table(by, table);
                let content = SetSnapshot { handle: Handle(0), flags, attributes: Vec::new() };
                self.try_nft(by, NftItem::Set(SETS[set].into()), NftSnapshot::Set(content));
            }
            Act::Element { table, set, key, jump, timeout } => {
                self.here = tables(table);
                let jumps: Vec<&str> = jump.map(|jump| CHAINS[jump]).into_iter().collect();
                let item = NftItem::Element { set: SETS[set].into(), key: vec![key] };
                self.try_nft(by, item, element_content(&[key], &jumps, timeout));
            }
            Act::Counter { table } => {
                self.ensure_table(by, table);
                let content = OtherSnapshot { handle: Handle(0), attributes: Vec::new() };
                let item = NftItem::Object { kind: 1, name: "count".into() };
                self.try_nft(by, item, NftSnapshot::Other(content));
            }
            Act::Link { .. } | Act::Address { .. } | Act::Route { .. } => self.act_on_net(by, act),
            Act::File { path } => self.make_file(by, PATHS[path]),
            Act::Mount { path } => self.mount(by, MOUNT_POINTS[path]),
            Act::Balance { service, destination } => self.balance(by, service, destination),
            Act::LegacyChain { chain } => self.legacy_chain(by, CHAINS[chain]),
            Act::LegacyRule { chain, jump, text } => {
                // the kernel refuses loops
                let jump = jump.filter(|jump| *jump > chain).map(|jump| CHAINS[jump]);
                for name in jump.into_iter().chain((chain > 1).then_some(CHAINS[chain])) {
                    self.legacy_chain(by, name);
                }
                let text = format!("{by} {:?} {text}", self.certainty);
                self.legacy_rule(by, CHAINS[chain], legacy::rule(&text, jump));
            }
        }
    }

    fn has_link(&self, ifindex: u32) -> bool {
        self.host.net.get(&Subject::Link(Ifindex(ifindex))).is_some()
    }

    fn has_route(&self, link: Option<u32>, destination: &str) -> bool {
        self.host.net.dump().iter().any(|(subject, _)| match subject {
            Subject::Route(route) => {
                (route.oif.is_none() || route.oif == link.map(Ifindex)) && route.destination == destination.parse().ok()
            }
            _ => false,
        })
    }

    fn act_on_net(&mut self, by: &str, act: &Act) {
        match *act {
            Act::Link { link, .. } if self.has_link(link) => self.collided = true,
            Act::Link { link, controller, lower, veth } if !self.has_link(link) => {
                let of =
                    |other: Option<u32>| other.filter(|other| *other != link && self.has_link(*other)).map(Ifindex);
                let (controller, lower) = (of(controller), of(lower));
                let kind = if veth { "veth" } else { "bridge" };
                self.link(by, link, &format!("link{link}"), Some(kind), |it| {
                    it.controller = controller;
                    it.lower = if veth { None } else { lower };
                });
            }
            Act::Address { link, host } if self.has_link(link) => {
                let network = [10, u8::try_from(link).expect("small"), 0];
                let address = IpAddr::from([network[0], network[1], network[2], host]);
                let subject = AddressSubject { ifindex: Ifindex(link), address, prefix: 24 };
                if self.host.net.get(&Subject::Address(subject)).is_some() {
                    self.collided = true;
                    return;
                }
                // as the kernel does: the first address of a subnet brings its route, further ones are secondary
                let subnet = format!("10.{link}.0.0");
                let is_secondary = self.has_route(Some(link), &subnet);
                self.address(by, link, &address.to_string(), 24, is_secondary);
                if !is_secondary {
                    self.route(by, &subnet, 24, Some(link), 2);
                }
            }
            Act::Route { link, net } if link.is_none_or(|link| self.has_link(link)) => {
                let destination = format!("198.51.{net}.0");
                if self.has_route(link, &destination) {
                    self.collided = true;
                } else {
                    self.route(by, &destination, 24, link, 4);
                }
            }
            _ => {}
        }
    }

    /// `mkdir -p` and create, by one owner.
    fn make_file(&mut self, by: &str, path: &str) {
        self.collided |= self.host.files.get(&abs(path)).is_some();
        let mut parts = String::new();
        for part in path.trim_start_matches('/').split('/') {
            parts = format!("{parts}/{part}");
            let is_file = parts == path && path.len() > "/etc/x".len();
            let kind = if is_file { PathKind::File } else { PathKind::Dir };
            if self.host.files.get(&abs(&parts)).is_none() {
                self.path(by, &parts, kind);
            }
        }
    }

    /// A filesystem in memory on a directory that is empty, which is made where it is missing.
    fn mount(&mut self, by: &str, path: &str) {
        let at = abs(path);
        let has_more = self.host.files.entries().keys().any(|it| *it != at && it.is_within(&at));
        let is_dir = self.host.files.get(&at).is_none_or(|now| now.kind == PathKind::Dir);
        if has_more || !is_dir || self.host.mounts.is_mount_point(&at) {
            self.collided = true;
            return;
        }
        let mut parts = String::new();
        for part in path.trim_start_matches('/').split('/') {
            parts = format!("{parts}/{part}");
            if self.host.files.get(&abs(&parts)).is_none() {
                self.path(by, &parts, PathKind::Dir);
            }
        }
        let made = self.host.mounts.mount(&at, "tmpfs");
        self.record(by, made);
    }

    pub(super) fn roll_back(&mut self, selection: &Selection) -> (Plan, Execution, bool) {
        let live = self.live(selection);
        let plan = plan(&self.objects, &live, selection);
        let expectation = Expectation::new(&plan, &live);
        let checked = check(plan.clone(), &live).expect("nothing happened in between");
        let execution = execute(checked, &mut self.host, &mut |_, _| {});
        let after = self.host.live(&expectation.paths()).expect("the fake always answers");
        (plan, execution, expectation.verify(&after).holds())
    }
}

/// The mounts, by where they are.
pub(super) fn mounted(host: &FakeHost) -> Vec<String> {
    let mounts = host.mounts.dump();
    let mut names: Vec<String> = mounts.iter().map(|(mount, _)| crate::model::subject::describe_bare(mount)).collect();
    names.sort();
    names
}

/// Everything there is, handles included.
fn everything(scene: &Scene) -> BTreeMap<Subject, Snapshot> {
    let files = scene.host.files.entries().iter();
    let files =
        files.map(|(path, now): (&AbsPath, &PathSnapshot)| (Subject::Path(path.clone()), Snapshot::Path(now.clone())));
    let net = scene.host.net.dump().into_iter().chain(scene.host.ipvs.dump());
    let kernel = scene.host.ruleset.dump().into_iter().chain(net);
    kernel.chain(scene.host.legacy.dump()).chain(scene.host.mounts.dump()).chain(files).collect()
}

/// Everything there is, as a person would list it: no handles, no inodes, rules in order. Tables and base chains with
/// nothing in them are left out: whether somebody else wanted them too is not recorded.
fn listing(scene: &Scene) -> Vec<String> {
    let dump = scene.host.ruleset.dump();
    let is_plain = |(_, now): &&(Subject, Snapshot)| match now {
        Snapshot::Nft(NftSnapshot::Table(_)) => false,
        Snapshot::Nft(NftSnapshot::Chain(chain)) => chain.base.is_none(),
        _ => true,
    };
    let nft = dump.iter().filter(is_plain).cloned().map(|(subject, now)| {
        let Subject::Nft(mut nft) = subject else { return String::new() };
        if let NftItem::Rule { handle, .. } = &mut nft.item {
            *handle = Handle(0);
        }
        format!("{nft} {}", now.digest())
    });
    let mut nft: Vec<String> = nft.collect();
    // the order of rules matters in their chain only, of everything else not at all
    nft.sort_by_key(|line| line.split(" handle ").next().map(str::to_owned));
    let net = scene.host.net.dump().into_iter().chain(scene.host.ipvs.dump());
    let net = net.map(|(subject, now)| format!("{subject:?} {}", now.digest()));
    let files = scene.host.files.entries().iter().map(|(path, now)| format!("{path} {:?} {}", now.kind, now.size));
    nft.into_iter().chain(net).chain(files).chain(legacy::listing(&scene.host)).chain(mounted(&scene.host)).collect()
}

pub(super) fn world(acts: &[(usize, bool, Act)], takes_part: impl Fn(&str) -> bool) -> Scene {
    let mut scene = Scene::new();
    scene.link("kernel", 2, "eth0", None, |_| {});
    scene.path("admin/root", "/etc", PathKind::Dir);
    scene.legacy_table(&CHAINS[..2]);
    for (actor, is_inferred, act) in acts {
        scene.certainty = if *is_inferred { Certainty::Inferred } else { Certainty::Exact };
        if takes_part(ACTORS[*actor]) {
            scene.act(ACTORS[*actor], act);
        }
    }
    scene
}

pub(super) fn acts(actors: std::ops::Range<usize>, inferred: f64) -> impl Strategy<Value = Vec<(usize, bool, Act)>> {
    proptest::collection::vec((actors, proptest::bool::weighted(inferred), act()), 1..40)
}

fn is_selected(actor: &str) -> bool {
    actor != NOBODY && owner(actor).is_within(&owner("kubernetes"))
}

/// An element that packets may have made; it may go with its set.
fn times_out(now: &Snapshot) -> bool {
    matches!(now, Snapshot::Nft(NftSnapshot::Element(element)) if element.has_timeout)
}

/// How many sequences are tried, `NETDEED_LAW_CASES`.
#[expect(clippy::disallowed_methods, reason = "how long a test runs is chosen by its caller")]
pub(super) fn cases() -> u32 {
    std::env::var("NETDEED_LAW_CASES").map_or(512, |text| text.parse().expect("a number of cases"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_scope_goes_or_is_explained_and_nothing_else_moves(acts in acts(0..5, 0.1), include_inferred: bool) {
        let selection = Selection { include_inferred, ..kubernetes() };
        let mut scene = world(&acts, |_| true);
        let before = everything(&scene);
        let (plan, execution, is_proven) = scene.roll_back(&selection);
        prop_assert_eq!(&execution.state, &ExecutionState::Done, "{}", plan);
        prop_assert!(is_proven);
        let after = everything(&scene);

        for object in scene.objects.iter().filter(|object| selection.names_owner_of(object)) {
            let explained = plan.refusals().iter().any(|refusal| refusal.object == object.id)
                || plan.kept().iter().any(|kept| kept.object == object.id && matches!(kept.reason, KeptReason::Shared { .. }));
            prop_assert_ne!(after.contains_key(&object.subject), !explained, "{} in\n{}", object.describe(), plan);
        }
        for (subject, was) in &before {
            let object = scene.objects.iter().find(|object| object.subject == *subject);
            let is_in_scope = object.is_some_and(|object| selection.names_owner_of(object));
            let is_recorded = object.is_some();
            let kernel_route = matches!(was, Snapshot::Route(route) if route.is_kernel_made());
            let is_lost = |step: &crate::rollback::Step| match (step.subject(), subject) {
                (Subject::Mount(mount), Subject::Path(path)) => step.loses() > 0 && path.is_within(&mount.path),
                _ => false,
            };
            let is_lost = plan.steps().iter().any(is_lost);
            let goes_along = kernel_route || (!is_recorded && (times_out(was) || is_lost));
            if !is_in_scope && !goes_along {
                prop_assert_eq!(after.get(subject), Some(was), "{:?} in\n{}", object.map(Object::describe), plan);
            }
        }
        prop_assert!(scene.plan(&selection).is_empty(), "{}", scene.plan(&selection));
    }

    #[test]
    fn without_refusals_the_node_is_the_one_on_which_the_owner_never_ran(acts in acts(0..4, 0.0)) {
        let mut scene = world(&acts, |_| true);
        let (plan, execution, _) = scene.roll_back(&kubernetes());
        prop_assert_eq!(execution.state, ExecutionState::Done);
        if plan.refusals().is_empty() && !scene.collided {
            prop_assert_eq!(listing(&scene), listing(&world(&acts, |actor| !is_selected(actor))), "{}", plan);
        }
    }

    #[test]
    fn alone_on_the_node_the_owner_leaves_nothing_behind(acts in acts(0..2, 0.0)) {
        let mut scene = world(&acts, |_| true);
        let (plan, _, _) = scene.roll_back(&kubernetes());
        let refused: Vec<_> = plan.refusals().iter().filter(|refusal| refusal.reason != Reason::KernelMade).collect();
        prop_assert!(refused.is_empty(), "{}", plan);
        prop_assert!(scene.host.ruleset.dump().is_empty());
        prop_assert_eq!(scene.host.legacy.dump().len(), 3, "the table and its built-in chains");
        prop_assert_eq!(scene.host.files.entries().len(), 1);
    }
}
