//! How the tracker is.

use serde::{Deserialize, Serialize};

use crate::model::gap::Source;
use crate::model::ids::NetnsId;

use super::log::GapView;
use super::object::OwnerSummary;
use super::time::TimeView;

/// How the tracker is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusView {
    /// Version of the tracker; of the command line tool when no tracker runs.
    pub version: String,
    /// How it is, in a word.
    pub state: TrackerState,
    /// Boot it records; `None` for an empty journal.
    pub boot: Option<String>,
    /// Network namespace it watches (inode number).
    pub netns: Option<NetnsId>,
    /// How long it has run; `None` when it does not.
    pub uptime_seconds: Option<u64>,
    /// The last moment up to which everything is recorded.
    pub last_alive: Option<TimeView>,
    /// The journal.
    pub journal: JournalView,
    /// Where records come from.
    pub sources: Vec<SourceView>,
    /// What the tracker found out by making one object of each class at start.
    pub self_test: Vec<SelfTestView>,
    /// BPF programs.
    pub bpf: Vec<BpfProgramView>,
    /// Records lost since it started; streams that lost none are left out.
    pub losses: Vec<LossView>,
    /// Gaps kept in the journal.
    pub gaps: u64,
    /// The latest of them.
    pub last_gap: Option<GapView>,
    /// What each owner has.
    pub owners: Vec<OwnerSummary>,
    /// Rules of each backend.
    #[serde(default)]
    pub rules: RuleCounts,
}

/// Rules of each backend. Where both have some, a packet meets both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleCounts {
    /// Of nf_tables.
    pub nft: u64,
    /// Of legacy tables.
    pub legacy: u64,
}

impl StatusView {
    /// Whether the tracker has finished starting.
    pub fn is_ready(&self) -> bool {
        matches!(self.state, TrackerState::Ready | TrackerState::Degraded)
    }
}

/// The tracker in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrackerState {
    /// Still taking stock of what is there.
    Starting,
    /// Recording, every source at its best.
    Ready,
    /// Recording, but a source is off or weaker than it could be.
    Degraded,
    /// Not running; the journal was read instead.
    Stopped,
}

impl TrackerState {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Stopped => "stopped",
        }
    }
}

/// The journal's figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalView {
    /// Where it is.
    pub directory: String,
    /// Entries written since it was made, dropped ones included.
    pub entries: u64,
    /// Objects that live.
    pub live_objects: u64,
    /// Objects that are gone and still kept.
    pub removed_objects: u64,
    /// Bytes on disk.
    pub bytes_on_disk: u64,
    /// An unreadable journal that was put aside.
    pub set_aside: Option<SetAsideView>,
}

/// An unreadable journal that was put aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAsideView {
    /// Where it is now.
    pub path: String,
    /// What was wrong with it.
    pub reason: String,
}

/// How a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceState {
    /// At its best.
    Ok,
    /// Works, but with weaker evidence or a smaller buffer than it could have.
    Degraded,
    /// Does not work; what it would have seen is not recorded or has no actor.
    Off,
}

impl SourceState {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Off => "off",
        }
    }
}

/// Where records come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceView {
    /// Name: `nftables`, `fanotify` and so on.
    pub name: String,
    /// How it is.
    pub state: SourceState,
    /// What it is doing, or what is wrong.
    pub detail: String,
    /// What to do about it, when something is wrong.
    pub remedy: Option<String>,
}

/// One object made at start to see whether it is recorded with the right actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfTestView {
    /// What was tried: `rule`, `link`, `dir` and so on.
    pub name: String,
    /// Whether it was recorded with the right actor.
    pub passed: bool,
    /// What was seen.
    pub detail: String,
}

/// One BPF program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BpfProgramView {
    /// Its name.
    pub name: String,
    /// Whether it is attached.
    pub attached: bool,
    /// Where, or why not.
    pub detail: String,
}

/// Records lost from one stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossView {
    /// The stream.
    pub source: Source,
    /// Times it lost some.
    pub times: u64,
    /// Records lost, where the kernel counted them.
    pub records: u64,
}
