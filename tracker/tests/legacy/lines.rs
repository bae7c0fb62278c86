//! Our lines against those of iptables-legacy-save.

use std::collections::BTreeMap;

use netdeed_tracker::capture::legacy::{contents, dump_table, tables};
use netdeed_tracker::model::legacy::{LegacyContent, LegacyFamily};
use netdeed_tracker::render::{Surroundings, iptables_legacy};

use crate::render::{Outcome, Section, corpus, in_netns, run, sections};

struct IpSets;

impl Surroundings for IpSets {
    fn ip_set(&self, index: u16) -> Option<String> {
        ["s1", "s6"].get(usize::from(index)).map(|name| (*name).to_owned())
    }
}

/// The lines of chain `T` of one table.
fn saved(tool: &str, table: &str) -> Vec<String> {
    let text = run(&[&format!("{tool}-legacy-save"), "-t", table], "").expect("saves");
    text.lines().filter(|line| *line == "-A T" || line.starts_with("-A T ")).map(str::to_owned).collect()
}

fn content(tool: &str, table: &str) -> LegacyContent {
    let family = if tool == "iptables" { LegacyFamily::Ip } else { LegacyFamily::Ip6 };
    let contents = contents().expect("reads");
    let found = contents.into_iter().find(|it| it.table.family == family && it.table.name.as_str() == table);
    found.unwrap_or_else(|| panic!("no {tool} {table}"))
}

#[test]
fn no_table_is_made_by_looking() {
    in_netns(|| {
        let before = tables().expect("a list");
        assert!(contents().expect("reads").len() == before.len());
        assert_eq!(tables().expect("a list"), before);
        let absent = netdeed_tracker::model::legacy::LegacyTable { family: LegacyFamily::Ip, name: "raw".into() };
        if !before.contains(&absent) {
            assert_eq!(dump_table(&absent).expect("no error"), None);
            assert_eq!(tables().expect("a list"), before);
        }
    });
}

#[test]
fn lines_are_those_of_iptables_legacy_save() {
    in_netns(|| {
        for set in ["create s1 hash:ip,port", "create s6 hash:net,port family inet6"] {
            run(&["ipset", "restore"], set).expect("the set is made");
        }
        let corpus = corpus("iptables.rules");
        let mut outcome = Outcome::default();
        let mut refused: BTreeMap<String, String> = BTreeMap::new();
        for Section { first: tool, second: table, rules } in sections(&corpus) {
            let mut taken = Vec::new();
            run(&[&format!("{tool}-legacy"), "-t", table, "-N", "T"], "").expect("chain");
            run(&[&format!("{tool}-legacy"), "-t", table, "-N", "OTHER"], "").expect("chain");
            for (can_be_exact, rule) in rules {
                // the kernel may have no legacy form of an extension that nf_tables takes
                let script = format!("*{table}\n{rule}\nCOMMIT\n");
                match run(&[&format!("{tool}-legacy-restore"), "--noflush"], &script) {
                    Ok(_) => taken.push((can_be_exact, rule)),
                    Err(error) => drop(refused.insert(format!("{tool} {table} {rule}"), error)),
                }
            }
            let expected = saved(tool, table);
            let content = content(tool, table);
            let chain = content.chains.iter().find(|chain| chain.name.as_str() == "T").expect("T");
            assert_eq!((expected.len(), chain.rules.len()), (taken.len(), taken.len()), "{tool} {table}");
            for (((can_be_exact, rule), expected), ours) in taken.iter().zip(&expected).zip(&chain.rules) {
                let ours = iptables_legacy(content.table.family, "T", ours, &IpSets);
                outcome.compare(*can_be_exact, &format!("{tool} {table} {rule}"), expected, &ours);
            }
        }
        println!("refused: {refused:#?}");
        outcome.assert();
        assert!(outcome.exact >= 430, "{}", outcome.exact);
    });
}
