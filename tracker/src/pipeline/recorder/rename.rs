//! Renamed chains. A rename is announced as a chain of the new name with a handle that was given out long ago; that the
//! old name is gone, and that rules moved along and others now jump to the new name, is not.

use std::collections::HashSet;

use tracing::warn;

use crate::capture;
use crate::model::change::ChangeKind;
use crate::model::gap::{GapReason, Source};
use crate::model::ids::{ChainName, Generation, Handle, ObjectId};
use crate::model::nft::{NftItem, NftSnapshot, NftSubject, TableRef};
use crate::model::owner::Attribution;
use crate::model::subject::{Snapshot, Subject};

use super::super::effects::Effect;
use super::Recorder;

/// A chain that goes by another name now.
pub(super) struct Renamed {
    table: TableRef,
    to: ChainName,
}

impl Recorder {
    /// Turns what looks like new chains into the old ones under new names, with the rules in them.
    pub(super) fn follow_renames(&self, effects: Vec<Effect>) -> (Vec<Effect>, Vec<Renamed>) {
        let mut renamed = Vec::new();
        let mut followed = Vec::with_capacity(effects.len());
        let gone: HashSet<ObjectId> = effects
            .iter()
            .filter(|effect| effect.kind == ChangeKind::Removed)
            .filter_map(|effect| effect.object)
            .collect();
        for effect in effects {
            match self.rename(&effect) {
                Some((effects, rename)) => {
                    let stays = |effect: &Effect| effect.object.is_none_or(|object| !gone.contains(&object));
                    followed.extend(effects.into_iter().filter(stays));
                    renamed.push(rename);
                }
                None => followed.push(effect),
            }
        }
        (followed, renamed)
    }

    fn rename(&self, effect: &Effect) -> Option<(Vec<Effect>, Renamed)> {
        let (Subject::Nft(NftSubject { table, item: NftItem::Chain(to) }), ChangeKind::Created) =
            (&effect.subject, effect.kind)
        else {
            return None;
        };
        let after = effect.after.as_ref()?;
        let Snapshot::Nft(NftSnapshot::Chain(chain)) = after else { return None };
        // a table made anew gives out the handles of the old one again
        let from = self.handles.is_old(table, chain.handle).then(|| self.chain_of(table, chain.handle))??;
        let nft = |item| Subject::Nft(NftSubject { table: table.clone(), item });
        let old = nft(NftItem::Chain(from.clone()));
        let id = self.world.get(&old)?.id;
        let mut effects = vec![Effect::rewritten(id, old, effect.subject.clone(), after.clone())];
        for rule in self.world.in_chain(table, &from) {
            let Subject::Nft(NftSubject { item: NftItem::Rule { handle, .. }, .. }) = &rule else { continue };
            let moved = nft(NftItem::Rule { chain: to.clone(), handle: *handle });
            let id = self.world.get(&rule)?.id;
            effects.push(Effect::rewritten(id, rule.clone(), moved, self.content(id)?));
        }
        Some((effects, Renamed { table: table.clone(), to: to.clone() }))
    }

    /// Name of the known chain with a handle, which no other chain of the table can have.
    fn chain_of(&self, table: &TableRef, handle: Handle) -> Option<ChainName> {
        let chains = self.world.in_table(table).into_iter();
        chains.filter(|subject| self.world.get(subject).is_some_and(|known| known.handle == Some(handle))).find_map(
            |subject| match subject {
                Subject::Nft(NftSubject { item: NftItem::Chain(chain), .. }) => Some(chain),
                _ => None,
            },
        )
    }

    /// Rules and elements that lead to a renamed chain name it by its new name: other content of the same objects.
    pub(super) fn follow_jumps(&mut self, renamed: &[Renamed], by: &Attribution, generation: Generation) {
        if renamed.is_empty() {
            return;
        }
        let live = match capture::nfnetlink::dump() {
            Ok(dump) => dump.objects,
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "what leads to a renamed chain could not be read");
                self.lose(Source::Nftables, GapReason::Partial { source: Source::Nftables });
                return;
            }
        };
        let by = by.clone().of_consequence("the chain it leads to was renamed");
        for (subject, snapshot) in live {
            let leads = |rename: &Renamed| leads_to(&subject, &snapshot, rename);
            let known =
                self.world.get(&subject).filter(|known| known.digest != snapshot.digest()).map(|known| known.id);
            if let Some(id) = known.filter(|_| renamed.iter().any(leads)) {
                self.apply(Effect::changed(id, subject, snapshot), &by, Some(generation));
            }
        }
    }
}

fn leads_to(subject: &Subject, snapshot: &Snapshot, renamed: &Renamed) -> bool {
    let Subject::Nft(NftSubject { table, .. }) = subject else { return false };
    let chains = match snapshot {
        Snapshot::Nft(NftSnapshot::Rule(rule)) => &rule.chains,
        Snapshot::Nft(NftSnapshot::Element(element)) => &element.chains,
        _ => return false,
    };
    *table == renamed.table && chains.contains(&renamed.to)
}
