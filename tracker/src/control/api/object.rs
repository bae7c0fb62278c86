//! Objects and the deeds that made them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::change::ChangeKind;
use crate::model::ids::{EntrySeq, Generation, Handle, Ifindex, NetnsId, ObjectId, OperationId};
use crate::model::owner::{Certainty, Owner};
use crate::model::subject::Class;

use super::actor::{ActorBrief, ActorView};
use super::time::TimeView;

/// One object in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRow {
    /// Number in the journal.
    pub id: ObjectId,
    /// Class.
    pub class: Class,
    /// What people call it, its class first: `rule ip filter FORWARD handle 16`.
    pub name: String,
    /// Whose it is.
    pub owner: Owner,
    /// How sure that is.
    pub certainty: Certainty,
    /// Whether it is still there, as far as the journal knows.
    pub live: bool,
    /// When it was made, or found.
    pub created: TimeView,
    /// When its content last changed.
    pub changed: Option<TimeView>,
    /// When it was last removed and added again with equal content.
    #[serde(default)]
    pub rewritten: Option<TimeView>,
    /// When it went away.
    pub removed: Option<TimeView>,
    /// Who made it.
    pub actor: Option<ActorBrief>,
    /// Its content in one line.
    pub text: String,
}

/// Objects that passed a filter, in the order they were recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectList {
    /// The objects.
    pub objects: Vec<ObjectRow>,
    /// How many passed the filter; more than are listed when a limit was given.
    pub total: u64,
}

/// What one owner has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerSummary {
    /// The owner.
    pub owner: Owner,
    /// Its objects.
    pub total: u64,
    /// How many of each class; classes it has none of are left out.
    pub classes: BTreeMap<Class, u64>,
    /// How many of each certainty; those it has none of are left out.
    pub certainties: BTreeMap<Certainty, u64>,
}

/// Every owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerList {
    /// In the order of their paths.
    pub owners: Vec<OwnerSummary>,
}

/// The answer to `who`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhoView {
    /// What was asked for, for people.
    pub asked: String,
    /// What it names: living objects, or, when there are none, those that went away last.
    pub objects: Vec<ObjectView>,
}

/// One object with all its deeds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectView {
    /// Number in the journal.
    pub id: ObjectId,
    /// Class.
    pub class: Class,
    /// What people call it, its class first.
    pub name: String,
    /// Whose it is.
    pub owner: Owner,
    /// How sure that is.
    pub certainty: Certainty,
    /// Whether it is still there, as far as the journal knows.
    pub live: bool,
    /// Boot it was recorded in.
    pub boot: String,
    /// Network namespace it is in (inode number).
    pub netns: NetnsId,
    /// Place in its chain counted from 1, for a rule that was looked up live.
    pub position: Option<u64>,
    /// Its content in one line.
    pub text: String,
    /// Its content.
    pub content: ContentView,
    /// Who made it.
    pub created: DeedView,
    /// Who last changed its content.
    pub changed: Option<DeedView>,
    /// Who last removed and re-added it with equal content.
    pub rewritten: Option<DeedView>,
    /// Who removed it.
    pub removed: Option<DeedView>,
    /// The first change and the last ones, oldest first.
    pub history: Vec<ChangeView>,
    /// How many changes the journal holds of it.
    pub history_total: u64,
    /// What uses a living set: rules, and sets it is in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<UserView>,
    /// How many there are of them.
    #[serde(default, skip_serializing_if = "is_none")]
    pub users_total: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

/// Something that uses a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserView {
    /// Number in the journal.
    pub id: ObjectId,
    /// What people call it, its class first.
    pub name: String,
    /// Whose it is.
    pub owner: Owner,
    /// How sure that is.
    pub certainty: Certainty,
    /// Its content in one line.
    pub text: String,
}

/// One act on one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeedView {
    /// When.
    pub time: TimeView,
    /// The nf_tables commit it was part of.
    pub generation: Option<Generation>,
    /// Whom the deed is attributed to.
    pub owner: Owner,
    /// How sure that is.
    pub certainty: Certainty,
    /// Why, at least one.
    pub evidence: Vec<String>,
    /// Who acted, when somebody was seen.
    pub actor: Option<ActorView>,
    /// The operation of netdeed's own that did it.
    pub operation: Option<OperationId>,
}

/// One line of an object's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeView {
    /// Position in the journal.
    pub seq: EntrySeq,
    /// What happened.
    pub change: ChangeKind,
    /// When.
    pub time: TimeView,
    /// The nf_tables commit it was part of.
    pub generation: Option<Generation>,
    /// Whom it is attributed to.
    pub owner: Owner,
    /// How sure that is.
    pub certainty: Certainty,
    /// Who acted, when somebody was seen.
    pub actor: Option<ActorBrief>,
}

/// An object's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[expect(missing_docs, reason = "fields carry the names the kernel's tools use; `docs/api.md` lists them")]
pub enum ContentView {
    Table {
        handle: Handle,
        flags: Vec<String>,
    },
    Chain {
        handle: Handle,
        base: Option<BaseChainView>,
    },
    Rule {
        handle: Handle,
        text: String,
        comment: Option<String>,
        chains: Vec<String>,
        sets: Vec<String>,
        objects: Vec<String>,
    },
    Set {
        handle: Handle,
        flags: Vec<String>,
    },
    Element {
        set: String,
        key: String,
    },
    Object {
        handle: Handle,
        kind: u32,
    },
    Flowtable {
        handle: Handle,
    },
    Xtables {
        family: String,
        table: String,
    },
    LegacyTable {},
    LegacyChain {
        policy: Option<String>,
    },
    LegacyRule {
        text: String,
        comment: Option<String>,
        chain: Option<String>,
    },
    Link {
        ifindex: Ifindex,
        ifname: String,
        kind: Option<String>,
        mac: String,
        mtu: u32,
        up: bool,
        controller: Option<Ifindex>,
        lower: Option<Ifindex>,
        altnames: Vec<String>,
    },
    Address {
        address: String,
        prefix: u8,
        ifindex: Ifindex,
        ifname: Option<String>,
        dynamic: bool,
    },
    Route {
        destination: String,
        gateway: Option<String>,
        table: u32,
        metric: u32,
        protocol: u8,
        kind: u8,
        ifname: Option<String>,
    },
    IpRule {
        priority: u32,
        text: String,
    },
    Path {
        path: String,
        kind: String,
        mode: String,
        uid: u32,
        gid: u32,
        size: u64,
        modified: Option<TimeView>,
    },
    IpSet {
        kind: String,
        options: String,
        index: Option<u16>,
        references: u32,
    },
    Member {
        set: String,
        key: String,
        options: String,
        times_out: bool,
    },
    Sysctl {
        value: String,
        before: Option<String>,
    },
    Qdisc {
        ifindex: Ifindex,
        ifname: Option<String>,
        kind: String,
        handle: String,
        parent: String,
    },
    Tclass {
        ifindex: Ifindex,
        ifname: Option<String>,
        kind: String,
        handle: String,
        parent: String,
    },
    Filter {
        ifindex: Ifindex,
        ifname: Option<String>,
        kind: String,
        place: String,
        chain: u32,
        pref: u16,
        protocol: String,
        handle: u32,
        name: Option<String>,
    },
    Neighbour {
        ifindex: Ifindex,
        ifname: Option<String>,
        address: Option<String>,
        mac: String,
        vlan: Option<u16>,
        destination: Option<String>,
        table: Option<String>,
        state: Vec<String>,
    },
    Mount {
        path: String,
        number: u32,
        filesystem: String,
        source: String,
        root: String,
        options: String,
    },
    Ipvs {
        service: String,
        scheduler: String,
        options: String,
    },
    Destination {
        service: String,
        address: String,
        weight: u32,
        options: String,
    },
    /// A snapshot that does not belong to its subject; never written by this version.
    Unknown,
}

/// Where a base chain is attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseChainView {
    /// `filter`, `nat` or `route`.
    pub kind: String,
    /// Hook, by the word nft(8) uses for it in the table's family, or its number.
    pub hook: String,
    /// Order among the chains of one hook.
    pub priority: i32,
    /// `accept` or `drop`.
    pub policy: String,
    /// The link a netdev chain is attached to.
    pub device: Option<String>,
}
