//! The steps on legacy tables in the words of `iptables-legacy-restore`.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::Names;
use crate::model::ids::ChainName;
use crate::model::legacy::{LegacyFamily, LegacyItem, LegacyRule, LegacySnapshot, LegacySubject, LegacyTable};
use crate::model::subject::{Snapshot, Subject};
use crate::render;
use crate::rollback::live::LiveState;
use crate::rollback::plan::Plan;
use crate::rollback::step::{Action, Step};

/// The lines of one table, without its head and its `COMMIT`.
pub(super) type Table = (LegacyTable, Vec<String>);

/// What cannot be said.
pub(super) type Refused<'a> = (&'a Step, &'static str);

/// The rules of a chain in their order.
type Rules<'a> = BTreeMap<&'a ChainName, Vec<(&'a Subject, &'a LegacyRule)>>;

/// All steps on legacy tables.
pub(super) fn tables<'a>(plan: &'a Plan, live: &LiveState, names: &Names) -> (Vec<Table>, Vec<Refused<'a>>) {
    let mut by_table: BTreeMap<&LegacyTable, Vec<&Step>> = BTreeMap::new();
    for step in plan.steps() {
        if let Subject::Legacy(subject) = step.subject() {
            by_table.entry(&subject.table).or_default().push(step);
        }
    }
    let (mut tables, mut refused) = (Vec::new(), Vec::new());
    for (table, steps) in by_table {
        if matches!(table.family, LegacyFamily::Arp | LegacyFamily::Bridge) {
            refused.extend(
                steps.into_iter().map(|step| (step, "the tool of this family has no restore that leaves the rest")),
            );
            continue;
        }
        tables.push((table.clone(), lines(table, &steps, live, names)));
    }
    (tables, refused)
}

fn lines(table: &LegacyTable, steps: &[&Step], live: &LiveState, names: &Names) -> Vec<String> {
    let going: HashSet<&Subject> = steps.iter().map(|step| step.subject()).collect();
    let mut lines = Vec::new();
    for (chain, rules) in rules_of(table, live) {
        lines.extend(deletions(table, chain, &rules, &going, names));
    }
    for step in steps {
        match (step.action(), step.subject()) {
            (Action::DeleteLegacyChain, Subject::Legacy(LegacySubject { item: LegacyItem::Chain(chain), .. })) => {
                lines.push(format!("-X {chain}"));
            }
            (
                Action::RestorePolicy { policy },
                Subject::Legacy(LegacySubject { item: LegacyItem::Chain(chain), .. }),
            ) => {
                lines.push(format!("-P {chain} {policy}"));
            }
            _ => {}
        }
    }
    lines
}

fn rules_of<'a>(table: &LegacyTable, live: &'a LiveState) -> Rules<'a> {
    let mut rules = Rules::new();
    for (subject, content) in &live.legacy {
        if let (
            Subject::Legacy(LegacySubject { table: of, item: LegacyItem::Rule { chain, .. } }),
            Snapshot::Legacy(LegacySnapshot::Rule(rule)),
        ) = (subject, content)
            && of == table
        {
            rules.entry(chain).or_default().push((subject, rule));
        }
    }
    rules
}

/// By full text, which fails when the rule is another. Where that does not tell the rules of the chain apart, by number,
/// the last one first.
fn deletions(
    table: &LegacyTable,
    chain: &ChainName,
    rules: &[(&Subject, &LegacyRule)],
    going: &HashSet<&Subject>,
    names: &Names,
) -> Vec<String> {
    let text = |rule: &LegacyRule| {
        let rendered = render::iptables_legacy(table.family, chain.as_str(), rule, names);
        let is_line = rendered.is_exact && !rendered.text.contains(char::is_control);
        rendered.text.strip_prefix("-A").filter(|_| is_line).map(|text| format!("-D{text}"))
    };
    let staying: BTreeSet<Option<String>> =
        rules.iter().filter(|(subject, _)| !going.contains(subject)).map(|(_, rule)| text(rule)).collect();
    let by_text: Option<Vec<String>> = rules
        .iter()
        .filter(|(subject, _)| going.contains(subject))
        .map(|(_, rule)| text(rule).filter(|text| !staying.contains(&Some(text.clone()))))
        .collect();
    let numbered = rules.iter().enumerate().rev().filter(|(_, (subject, _))| going.contains(subject));
    by_text.unwrap_or_else(|| numbered.map(|(at, _)| format!("-D {chain} {}", at + 1)).collect())
}
