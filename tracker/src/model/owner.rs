//! Owners, certainty and evidence: the verdict on who a thing belongs to.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::gap::GapReason;
use super::ids::ActorId;

/// Whom a thing belongs to, as a path from the general to the special: `kubernetes/kube-proxy`, `cni/flannel`,
/// `docker`, `admin/root`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Owner(String);

/// A text that is no owner path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an owner path such as `docker` or `cni/flannel` but found `{0}`")]
pub struct BadOwner(pub String);

impl Owner {
    /// Parses a path: parts of printable characters without spaces, separated by `/`, none empty.
    ///
    /// # Errors
    /// [`BadOwner`] for anything else.
    pub fn new(path: &str) -> Result<Self, BadOwner> {
        let is_part = |part: &str| !part.is_empty() && part.chars().all(|c| !c.is_whitespace() && !c.is_control());
        if path.split('/').all(is_part) { Ok(Self(path.to_owned())) } else { Err(BadOwner(path.to_owned())) }
    }

    /// The owner of what the kernel makes by itself.
    pub fn kernel() -> Self {
        Self("kernel".to_owned())
    }

    /// People who logged in.
    pub fn admin() -> Self {
        Self("admin".to_owned())
    }

    /// The owner of what the tracker cannot attribute.
    pub fn unknown() -> Self {
        Self("unknown".to_owned())
    }

    /// Our own changes.
    pub fn netdeed() -> Self {
        Self("netdeed".to_owned())
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first part: `cni` of `cni/flannel`.
    pub fn class(&self) -> &str {
        self.0.split('/').next().unwrap_or(&self.0)
    }

    /// Whether this owner is `selection` or below it. `kubernetes` includes all of `cni`: a CNI plugin works for the
    /// kubelet.
    pub fn is_within(&self, selection: &Self) -> bool {
        let below = |path: &str, prefix: &str| {
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        below(&self.0, &selection.0) || (selection.0 == "kubernetes" && self.class() == "cni")
    }
}

impl TryFrom<String> for Owner {
    type Error = BadOwner;

    fn try_from(path: String) -> Result<Self, Self::Error> {
        Self::new(&path)
    }
}

impl From<Owner> for String {
    fn from(owner: Owner) -> Self {
        owner.0
    }
}

impl std::str::FromStr for Owner {
    type Err = BadOwner;

    fn from_str(path: &str) -> Result<Self, Self::Err> {
        Self::new(path)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How sure the tracker is of an owner; the order is from weak to strong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    /// Nothing is known.
    Unknown,
    /// Judged by name, comment or address plan; nobody was seen doing it.
    Inferred,
    /// Matched by content inside a window of time.
    Correlated,
    /// The kernel said who.
    Exact,
    /// Somebody was seen, but its name is another owner's sign: whoever restored a dump is no owner of what was in it.
    /// Between inferred and correlated.
    Disputed,
}

impl PartialOrd for Certainty {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Certainty {
    fn cmp(&self, other: &Self) -> Ordering {
        self.strength().cmp(&other.strength())
    }
}

impl Certainty {
    /// Every certainty, strongest first.
    pub const ALL: [Self; 5] = [Self::Exact, Self::Correlated, Self::Disputed, Self::Inferred, Self::Unknown];

    fn strength(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Inferred => 1,
            Self::Disputed => 2,
            Self::Correlated => 3,
            Self::Exact => 4,
        }
    }

    /// Whether a rollback may act on it without being told to.
    pub fn is_proven(self) -> bool {
        self >= Self::Correlated
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Inferred => "inferred",
            Self::Correlated => "correlated",
            Self::Exact => "exact",
            Self::Disputed => "disputed",
        }
    }
}

impl fmt::Display for Certainty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One reason for an owner or for a doubt.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Evidence {
    /// `NFT_MSG_NEWGEN` of the commit named this thread, and that thread's netlink request was seen.
    CommitAndRequest {
        /// The commit.
        generation: u32,
        /// Thread id it names.
        tid: u32,
    },
    /// `NFT_MSG_NEWGEN` named this thread; no request of it was seen, the process was alive at the time.
    CommitThread {
        /// The commit.
        generation: u32,
        /// Thread id it names.
        tid: u32,
    },
    /// The notification's portid and sequence number are those of a request that was seen.
    RequestNumber {
        /// Requester's portid.
        portid: u32,
        /// Requester's sequence number.
        seq: u32,
    },
    /// A request that was under way named this thing.
    RequestContent {
        /// What of the request matched: `ifname cni0`, `peer veth3f`, `kind bridge`.
        matched: String,
    },
    /// fanotify named the process.
    Fanotify {
        /// Process id it named.
        tgid: u32,
    },
    /// The process was seen replacing the table.
    TableReplace {
        /// Legacy table.
        table: String,
    },
    /// An owner rule matched the actor or one of its ancestors.
    OwnerRule {
        /// The rule's label.
        rule: String,
        /// The program it matched.
        program: String,
    },
    /// A name, comment or mark known to be used by that owner.
    Name {
        /// The table row that matched.
        pattern: String,
    },
    /// The kernel made it as the consequence of something else.
    KernelMade {
        /// Why it is thought so: `route protocol kernel`, `kernel thread`.
        sign: String,
    },
    /// Was there when the tracker started.
    Baseline,
    /// Appeared while records were missing.
    Gap {
        /// Why records were missing.
        reason: GapReason,
    },
    /// Removed and added again with equal content in one transaction: the first creator stays.
    SameContent,
    /// Several processes fit equally well.
    Ambiguous {
        /// How many.
        candidates: u32,
    },
    /// No owner rule matched the lineage.
    NoOwnerRule {
        /// The lineage, for people.
        lineage: String,
    },
    /// Nobody was seen asking for it.
    NoRequest,
    /// It was moved out of the watched directories.
    MovedAway,
    /// Records of requests were lost about then.
    RequestLost,
    /// The kernel sent the notification in this thread.
    Notifier {
        /// The thread.
        tid: u32,
    },
    /// It was one of these, and cannot be told which.
    OneOf {
        /// Programs with their process ids, for people.
        actors: Vec<String>,
    },
    /// Its name is the sign of another owner than the one who was seen.
    Contradicted {
        /// The table row that matched.
        pattern: String,
        /// Whose sign that is.
        owner: String,
    },
    /// No notification told of it: found by comparing the record with what lives.
    Reconciled,
    /// An undo put it back as it was; the evidence before this is of whom it was first made by.
    Restored {
        /// The undo.
        operation: u64,
    },
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommitAndRequest { generation, tid } => {
                write!(f, "commit {generation} names thread {tid}, whose netlink request was seen")
            }
            Self::CommitThread { generation, tid } => write!(f, "commit {generation} names thread {tid}"),
            Self::RequestNumber { portid, seq } => {
                write!(f, "notification carries portid {portid} seq {seq} of a request that was seen")
            }
            Self::RequestContent { matched } => write!(f, "a request under way named it ({matched})"),
            Self::Fanotify { tgid } => write!(f, "fanotify names process {tgid}"),
            Self::TableReplace { table } => write!(f, "process replaced legacy table {table}"),
            Self::OwnerRule { rule, program } => write!(f, "owner rule `{rule}` matches {program}"),
            Self::Name { pattern } => write!(f, "name fits {pattern}"),
            Self::KernelMade { sign } => write!(f, "kernel-made ({sign})"),
            Self::Baseline => f.write_str("was there when the tracker started"),
            Self::Gap { reason } => write!(f, "appeared in a gap ({reason})"),
            Self::SameContent => f.write_str("re-added with equal content, first creator kept"),
            Self::Ambiguous { candidates } => write!(f, "{candidates} processes fit equally well"),
            Self::NoRequest => f.write_str("nobody was seen asking for it"),
            Self::MovedAway => f.write_str("was moved out of the watched directories"),
            Self::Notifier { tid } => write!(f, "the kernel sent the notification in thread {tid}"),
            Self::RequestLost => f.write_str("records of requests were lost about then"),
            Self::Contradicted { pattern, owner } => write!(f, "but its name fits {pattern}, a sign of {owner}"),
            Self::Reconciled => f.write_str("found by comparing the record with what lives"),
            Self::OneOf { actors } => write!(f, "one of {} did it", actors.join(", ")),
            Self::Restored { operation } => write!(f, "put back by operation {operation}, first creator kept"),
            Self::NoOwnerRule { lineage } => write!(f, "no owner rule matches {lineage}"),
        }
    }
}

/// The verdict on one deed: owner, how sure, why, and who acted. There is none without evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribution {
    owner: Owner,
    certainty: Certainty,
    evidence: Vec<Evidence>,
    actor: Option<ActorId>,
}

impl Attribution {
    /// Makes a verdict; `first` is its evidence, more can follow with [`Attribution::with`].
    pub fn new(owner: Owner, certainty: Certainty, actor: Option<ActorId>, first: Evidence) -> Self {
        Self { owner, certainty, evidence: vec![first], actor }
    }

    /// The verdict that nothing is known, and why.
    pub fn unknown(why: Evidence) -> Self {
        Self::new(Owner::unknown(), Certainty::Unknown, None, why)
    }

    /// The same verdict for another owner: whom the one that was seen acted for.
    #[must_use]
    pub fn owned_by(self, owner: Owner) -> Self {
        Self { owner, ..self }
    }

    /// Adds evidence.
    #[must_use]
    pub fn with(mut self, evidence: Evidence) -> Self {
        self.evidence.push(evidence);
        self
    }

    /// The verdict on what followed from this deed by itself: the kernel did not say so, time did.
    #[must_use]
    pub fn of_consequence(mut self, sign: &str) -> Self {
        self.certainty = self.certainty.min(Certainty::Correlated);
        self.with(Evidence::KernelMade { sign: sign.to_owned() })
    }

    /// The same verdict on a thing whose name is another owner's sign.
    #[must_use]
    pub fn contradicted(mut self, sign: Evidence) -> Self {
        self.certainty = self.certainty.min(Certainty::Disputed);
        self.with(sign)
    }

    /// Whom it belongs to.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// How sure.
    pub fn certainty(&self) -> Certainty {
        self.certainty
    }

    /// Why, at least one.
    pub fn evidence(&self) -> &[Evidence] {
        &self.evidence
    }

    /// Who acted, when somebody was seen.
    pub fn actor(&self) -> Option<ActorId> {
        self.actor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_includes_the_cni_and_nothing_else() {
        let owner = |path| Owner::new(path).expect("valid path");
        let kubernetes = owner("kubernetes");
        assert!(owner("kubernetes/kube-proxy").is_within(&kubernetes));
        assert!(owner("cni/flannel").is_within(&kubernetes));
        assert!(!owner("kubernetesque").is_within(&kubernetes));
        assert!(!owner("docker").is_within(&kubernetes));
        assert!(!owner("kubernetes/kube-proxy").is_within(&owner("cni")));
    }

    #[test]
    fn a_disputed_owner_is_not_proven() {
        let mut sorted = Certainty::ALL;
        sorted.sort_unstable_by(|one, other| other.cmp(one));
        assert_eq!(sorted, Certainty::ALL);
        assert!(!Certainty::Disputed.is_proven() && Certainty::Correlated.is_proven());
    }

    #[test]
    fn empty_parts_are_refused() {
        for bad in ["", "/", "cni/", "/cni", "a//b", "a b"] {
            assert_eq!(Owner::new(bad), Err(BadOwner(bad.to_owned())));
        }
    }
}
