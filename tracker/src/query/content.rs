//! Contents as documents and as one line of text.

mod traffic;

use std::fmt::Write;
use std::net::SocketAddr;

use crate::control::api::{BaseChainView, ContentView};
use crate::model::ids::{Generation, Handle};
use crate::model::ipset::{IpSetItem, IpSetSnapshot, IpSetSubject};
use crate::model::ipvs::{IpvsItem, IpvsSnapshot, IpvsSubject};
use crate::model::legacy::{LegacyItem, LegacySnapshot, LegacySubject};
use crate::model::link::LinkSnapshot;
use crate::model::mount::MountSnapshot;
use crate::model::nft::{BaseChain, Family, NftItem, NftSnapshot, NftSubject, RuleSnapshot};
use crate::model::path::{AbsPath, PathKind, PathSnapshot};
use crate::model::route::{RouteSnapshot, RouteSubject};
use crate::model::subject::{Snapshot, Subject};
use crate::render;

use super::texts::Texts;

/// Bits of `NFT_TABLE_F_*` and their words in nft(8).
const TABLE_FLAGS: [(u32, &str); 3] = [(1, "dormant"), (2, "owner"), (4, "persist")];

/// Bits of `NFT_SET_*` and words for them.
const SET_FLAGS: [(u32, &str); 8] = [
    (1, "anonymous"),
    (2, "constant"),
    (4, "interval"),
    (8, "map"),
    (16, "timeout"),
    (32, "dynamic"),
    (64, "object"),
    (128, "concatenation"),
];

/// An object's content as a document. `made` is the nf_tables commit that made it.
pub(super) fn content_view(
    texts: &Texts<'_>,
    subject: &Subject,
    snapshot: &Snapshot,
    made: Option<Generation>,
) -> ContentView {
    match (subject, snapshot) {
        (Subject::Nft(subject), Snapshot::Nft(snapshot)) => nft_view(texts, subject, snapshot, made),
        (Subject::Legacy(subject), Snapshot::Legacy(snapshot)) => legacy_view(texts, subject, snapshot),
        (Subject::Xtables { family, table }, _) => {
            ContentView::Xtables { family: family.clone(), table: table.clone() }
        }
        (Subject::Link(ifindex), Snapshot::Link(link)) => {
            let LinkSnapshot { name, kind, mac, controller, lower, peer_netns: _, mtu, altnames, info_data: _, is_up } =
                link;
            ContentView::Link {
                ifindex: *ifindex,
                ifname: name.to_string(),
                kind: kind.clone(),
                mac: mac.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":"),
                mtu: *mtu,
                up: *is_up,
                controller: *controller,
                lower: *lower,
                altnames: altnames.clone(),
            }
        }
        (Subject::Address(subject), Snapshot::Address(snapshot)) => ContentView::Address {
            address: subject.address.to_string(),
            prefix: subject.prefix,
            ifindex: subject.ifindex,
            ifname: snapshot.ifname.as_ref().map(ToString::to_string),
            dynamic: snapshot.is_dynamic,
        },
        (Subject::Route(subject), Snapshot::Route(snapshot)) => route_view(subject, snapshot),
        (Subject::IpRule(subject), Snapshot::IpRule(snapshot)) => {
            ContentView::IpRule { priority: subject.priority, text: snapshot.text.clone() }
        }
        (Subject::Path(path), Snapshot::Path(snapshot)) => path_view(path, snapshot),
        (Subject::IpSet(subject), Snapshot::IpSet(snapshot)) => ip_set_view(subject, snapshot),
        (Subject::Ipvs(subject), Snapshot::Ipvs(snapshot)) => ipvs_view(subject, snapshot),
        (Subject::Sysctl(_), Snapshot::Sysctl(set)) => {
            ContentView::Sysctl { value: set.value.clone(), before: set.before.clone() }
        }
        (subject, Snapshot::Traffic(snapshot)) => traffic::view(subject, snapshot),
        (Subject::Neighbour(subject), Snapshot::Neighbour(snapshot)) => traffic::neighbour_view(subject, snapshot),
        (Subject::Mount(subject), Snapshot::Mount(snapshot)) => {
            let MountSnapshot { fs_type, source, root, dev: _, options, settings: _ } = snapshot;
            ContentView::Mount {
                path: subject.path.to_string(),
                number: subject.id,
                filesystem: fs_type.clone(),
                source: source.clone(),
                root: root.clone(),
                options: options.clone(),
            }
        }
        _ => ContentView::Unknown,
    }
}

fn ip_set_view(subject: &IpSetSubject, snapshot: &IpSetSnapshot) -> ContentView {
    match (&subject.item, snapshot) {
        (IpSetItem::Set, IpSetSnapshot::Set(set)) => ContentView::IpSet {
            kind: set.kind.clone(),
            options: set.options.clone(),
            index: set.index,
            references: set.references,
        },
        (IpSetItem::Member { key }, IpSetSnapshot::Member(member)) => ContentView::Member {
            set: subject.set.to_string(),
            key: key.clone(),
            options: member.options.clone(),
            times_out: member.has_timeout,
        },
        _ => ContentView::Unknown,
    }
}

fn ipvs_view(subject: &IpvsSubject, snapshot: &IpvsSnapshot) -> ContentView {
    let service = subject.service.to_string();
    match (&subject.item, snapshot) {
        (IpvsItem::Service, IpvsSnapshot::Service(settings)) => ContentView::Ipvs {
            service,
            scheduler: settings.scheduler.clone(),
            options: settings.options(subject.service.family()),
        },
        (IpvsItem::Destination { address, port }, IpvsSnapshot::Destination(destination)) => ContentView::Destination {
            service,
            address: SocketAddr::new(*address, *port).to_string(),
            weight: destination.weight,
            options: destination.options(),
        },
        _ => ContentView::Unknown,
    }
}

fn nft_view(texts: &Texts<'_>, subject: &NftSubject, snapshot: &NftSnapshot, made: Option<Generation>) -> ContentView {
    match (&subject.item, snapshot) {
        (NftItem::Table, NftSnapshot::Table(table)) => {
            ContentView::Table { handle: table.handle, flags: words(table.flags, &TABLE_FLAGS) }
        }
        (NftItem::Chain(_), NftSnapshot::Chain(chain)) => ContentView::Chain {
            handle: chain.handle,
            base: chain.base.as_ref().map(|base| base_chain_view(subject.table.family, base)),
        },
        (NftItem::Rule { chain, handle }, NftSnapshot::Rule(rule)) => {
            rule_view(*handle, rule, texts.rule(&subject.table, chain, rule, made))
        }
        (NftItem::Set(_), NftSnapshot::Set(set)) => {
            ContentView::Set { handle: set.handle, flags: words(set.flags, &SET_FLAGS) }
        }
        (NftItem::Element { set, key }, NftSnapshot::Element(_)) => ContentView::Element {
            set: set.to_string(),
            key: key.iter().fold(String::from("0x"), |text, byte| text + &format!("{byte:02x}")),
        },
        (NftItem::Object { kind, .. }, NftSnapshot::Other(other)) => {
            ContentView::Object { handle: other.handle, kind: *kind }
        }
        (NftItem::Flowtable(_), NftSnapshot::Other(other)) => ContentView::Flowtable { handle: other.handle },
        _ => ContentView::Unknown,
    }
}

fn legacy_view(texts: &Texts<'_>, subject: &LegacySubject, snapshot: &LegacySnapshot) -> ContentView {
    match (&subject.item, snapshot) {
        (LegacyItem::Table, LegacySnapshot::Table) => ContentView::LegacyTable {},
        (LegacyItem::Chain(_), LegacySnapshot::Chain(chain)) => {
            ContentView::LegacyChain { policy: chain.policy.or(chain.ending).map(|policy| policy.to_string()) }
        }
        (LegacyItem::Rule { chain, .. }, LegacySnapshot::Rule(rule)) => ContentView::LegacyRule {
            text: texts.legacy_rule(subject.table.family, chain, rule),
            comment: rule.comment.clone(),
            chain: rule.chain.as_ref().map(ToString::to_string),
        },
        _ => ContentView::Unknown,
    }
}

fn rule_view(handle: Handle, rule: &RuleSnapshot, text: String) -> ContentView {
    fn names<T: ToString>(names: &[T]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }
    ContentView::Rule {
        handle,
        text,
        comment: rule.comment.clone(),
        chains: names(&rule.chains),
        sets: names(&rule.sets),
        objects: names(&rule.objects),
    }
}

fn base_chain_view(family: Family, base: &BaseChain) -> BaseChainView {
    let BaseChain { kind, hook, priority, policy, device } = base;
    let policy = match policy {
        0 => "drop".to_owned(),
        1 => "accept".to_owned(),
        number => number.to_string(),
    };
    let hook = render::hook_name(family, *hook).map_or_else(|| hook.to_string(), str::to_owned);
    BaseChainView { kind: kind.clone(), hook, priority: *priority, policy, device: device.clone() }
}

fn route_view(subject: &RouteSubject, snapshot: &RouteSnapshot) -> ContentView {
    ContentView::Route {
        destination: subject
            .destination
            .map_or_else(|| "default".to_owned(), |destination| format!("{destination}/{}", subject.prefix)),
        gateway: subject.gateway.map(|gateway| gateway.to_string()),
        table: subject.table,
        metric: subject.priority,
        protocol: snapshot.protocol,
        kind: snapshot.kind,
        ifname: snapshot.ifname.clone(),
    }
}

fn path_view(path: &AbsPath, snapshot: &PathSnapshot) -> ContentView {
    let PathSnapshot { kind, inode: _, mode, uid, gid, size, modified } = snapshot;
    let kind = match kind {
        PathKind::Dir => "dir",
        PathKind::File => "file",
        PathKind::Symlink => "symlink",
        PathKind::Special => "special",
    };
    ContentView::Path {
        path: path.to_string(),
        kind: kind.to_owned(),
        mode: format!("{:04o}", mode & 0o7777),
        uid: *uid,
        gid: *gid,
        size: *size,
        modified: modified.map(Into::into),
    }
}

fn words(bits: u32, table: &[(u32, &str)]) -> Vec<String> {
    table.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, word)| (*word).to_owned()).collect()
}

/// An object's content in one line; empty where the name says it all. `made` is the nf_tables commit that made it.
pub fn content_text(texts: &Texts<'_>, subject: &Subject, snapshot: &Snapshot, made: Option<Generation>) -> String {
    match content_view(texts, subject, snapshot, made) {
        ContentView::Rule { text, .. } | ContentView::LegacyRule { text, .. } => text,
        ContentView::LegacyChain { policy: Some(policy) } => format!("policy {policy}"),
        ContentView::Chain { base: Some(base), .. } => {
            let BaseChainView { kind, hook, priority, policy, device } = base;
            let device = device.map(|device| format!(" device {device}")).unwrap_or_default();
            format!("type {kind} hook {hook}{device} priority {priority}; policy {policy}")
        }
        ContentView::Table { flags, .. } | ContentView::Set { flags, .. } if !flags.is_empty() => {
            format!("flags {}", flags.join(","))
        }
        ContentView::Link { ifindex, kind, mac, mtu, up, controller, .. } => {
            let mut text = format!("ifindex {ifindex} kind {} mtu {mtu}", kind.as_deref().unwrap_or("none"));
            if !mac.is_empty() {
                let _ = write!(text, " address {mac}");
            }
            if let Some(controller) = controller {
                let _ = write!(text, " controller #{controller}");
            }
            text + if up { " up" } else { " down" }
        }
        ContentView::Route { protocol, kind, .. } => {
            format!("{} protocol {}", route_kind_word(kind), route_protocol_word(protocol))
        }
        ContentView::IpSet { kind, options, .. } => format!("{kind} {options}"),
        ContentView::Member { options, .. }
        | ContentView::Ipvs { options, .. }
        | ContentView::Destination { options, .. } => options,
        ContentView::Mount { filesystem, source, root, options, .. } => {
            let root = if root == "/" { String::new() } else { format!(" {root}") };
            format!("{filesystem} {source}{root} {options}")
        }
        ContentView::Sysctl { value, before } => {
            let before = before.map_or_else(|| "before not known".to_owned(), |before| format!("was {before}"));
            format!("value {value}, {before}")
        }
        ContentView::Address { dynamic: true, .. } => "dynamic".to_owned(),
        ContentView::Filter { name: Some(name), .. } => format!("program {name}"),
        ContentView::Neighbour { address, mac, state, .. } => {
            let place = address.map(|_| format!("lladdr {mac} ")).unwrap_or_default();
            format!("{place}{}", state.join(","))
        }
        ContentView::Path { kind, mode, uid, gid, size, .. } => {
            let size = if kind == "dir" { String::new() } else { format!(" {size} bytes") };
            format!("mode {mode} uid {uid} gid {gid}{size}")
        }
        _ => String::new(),
    }
}

/// `RTN_*` by ip(8)'s words, or the number.
fn route_kind_word(kind: u8) -> String {
    const WORDS: [&str; 12] = [
        "unspec",
        "unicast",
        "local",
        "broadcast",
        "anycast",
        "multicast",
        "blackhole",
        "unreachable",
        "prohibit",
        "throw",
        "nat",
        "xresolve",
    ];
    WORDS.get(usize::from(kind)).map_or_else(|| kind.to_string(), |word| (*word).to_owned())
}

/// `RTPROT_*` by the words of iproute2's `rt_protos`, or the number.
fn route_protocol_word(protocol: u8) -> String {
    const WORDS: [(u8, &str); 13] = [
        (0, "unspec"),
        (1, "redirect"),
        (2, "kernel"),
        (3, "boot"),
        (4, "static"),
        (9, "ra"),
        (11, "zebra"),
        (12, "bird"),
        (16, "dhcp"),
        (18, "keepalived"),
        (186, "bgp"),
        (188, "ospf"),
        (196, "openr"),
    ];
    let word = WORDS.into_iter().find(|(number, _)| *number == protocol);
    word.map_or_else(|| protocol.to_string(), |(_, word)| word.to_owned())
}
