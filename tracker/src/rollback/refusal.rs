//! Refusals and things kept: every "no" is a value with its reason.

use std::fmt;

use crate::model::ids::ObjectId;
use crate::model::owner::{Certainty, Owner};
use crate::model::path::AbsPath;
use crate::model::subject::Class;

/// Something that stands in the way, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Party {
    /// What, for people.
    pub what: String,
    /// Whose; `None` when the journal does not know the thing at all.
    pub owner: Option<Owner>,
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, owner } = self;
        match owner {
            Some(owner) => write!(f, "`{what}` ({owner})"),
            None => write!(f, "`{what}` (not recorded)"),
        }
    }
}

/// One or more parties; long lists are cut.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parties {
    /// The first few.
    pub named: Vec<Party>,
    /// How many more there are.
    pub more: usize,
}

impl Parties {
    /// How many are named.
    const NAMED: usize = 5;

    /// Adds one, by name while there are few.
    pub fn add(&mut self, party: impl FnOnce() -> Party) {
        if self.named.len() < Self::NAMED {
            self.named.push(party());
        } else {
            self.more += 1;
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }
}

impl fmt::Display for Parties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, party) in self.named.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            fmt::Display::fmt(party, f)?;
        }
        if self.more > 0 {
            write!(f, " and {} more", self.more)?;
        }
        Ok(())
    }
}

/// Why an object of the selected owner is not removed although it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Something that stays refers to it; the kernel would not let it go.
    ForeignReference {
        /// What refers to it.
        by: Parties,
    },
    /// It holds things of other owners, or things nobody recorded.
    ForeignInside {
        /// What it holds.
        what: Parties,
    },
    /// It leads to a rule of another owner, or of nobody recorded; without it no packet would meet that rule.
    LeadsToForeign {
        /// The chain or map that it names.
        by_way_of: String,
    },
    /// It holds things of the same owner that stay for reasons of their own.
    NotEmpty {
        /// What it holds.
        what: Parties,
    },
    /// It is not what the journal recorded, or somebody else changed it last.
    Drifted {
        /// As recorded.
        expected: String,
        /// As it is.
        found: String,
        /// Who changed it, when that was recorded.
        by: Option<Owner>,
    },
    /// The owner is not sure enough.
    NotProven(Certainty),
    /// Its table is locked by the socket that made it (owner flag).
    LockedTable,
    /// Something is mounted on it or below it that stays.
    MountBelow {
        /// What, and whose it is.
        mounts: Parties,
    },
    /// Another mount hides it, so that no path leads to it.
    Covered {
        /// By which.
        by: Parties,
    },
    /// It is mounted on one of several mounts that do what one of them does: unmounting it would unmount others.
    Propagates {
        /// What would go along.
        to: Parties,
    },
    /// Its filesystem answers from elsewhere, and unmounting it may wait for ever.
    MayHang {
        /// Type of the filesystem.
        fs_type: String,
    },
    /// It is the name of a network namespace in which processes run.
    InUse {
        /// Which.
        by: Vec<String>,
    },
    /// Only a mount shows it here; it is a file of another place, and its name here says nothing of its owner.
    SeenElsewhere {
        /// The other place.
        at: AbsPath,
    },
    /// It has further names (hard links), under which its content would go on, as somebody must want.
    FurtherNames {
        /// How many names it has.
        names: u64,
    },
    /// The kernel made it and does not let it be deleted.
    KernelMade,
    /// It is an element of a set that may not change (constant flag).
    ConstantSet,
    /// The content of bridge tables of legacy xtables is not recorded.
    LegacyTable,
    /// Somebody else's object, whose content the selected owner changed; the earlier content is not set back.
    Altered {
        /// Who changed it.
        by: Owner,
    },
    /// The value it had before was not read in time.
    EarlierUnknown,
    /// Its live state was not read, so nothing is known about it now.
    NotRead,
    /// It makes the node forward packets, and others came to use the node's network since, who may have found it set.
    ReliedOn {
        /// What of theirs.
        by: Parties,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForeignReference { by } => write!(f, "{by} still refers to it"),
            Self::ForeignInside { what } => write!(f, "it holds {what}"),
            Self::LeadsToForeign { by_way_of } => {
                write!(f, "it leads to a rule of somebody else, through `{by_way_of}`")
            }
            Self::NotEmpty { what } => write!(f, "it still holds {what}"),
            Self::Drifted { expected, found, by: None } => write!(f, "expected {expected} but found {found}"),
            Self::Drifted { expected, found, by: Some(by) } => {
                write!(f, "expected {expected} but found {found}, changed by {by}")
            }
            Self::NotProven(certainty) => write!(f, "its owner is only {certainty}"),
            Self::LockedTable => f.write_str("its table is locked by the process that made it"),
            Self::MountBelow { mounts } => write!(f, "{mounts} is mounted there"),
            Self::Covered { by } => write!(f, "{by} covers it"),
            Self::Propagates { to } => write!(f, "unmounting it would unmount {to} too"),
            Self::MayHang { fs_type } => write!(f, "unmounting {fs_type} may wait for ever"),
            Self::InUse { by } => write!(f, "{} run in its network namespace", by.join(", ")),
            Self::SeenElsewhere { at } => write!(f, "it is `{at}`, which is mounted there"),
            Self::FurtherNames { names } => write!(f, "it has {names} names (hard links)"),
            Self::KernelMade => f.write_str("the kernel made it and does not let it be deleted"),
            Self::ConstantSet => f.write_str("its set is constant"),
            Self::LegacyTable => f.write_str("rules of legacy bridge tables are recorded, but not removed by netdeed"),
            Self::Altered { by } => write!(f, "it is not the selected owner's, but {by} changed it last"),
            Self::EarlierUnknown => f.write_str("the value it had before is not known"),
            Self::NotRead => f.write_str("its live state was not read"),
            Self::ReliedOn { by } => write!(f, "{by} came after it was set and may need it"),
        }
    }
}

impl Reason {
    /// What a person can do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::ForeignReference { .. } => "remove the reference or roll back its owner too, then plan again",
            Self::ForeignInside { .. } => "move or remove what is inside or roll back its owner too, then plan again",
            Self::LeadsToForeign { .. } => "move or remove the rule inside or roll back its owner too, then plan again",
            Self::NotEmpty { .. } => "resolve the refusals of what is inside first, then plan again",
            Self::Drifted { .. } => "look at it and remove it by hand if it should go",
            Self::NotProven(Certainty::Inferred) => "look at its evidence; --include-inferred takes it along",
            Self::NotProven(_) => "look at it and remove it by hand if it should go",
            Self::LockedTable => "stop the process that holds the table; the kernel then removes it",
            Self::MountBelow { .. } | Self::Covered { .. } => "unmount it, then plan again",
            Self::Propagates { .. } => {
                "take the mount above it out of its peer group (`mount --make-slave`), then plan again"
            }
            Self::MayHang { .. } => "unmount it by hand (`umount -l` if its server is gone), then plan again",
            Self::InUse { .. } => "stop the pod or container they are of, then plan again",
            Self::SeenElsewhere { .. } => "unmount what shows it there, then plan again",
            Self::FurtherNames { .. } => "find the others with `find / -xdev -samefile`, remove by hand what should go",
            Self::KernelMade => "set it down and flush its addresses, or unload the kernel module behind it",
            Self::ConstantSet => "remove the set's other elements and users first, then plan again",
            Self::LegacyTable => "clean it with `ebtables-legacy`",
            Self::Altered { .. } => "see its history and set the earlier content by hand",
            Self::EarlierUnknown => "set it by hand; `capture.sysctls` names sysctls to read at the start",
            Self::NotRead => "plan again",
            Self::ReliedOn { .. } => "set it back by hand when nobody else needs it",
        }
    }
}

/// An object that was asked for and is not removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The journal object.
    pub object: ObjectId,
    /// Its class.
    pub class: Class,
    /// What people call it.
    pub what: String,
    /// Whose it is.
    pub owner: Owner,
    /// Why it is refused.
    pub reason: Reason,
}

/// Why an object of the selected owner needs no step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptReason {
    /// A table or base chain with something of others in it, or a route that their addresses need too. It stays until
    /// they need it no more.
    Shared {
        /// What of theirs.
        with: Parties,
    },
    /// It goes together with something else that a step removes.
    GoesWith(String),
    /// It is gone already.
    AlreadyGone,
}

impl fmt::Display for KeptReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shared { with } => write!(f, "shared with {with}"),
            Self::GoesWith(other) => write!(f, "goes with `{other}`"),
            Self::AlreadyGone => f.write_str("gone already"),
        }
    }
}

/// An object of the selected owner that needs no step of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The journal object.
    pub object: ObjectId,
    /// Its class.
    pub class: Class,
    /// What people call it.
    pub what: String,
    /// Whose it is.
    pub owner: Owner,
    /// Why it needs no step.
    pub reason: KeptReason,
}
