//! Tables of legacy xtables (iptables-legacy, ip6tables-legacy, arptables-legacy, ebtables-legacy) in their own words.
//!
//! The kernel knows such a table only as a whole: rules have no handles, and every change replaces all of it. A rule is
//! therefore named by its content and by which of the equal ones of its chain it is.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::digest::{Digest, DigestBuilder};
use super::ids::{ChainName, TableName};
use super::nft::Family;
use super::owner::Owner;

/// Family of a legacy table whose content is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LegacyFamily {
    /// `iptables-legacy`.
    Ip,
    /// `ip6tables-legacy`.
    Ip6,
    /// `arptables-legacy`.
    Arp,
    /// `ebtables-legacy`.
    Bridge,
}

impl LegacyFamily {
    /// Every family.
    pub const ALL: [Self; 4] = [Self::Ip, Self::Ip6, Self::Arp, Self::Bridge];

    /// The word for it, the same as an nf_tables family's.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Arp => "arp",
            Self::Bridge => "bridge",
        }
    }

    /// The family of nf_tables that sees the same packets.
    pub fn nft(self) -> Family {
        match self {
            Self::Ip => Family::Ip,
            Self::Ip6 => Family::Ip6,
            Self::Arp => Family::Arp,
            Self::Bridge => Family::Bridge,
        }
    }

    /// From the word for it, or the one that records of calls have for bridge tables, `eb`.
    pub fn from_word(word: &str) -> Option<Self> {
        let is_it = |family: &Self| family.as_str() == word || (word == "eb" && *family == Self::Bridge);
        Self::ALL.into_iter().find(is_it)
    }
}

impl fmt::Display for LegacyFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A legacy table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LegacyTable {
    /// Family.
    pub family: LegacyFamily,
    /// `filter`, `nat`, `mangle`, `raw`, `security` or `broute`.
    pub name: TableName,
}

impl fmt::Display for LegacyTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.family, self.name)
    }
}

/// Which object of legacy xtables.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LegacySubject {
    /// The table it is or is in.
    pub table: LegacyTable,
    /// The object in the table.
    pub item: LegacyItem,
}

/// What in a legacy table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LegacyItem {
    /// The table itself.
    Table,
    /// A chain, built in or made by a user.
    Chain(ChainName),
    /// A rule of a chain.
    Rule {
        /// The chain it stands in.
        chain: ChainName,
        /// Digest of its content.
        content: Digest,
        /// Which of the rules of this content in the chain, counted from 0 in the order of the chain.
        nth: u32,
    },
}

/// Content of one object of legacy xtables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LegacySnapshot {
    /// A table: there is nothing to it but what is in it.
    Table,
    /// A chain.
    Chain(LegacyChain),
    /// A rule.
    Rule(LegacyRule),
}

/// What becomes of a packet at the end of a built-in chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum LegacyPolicy {
    /// It passes.
    Accept,
    /// It is dropped.
    Drop,
    /// It goes back to where the chain was called; of chains made by a user in bridge tables.
    Return,
}

impl LegacyPolicy {
    /// The word iptables uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "ACCEPT",
            Self::Drop => "DROP",
            Self::Return => "RETURN",
        }
    }
}

impl fmt::Display for LegacyPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A policy that a chain had, and who set it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyBy {
    /// The policy.
    pub policy: LegacyPolicy,
    /// Who set it, where that is proven; `None` for what was there at first and for what nobody is known to have set.
    pub by: Option<Owner>,
}

/// A chain's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegacyChain {
    /// Policy of a built-in chain; `None` for one made by a user.
    pub policy: Option<LegacyPolicy>,
    /// The policies of a built-in chain since it is recorded, each owner's last one, oldest first; the last one is
    /// `policy`. Empty where the policy was read only, and not part of the digest.
    pub policies: Vec<PolicyBy>,
    /// What becomes of a packet at the end of a chain made by a user, where that can be chosen: in bridge tables.
    pub ending: Option<LegacyPolicy>,
}

impl LegacyChain {
    /// Most policies that are kept.
    const KEPT: usize = 8;

    /// The chain after `by` set another policy.
    #[must_use]
    pub fn with_policy(&self, policy: LegacyPolicy, by: Option<Owner>) -> Self {
        let mut policies = self.policies.clone();
        if let (true, Some(policy)) = (policies.is_empty(), self.policy) {
            policies.push(PolicyBy { policy, by: None });
        }
        // what one owner set in a row is one change of its
        if policies.len() > 1 && by.is_some() && policies.last().is_some_and(|last| last.by == by) {
            policies.pop();
        }
        policies.push(PolicyBy { policy, by });
        if policies.len() > Self::KEPT {
            // the first one is what was there before anybody was seen
            policies.remove(1);
        }
        Self { policy: Some(policy), policies, ending: None }
    }
}

/// A rule's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegacyRule {
    /// The kernel's entry (`struct ipt_entry`, `ip6t_entry`, `arpt_entry` or `ebt_entry` with its matches and target), with everything
    /// zero that is not content: counters, marks of the kernel, the place a jump leads to.
    pub entry: Vec<u8>,
    /// Digest of `entry` and of the name of the chain it leads to.
    pub content: Digest,
    /// Chain the rule jumps or goes to.
    pub chain: Option<ChainName>,
    /// The comment.
    pub comment: Option<String>,
    /// Whether it carries the kernel's mark of being reached from a hook: a program that hands it in has read it from the
    /// kernel, so it was there before. Not kept, and no content.
    #[serde(skip)]
    pub is_marked: bool,
    /// Packets and bytes it counted when it was read. Not kept, and no content.
    #[serde(skip)]
    pub counters: [u64; 2],
}

/// All that a table holds at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyContent {
    /// The table.
    pub table: LegacyTable,
    /// Its chains in the order of the kernel.
    pub chains: Vec<ChainContent>,
}

/// All that a chain holds at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainContent {
    /// Its name.
    pub name: ChainName,
    /// Policy of a built-in chain; `None` for one made by a user.
    pub policy: Option<LegacyPolicy>,
    /// See [`LegacyChain::ending`].
    pub ending: Option<LegacyPolicy>,
    /// Its rules in the order of the chain.
    pub rules: Vec<LegacyRule>,
}

impl LegacyContent {
    /// The tables that were listed as objects, in the order of [`Self::into_objects`].
    pub fn of<'a>(objects: impl Iterator<Item = (&'a LegacySubject, &'a LegacySnapshot)>) -> Vec<Self> {
        let mut tables: Vec<Self> = Vec::new();
        for (subject, snapshot) in objects {
            if tables.last().is_none_or(|last| last.table != subject.table) {
                tables.push(Self { table: subject.table.clone(), chains: Vec::new() });
            }
            let Some(table) = tables.last_mut() else { continue };
            match (&subject.item, snapshot) {
                (LegacyItem::Chain(name), LegacySnapshot::Chain(chain)) => {
                    let LegacyChain { policy, ending, .. } = chain;
                    let (policy, ending) = (*policy, *ending);
                    table.chains.push(ChainContent { name: name.clone(), policy, ending, rules: Vec::new() });
                }
                (LegacyItem::Rule { .. }, LegacySnapshot::Rule(rule)) => {
                    if let Some(chain) = table.chains.last_mut() {
                        chain.rules.push(rule.clone());
                    }
                }
                _ => {}
            }
        }
        tables
    }

    /// Digest of all of it: equal for a table in which nothing but counters changed.
    pub fn digest(&self) -> Digest {
        let mut digest = DigestBuilder::new("legacy-content");
        for ChainContent { name, policy, ending, rules } in &self.chains {
            let policy = policy.or(*ending);
            digest.field(name.as_str().as_bytes()).field(policy.map_or("", LegacyPolicy::as_str).as_bytes());
            digest.field(&(rules.len() as u64).to_le_bytes());
            for rule in rules {
                digest.field(&rule.content.0);
            }
        }
        digest.finish()
    }

    /// The table, its chains and their rules as objects, each chain before its rules, rules in their order.
    pub fn into_objects(self) -> Vec<(LegacySubject, LegacySnapshot)> {
        let Self { table, chains } = self;
        let subject = |item| LegacySubject { table: table.clone(), item };
        let mut objects = vec![(subject(LegacyItem::Table), LegacySnapshot::Table)];
        for ChainContent { name, policy, ending, rules } in chains {
            let chain = LegacyChain { policy, policies: Vec::new(), ending };
            objects.push((subject(LegacyItem::Chain(name.clone())), LegacySnapshot::Chain(chain)));
            let mut count = Nth::default();
            for rule in rules {
                let item =
                    LegacyItem::Rule { chain: name.clone(), content: rule.content, nth: count.next(rule.content) };
                objects.push((subject(item), LegacySnapshot::Rule(rule)));
            }
        }
        objects
    }
}

/// [`LegacyContent::digest`] of a table that is listed as objects, in the order of [`LegacyContent::into_objects`].
pub fn table_digest<'a>(
    table: &LegacyTable,
    objects: impl Iterator<Item = (&'a LegacySubject, &'a LegacySnapshot)>,
) -> Digest {
    let tables = LegacyContent::of(objects.filter(|(subject, _)| subject.table == *table));
    let nothing = || LegacyContent { table: table.clone(), chains: Vec::new() };
    tables.into_iter().next().unwrap_or_else(nothing).digest()
}

/// Counts the rules of equal content along one chain.
#[derive(Debug, Default)]
pub struct Nth(HashMap<Digest, u32>);

impl Nth {
    /// How many of this content came before.
    pub fn next(&mut self, content: Digest) -> u32 {
        let count = self.0.entry(content).or_default();
        let before = *count;
        *count += 1;
        before
    }
}

impl LegacySnapshot {
    /// Digest of what makes the object what it is: no counters, no place.
    pub fn digest(&self) -> Digest {
        match self {
            Self::Table => DigestBuilder::new("legacy-table").finish(),
            Self::Chain(LegacyChain { policy, policies: _, ending }) => {
                let policy = policy.or(*ending).map_or("", LegacyPolicy::as_str);
                DigestBuilder::new("legacy-chain").field(policy.as_bytes()).finish()
            }
            Self::Rule(rule) => rule.content,
        }
    }
}

impl fmt::Display for LegacySubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, item } = self;
        match item {
            LegacyItem::Table => write!(f, "table legacy {table}"),
            LegacyItem::Chain(chain) => write!(f, "chain legacy {table} {chain}"),
            LegacyItem::Rule { chain, content, nth } => {
                write!(f, "rule legacy {table} {chain} ")?;
                content.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))?;
                if *nth > 0 { write!(f, " ({})", nth + 1) } else { Ok(()) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_kept_by_who_set_them() {
        let owner = |path| Some(Owner::new(path).expect("a path"));
        let chain = LegacyChain { policy: Some(LegacyPolicy::Accept), policies: Vec::new(), ending: None };
        let chain = chain.with_policy(LegacyPolicy::Drop, owner("docker"));
        let chain = chain.with_policy(LegacyPolicy::Accept, owner("docker"));
        let chain = chain.with_policy(LegacyPolicy::Drop, owner("admin/root"));
        let set: Vec<_> = chain.policies.iter().map(|it| (it.policy, it.by.as_ref().map(Owner::as_str))).collect();
        let expected = [
            (LegacyPolicy::Accept, None),
            (LegacyPolicy::Accept, Some("docker")),
            (LegacyPolicy::Drop, Some("admin/root")),
        ];
        assert_eq!(set, expected);
        assert_eq!(chain.policy, Some(LegacyPolicy::Drop));
    }

    #[test]
    fn rules_are_named_by_their_content() {
        let table = LegacyTable { family: LegacyFamily::Ip, name: "filter".into() };
        let rule = |nth| LegacyItem::Rule { chain: "INPUT".into(), content: Digest([0xab; 16]), nth };
        let name = |item| LegacySubject { table: table.clone(), item }.to_string();
        assert_eq!(name(rule(0)), "rule legacy ip filter INPUT abababab");
        assert_eq!(name(rule(1)), "rule legacy ip filter INPUT abababab (2)");
    }
}
