//! The ruleset as the tools print it, each line with who made it.

use serde::{Deserialize, Serialize};

use crate::model::ids::ObjectId;
use crate::model::nft::Family;
use crate::model::owner::{Certainty, Owner};
use crate::model::subject::Class;

use super::actor::ActorBrief;
use super::time::TimeView;

/// Whose words the lines are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Syntax {
    /// `iptables-save` or `ip6tables-save`: nf_tables' tables that iptables knows, then those of the legacy backend.
    Iptables,
    /// `nft -s list ruleset`.
    Nft,
    /// `iptables-legacy-save` or `ip6tables-legacy-save`, only the legacy backend.
    Legacy,
    /// `iptables-nft-save` or `ip6tables-nft-save`, only nf_tables' tables.
    IptablesNft,
}

/// Which lines of the live ruleset are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BlameQuery {
    /// In whose words; without it `iptables` where one of its tables or a legacy rule is there, else `nft`.
    pub syntax: Option<Syntax>,
    /// Only tables of this family; `ip` when not given, except for `nft`.
    pub family: Option<Family>,
    /// Only tables of this name.
    pub table: Option<String>,
    /// Only chains of this name.
    pub chain: Option<String>,
    /// Only lines of this owner or below it, and the heads of what they stand in.
    pub owner: Option<Owner>,
}

/// Lines of the ruleset. A stream of these is one listing: lines follow each other, deeds are numbered through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlameView {
    /// In whose words.
    pub syntax: Syntax,
    /// In the tool's order.
    pub lines: Vec<BlameLine>,
    /// What lines refer to by number, counted from 0.
    pub deeds: Vec<BlameDeed>,
    /// What is to be known of the whole listing.
    pub notes: Vec<String>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlameLine {
    /// As the tool prints it, without counters.
    pub text: String,
    /// Whether the tool prints exactly this; else brackets say what cannot be written its way.
    pub exact: bool,
    /// Whether the line is of the legacy backend.
    #[serde(default)]
    pub legacy: bool,
    /// What the line is about; `null` for a line that is only the tool's own, such as `COMMIT`.
    pub class: Option<Class>,
    /// The object in the journal; `null` with a class means that the journal does not know it.
    pub object: Option<ObjectId>,
    /// Who made it, as a number into the deeds.
    pub deed: Option<u32>,
    /// Who last changed its content, if anybody did.
    pub changed: Option<u32>,
}

/// Who did it and when. Equal for many lines: times are those of the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlameDeed {
    /// Whose it is.
    pub owner: Owner,
    /// How sure that is.
    pub certainty: Certainty,
    /// When.
    pub time: TimeView,
    /// Who acted, when somebody was seen.
    pub actor: Option<ActorBrief>,
}
