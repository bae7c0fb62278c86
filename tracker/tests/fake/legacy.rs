//! Legacy tables.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use netdeed_tests::accuracy::Random;
use netdeed_tests::namespace::{in_netns, run_with};
use netdeed_tracker::host::{Host, HostError, LegacyEdit};
use netdeed_tracker::model::digest::Digest;
use netdeed_tracker::model::ids::ChainName;
use netdeed_tracker::model::legacy::{
    LegacyContent, LegacyFamily, LegacyItem, LegacyPolicy, LegacySnapshot, LegacySubject, LegacyTable,
};
use netdeed_tracker::model::live::LiveState;
use netdeed_tracker::model::subject::{Snapshot, Subject};

use crate::{compare, live, rounds};

const CHAINS: usize = 4;

fn objects(live: &LiveState) -> impl Iterator<Item = (&LegacySubject, &LegacySnapshot)> {
    live.legacy.iter().filter_map(|object| match object {
        (Subject::Legacy(subject), Snapshot::Legacy(content)) => Some((subject, content)),
        _ => None,
    })
}

/// Marks of the kernel are no content.
fn tables(live: &LiveState) -> Vec<(String, Digest)> {
    LegacyContent::of(objects(live)).iter().map(|table| (table.table.to_string(), table.digest())).collect()
}

fn script(random: &mut Random) -> String {
    let mut script = String::from("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n");
    for chain in 0..CHAINS {
        writeln!(script, ":c{chain} - [0:0]").expect("memory");
    }
    for _ in 0..random.below(14) {
        let from = random.below(CHAINS + 1);
        let chain = if from == 0 { "FORWARD".to_owned() } else { format!("c{}", from - 1) };
        // later chains only: the kernel refuses loops
        let to = from + random.below(CHAINS + 1 - from);
        let target = if to < CHAINS { format!("c{to}") } else { "ACCEPT".to_owned() };
        writeln!(script, "-A {chain} -p tcp -m tcp --dport {} -j {target}", random.below(3) + 1).expect("memory");
    }
    script + "COMMIT\n"
}

/// A table is changed only as it was planned for.
fn edit(random: &mut Random, now: &LiveState, stale: Option<&LiveState>) -> LegacyEdit {
    let table = LegacyTable { family: LegacyFamily::Ip, name: "filter".into() };
    let digest = |live: &LiveState| {
        let tables = LegacyContent::of(objects(live));
        tables.into_iter().find(|it| it.table == table).expect("the table is there").digest()
    };
    let is_builtin =
        |content: &LegacySnapshot| matches!(content, LegacySnapshot::Chain(chain) if chain.policy.is_some());
    let removable = objects(now).filter(|(subject, content)| {
        subject.table == table && subject.item != LegacyItem::Table && !is_builtin(content)
    });
    // what is in a chain goes before it, or not: then the kernel is to say no
    let removed: BTreeSet<LegacyItem> =
        removable.filter(|_| random.below(3) == 0).map(|(subject, _)| subject.item.clone()).collect();
    let policies: BTreeMap<ChainName, LegacyPolicy> = match random.below(3) {
        0 => BTreeMap::from([("FORWARD".into(), LegacyPolicy::Accept)]),
        _ => BTreeMap::new(),
    };
    LegacyEdit { removed, policies, ..LegacyEdit::new(table.clone(), digest(stale.unwrap_or(now))) }
}

/// Whether a chain would go that still has rules: a plan never asks for that, and what would happen is not said.
fn leaves_rules_behind(now: &LiveState, edit: &LegacyEdit) -> bool {
    objects(now).any(|(subject, _)| match &subject.item {
        LegacyItem::Rule { chain, .. } => {
            subject.table == edit.table
                && edit.removed.contains(&LegacyItem::Chain(chain.clone()))
                && !edit.removed.contains(&subject.item)
        }
        _ => false,
    })
}

/// What a jump into nothing is called differs: here it is found before the kernel is asked.
fn replace(host: &mut dyn Host, edit: &LegacyEdit) -> Result<&'static str, HostError> {
    match host.replace_legacy(edit) {
        Ok(()) => Ok("done"),
        Err(HostError::Io { .. }) => Ok("refused"),
        Err(other) => Err(other),
    }
}

#[test]
fn legacy_tables_are_replaced_as_the_kernels() {
    rounds(|seed, random| {
        let script = script(random);
        let mut random = Random::new(seed ^ 0x1e_6a);
        in_netns(move || {
            run_with(&script, &["iptables-legacy-restore"]);
            for step in 0..6 {
                let now = live(&[]);
                let edit = edit(&mut random, &now, None);
                if leaves_rules_behind(&now, &edit) {
                    continue;
                }
                let what = format!("seed {seed}, step {step}: {edit:?}");
                compare(&what, &[], tables, |host| replace(host, &edit));
            }
            let before = live(&[]);
            run_with("*filter\n-A INPUT -s 192.0.2.1 -j DROP\nCOMMIT\n", &["iptables-legacy-restore", "--noflush"]);
            let stale = edit(&mut random, &live(&[]), Some(&before));
            compare(&format!("seed {seed}, stale"), &[], tables, |host| replace(host, &stale));
        });
    });
}
