//! A fake in the state that a node was read in.

use super::{FakeFiles, FakeHost, FakeIpSets, FakeLegacy, FakeMounts, FakeNet, FakeRuleset};
use crate::model::legacy::LegacyContent;
use crate::model::live::LiveState;
use crate::model::subject::{Snapshot, Subject};

impl FakeHost {
    /// A node like the one that was read, as far as it was read: sysctls are not part of a [`LiveState`].
    pub fn of(live: &LiveState) -> Self {
        let nft = live.nft.iter().filter_map(|object| match object {
            (Subject::Nft(subject), Snapshot::Nft(content)) => Some((subject.clone(), content.clone())),
            _ => None,
        });
        let legacy = live.legacy.iter().filter_map(|object| match object {
            (Subject::Legacy(subject), Snapshot::Legacy(content)) => Some((subject, content)),
            _ => None,
        });
        let mut ip_sets = FakeIpSets::default();
        for object in &live.ip_sets {
            if let (Subject::IpSet(subject), Snapshot::IpSet(content)) = object {
                ip_sets.put(subject.clone(), content.clone());
            }
        }
        Self {
            ruleset: FakeRuleset::of(live.generation, nft.collect()),
            legacy: FakeLegacy { tables: LegacyContent::of(legacy) },
            net: FakeNet::of(live.rt.iter().cloned()),
            files: FakeFiles::of(live),
            mounts: FakeMounts::of(live),
            ip_sets,
            ..Self::default()
        }
    }
}
