//! What rules refer to, looked up in the journal, so that their text is what the tools print.
//!
//! The journal is gone through when the first rule needs it: most rules contain all that their text says.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::ops::ControlFlow;

use crate::journal::{ObjectFilter, Read};
use crate::model::ids::{ChainName, Generation, Ifindex, SetName};
use crate::model::ipset::IpSetSnapshot;
use crate::model::legacy::{LegacyFamily, LegacyRule};
use crate::model::nft::{ElementSnapshot, NftItem, NftSnapshot, NftSubject, RuleSnapshot, SetSnapshot, TableRef};
use crate::model::object::Object;
use crate::model::subject::{Class, Snapshot, Subject};
use crate::render::{self, SetContent, Surroundings};

/// Makes the text of rules that live or lived.
pub struct Texts<'a> {
    journal: &'a dyn Read,
    known: OnceCell<Known>,
}

/// What the journal knows of what rules refer to.
#[derive(Default)]
struct Known {
    links: HashMap<Ifindex, String>,
    /// IP sets that live, by the number rules have them by.
    ip_sets: HashMap<u16, String>,
    sets: HashMap<(TableRef, SetName), Vec<KnownSet>>,
    /// Elements of anonymous sets: the text of others does not show theirs.
    elements: HashMap<(TableRef, SetName), Vec<(Made, ElementSnapshot)>>,
}

/// The commit something was made by, and whether it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Made {
    by: Option<Generation>,
    is_live: bool,
}

struct KnownSet {
    made: Made,
    set: SetSnapshot,
}

impl<'a> Texts<'a> {
    /// Reads nothing yet.
    pub fn new(journal: &'a dyn Read) -> Self {
        Self { journal, known: OnceCell::new() }
    }

    /// A rule's text. `made` is the commit that made it: an anonymous set is of the same one, and its name may have
    /// been another set's before and after.
    pub(super) fn rule(
        &self,
        table: &TableRef,
        chain: &ChainName,
        rule: &RuleSnapshot,
        made: Option<Generation>,
    ) -> String {
        render::rule(table, chain, rule, &AtRule { texts: self, table, made }).text
    }

    /// A legacy rule's text.
    pub(super) fn legacy_rule(&self, family: LegacyFamily, chain: &ChainName, rule: &LegacyRule) -> String {
        render::iptables_legacy(family, chain.as_str(), rule, self).text
    }

    /// A journal that cannot be read makes rules that need it inexact; whoever asks for their text has read it before.
    fn known(&self) -> &Known {
        self.known.get_or_init(|| {
            let mut known = Known::default();
            let scope = self.journal.scope().ok().flatten();
            let classes = vec![Class::Set, Class::Element, Class::Link, Class::IpSet];
            let filter = ObjectFilter { classes, include_removed: true, scope, ..ObjectFilter::default() };
            let visited = self.journal.visit(&filter, &mut |object| {
                known.add(object);
                ControlFlow::Continue(())
            });
            visited.map_or_else(|_| Known::default(), |()| known)
        })
    }
}

impl Known {
    fn add(&mut self, object: Object) {
        let made = Made { by: object.created.generation, is_live: object.is_live() };
        match (object.subject, object.snapshot) {
            (Subject::Link(ifindex), Snapshot::Link(link)) if made.is_live => {
                self.links.insert(ifindex, link.name.to_string());
            }
            (Subject::IpSet(subject), Snapshot::IpSet(IpSetSnapshot::Set(header))) if made.is_live => {
                self.ip_sets.extend(header.index.map(|index| (index, subject.set.to_string())));
            }
            (Subject::Nft(NftSubject { table, item }), Snapshot::Nft(snapshot)) => match (item, snapshot) {
                (NftItem::Set(name), NftSnapshot::Set(set)) => {
                    self.sets.entry((table, name)).or_default().push(KnownSet { made, set });
                }
                (NftItem::Element { set, .. }, NftSnapshot::Element(element)) if is_anonymous(&set) => {
                    self.elements.entry((table, set)).or_default().push((made, element));
                }
                _ => {}
            },
            _ => {}
        }
    }
}

/// The kernel's names of anonymous sets; others can be called so too, which costs some memory.
fn is_anonymous(name: &SetName) -> bool {
    ["__set", "__map"].iter().any(|prefix| name.as_str().starts_with(prefix))
}

/// The surroundings of a rule that names nothing of nf_tables.
impl Surroundings for Texts<'_> {
    fn link(&self, ifindex: u32) -> Option<String> {
        self.known().links.get(&Ifindex(ifindex)).cloned()
    }

    fn ip_set(&self, index: u16) -> Option<String> {
        self.known().ip_sets.get(&index).cloned()
    }
}

/// The surroundings of one rule.
struct AtRule<'a> {
    texts: &'a Texts<'a>,
    table: &'a TableRef,
    made: Option<Generation>,
}

impl AtRule<'_> {
    /// The set that a rule of that commit means: of the same commit if it is anonymous, else the one that lives, else
    /// the only one there was.
    fn choose<'s>(&self, sets: &'s [KnownSet]) -> Option<&'s KnownSet> {
        let made_with = |set: &&KnownSet| self.made.is_some() && set.made.by == self.made;
        match sets {
            [only] if !only.set.is_anonymous() || self.made.is_none() => Some(only),
            sets => {
                let mut fitting = sets.iter().filter(made_with);
                match (fitting.next(), fitting.next()) {
                    (Some(one), None) => Some(one),
                    (Some(_), Some(_)) => None,
                    (None, _) if self.made.is_some() && sets.iter().any(|set| set.set.is_anonymous()) => None,
                    (None, _) => sets.iter().find(|set| set.made.is_live),
                }
            }
        }
    }
}

impl Surroundings for AtRule<'_> {
    fn set(&self, name: &str) -> Option<SetContent<'_>> {
        let known = self.texts.known();
        let key = (self.table.clone(), SetName::from(name));
        let KnownSet { made, set } = self.choose(known.sets.get(&key)?)?;
        let elements = known.elements.get(&key).into_iter().flatten();
        let elements = elements.filter(|(element, _)| element == made).map(|(_, element)| element).collect();
        Some(SetContent { set, elements })
    }

    fn link(&self, ifindex: u32) -> Option<String> {
        self.texts.link(ifindex)
    }

    fn ip_set(&self, index: u16) -> Option<String> {
        self.texts.ip_set(index)
    }
}
