//! Whose the things are that an undo puts back: their first creators'.

use std::collections::{HashMap, VecDeque};

use crate::model::digest::Digest;
use crate::model::ids::Handle;
use crate::model::legacy::{LegacyItem, LegacySubject};
use crate::model::mount::MountSubject;
use crate::model::nft::{NftItem, NftSubject};
use crate::model::owner::{Attribution, Owner};
use crate::model::subject::{Snapshot, Subject};
use crate::rollback::Archive;

/// What the recorder is to expect from an undo. A thing that the tracker itself makes while the undo runs, with the name
/// and the content of one of these, goes on being whose it was; anything else it makes is netdeed's.
#[derive(Debug, Default)]
pub struct Restores(HashMap<(Subject, Digest), VecDeque<Attribution>>);

impl Restores {
    /// Everything of an archive whose maker is known.
    pub fn of(archive: &Archive) -> Self {
        let mut expected: HashMap<_, VecDeque<Attribution>> = HashMap::new();
        for item in &archive.items {
            if let Some(attribution) = &item.attribution {
                let key = key(&item.subject, &item.snapshot);
                expected.entry(key).or_default().push_back(attribution.clone());
            }
        }
        Self(expected)
    }

    /// Whose the next thing of this name and content is.
    pub(super) fn owner(&self, subject: &Subject, content: &Snapshot) -> Option<&Owner> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&key(subject, content))?.front().map(Attribution::owner)
    }

    /// Whose a thing is, if it is one of these; each counts once.
    pub(super) fn take(&mut self, subject: &Subject, content: &Snapshot) -> Option<Attribution> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get_mut(&key(subject, content))?.pop_front()
    }
}

/// A rule gets another handle, or becomes another of the equal ones, and a path another inode; all that says nothing
/// about what they were.
fn key(subject: &Subject, content: &Snapshot) -> (Subject, Digest) {
    match subject {
        Subject::Nft(NftSubject { table, item: NftItem::Rule { chain, .. } }) => {
            let item = NftItem::Rule { chain: chain.clone(), handle: Handle(0) };
            (Subject::Nft(NftSubject { table: table.clone(), item }), content.digest())
        }
        // a mount gets another number, and one in memory another device
        Subject::Mount(mount) => {
            let content = match content {
                Snapshot::Mount(content) => Snapshot::Mount(content.made_again()).digest(),
                other => other.digest(),
            };
            (Subject::Mount(MountSubject { path: mount.path.clone(), id: 0 }), content)
        }
        Subject::Legacy(LegacySubject { table, item: LegacyItem::Rule { chain, content: which, .. } }) => {
            let item = LegacyItem::Rule { chain: chain.clone(), content: *which, nth: 0 };
            (Subject::Legacy(LegacySubject { table: table.clone(), item }), content.digest())
        }
        Subject::Path(_) => (subject.clone(), Digest([0; 16])),
        subject => (subject.clone(), content.digest()),
    }
}
