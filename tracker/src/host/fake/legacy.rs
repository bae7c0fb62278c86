//! Legacy tables in memory.

use crate::host::legacy::NewChain;
use crate::host::{HostError, LegacyEdit};
use crate::model::ids::ChainName;
use crate::model::legacy::{ChainContent, LegacyContent, LegacyItem, Nth};
use crate::model::subject::{Snapshot, Subject};

/// Legacy tables that are replaced as a whole.
#[derive(Debug, Clone, Default)]
pub struct FakeLegacy {
    /// The tables.
    pub tables: Vec<LegacyContent>,
}

impl FakeLegacy {
    /// Everything, rules in their order.
    pub fn dump(&self) -> Vec<(Subject, Snapshot)> {
        let objects = self.tables.iter().cloned().flat_map(LegacyContent::into_objects);
        objects.map(|(subject, content)| (Subject::Legacy(subject), Snapshot::Legacy(content))).collect()
    }

    /// Replaces a table; refuses, as the kernel does, a jump to a chain that is not there.
    pub(super) fn replace(&mut self, edit: &LegacyEdit) -> Result<(), HostError> {
        let conflict = || HostError::TableConflict { table: edit.table.to_string() };
        let table = self.tables.iter_mut().find(|it| it.table == edit.table).ok_or_else(conflict)?;
        if table.digest() != edit.expected {
            return Err(conflict());
        }
        let mut next = table.clone();
        next.chains.retain(|chain| !edit.removed.contains(&LegacyItem::Chain(chain.name.clone())));
        for NewChain { name, after } in &edit.chains {
            let behind = |chain: &ChainContent| Some(&chain.name) == after.as_ref() || chain.policy.is_some();
            let at = next.chains.iter().rposition(behind).map_or(0, |before| before + 1);
            next.chains.insert(at, ChainContent { name: name.clone(), policy: None, ending: None, rules: Vec::new() });
        }
        for chain in &mut next.chains {
            let mut count = Nth::default();
            let rules = std::mem::take(&mut chain.rules);
            let new = |at: usize| edit.rules.iter().filter(move |it| it.at == at).map(|it| (&it.chain, &it.rule));
            for (at, rule) in rules.into_iter().map(Some).chain([None]).enumerate() {
                let coming = new(at).filter(|(its, _)| **its == chain.name).map(|(_, rule)| rule.clone());
                chain.rules.extend(coming);
                let item = rule.as_ref().map(|rule| LegacyItem::Rule {
                    chain: chain.name.clone(),
                    content: rule.content,
                    nth: count.next(rule.content),
                });
                chain.rules.extend(rule.filter(|_| item.is_none_or(|item| !edit.removed.contains(&item))));
            }
            chain.policy = edit.policies.get(&chain.name).copied().or(chain.policy);
        }
        let is_there = |name: &ChainName| next.chains.iter().any(|chain| chain.name == *name);
        let jumps = next.chains.iter().flat_map(|chain| &chain.rules).filter_map(|rule| rule.chain.as_ref());
        if !jumps.into_iter().all(is_there) {
            return Err(HostError::Io {
                operation: "replace",
                object: format!("legacy table `{}`", edit.table),
                source: std::io::Error::from_raw_os_error(libc::ELOOP),
            });
        }
        *table = next;
        Ok(())
    }
}
