//! Why something does not come back.

use std::fmt;

/// A reason, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Obstacle {
    /// Something has its name or number now, made since.
    Taken,
    /// A rule of equal content is in its chain, made since.
    MadeAnew,
    /// What it was in or needs is neither there nor comes back.
    Needs(String),
    /// Others put rules where it stood, and its neighbours do not tell on which side of them it belongs.
    PlaceLost,
    /// It was set otherwise since.
    SetSince,
    /// It belongs to an earlier boot or to another network namespace.
    OtherBoot,
    /// The other end of the pair was in another network namespace and went with it.
    PeerElsewhere,
    /// Links of this kind cannot be made of what is recorded.
    Kind(String),
    /// IP sets, and rules that match them by the kernel's number, are not put back.
    IpSet,
    /// Qdiscs, classes, filters and neighbours are not made anew.
    Traffic,
    /// What a network namespace's name stood for is gone.
    Namespace,
    /// No mount shows what was mounted, and it was not in memory.
    Filesystem(String),
    /// A chain that is part of a rule (`jump { ... }`) has no name to be made by.
    PartOfRule,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken => f.write_str("something else has its name or number now"),
            Self::MadeAnew => f.write_str("a rule of equal content was made since"),
            Self::Needs(what) => write!(f, "it needs `{what}`, which is not there and does not come back"),
            Self::PlaceLost => f.write_str("others put rules where it stood, so its place is not known any more"),
            Self::SetSince => f.write_str("it was set otherwise since"),
            Self::OtherBoot => f.write_str("it belongs to an earlier boot or another network namespace"),
            Self::PeerElsewhere => f.write_str("its other end was in another network namespace and is gone"),
            Self::Kind(kind) => write!(f, "links of kind `{kind}` cannot be made of what is recorded"),
            Self::IpSet => f.write_str("IP sets, and rules that match them, are not put back"),
            Self::Traffic => f.write_str("traffic control and neighbours are not made anew"),
            Self::Namespace => f.write_str("the network namespace it gave a name to is gone"),
            Self::Filesystem(fs_type) => write!(f, "{fs_type} is mounted by programs of its own"),
            Self::PartOfRule => f.write_str("a chain that is part of a rule has no name to be made by"),
        }
    }
}

impl Obstacle {
    /// What a person can do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Taken | Self::MadeAnew => "see who made it with `netdeed who`; nothing is lost if it does the same",
            Self::Needs(_) => "see why that one does not come back",
            Self::PlaceLost => {
                "add it by hand where it belongs; `netdeed who` on the rules around it says whose they are"
            }
            Self::SetSince => "leave it, or set it by hand",
            Self::OtherBoot => "start its owner: kernel objects do not outlive a boot",
            Self::PeerElsewhere => "restart the pod or container it belonged to",
            Self::Namespace | Self::Filesystem(_) | Self::Kind(_) | Self::PartOfRule | Self::IpSet | Self::Traffic => {
                "start its owner, which makes it anew"
            }
        }
    }
}
