//! Our `iptables-save` lines against those of iptables-nft-save, for every rule of `render/iptables.rules`, in network
//! namespaces of their own. Needs root.

mod render;

use std::collections::BTreeSet;

use netdeed_tracker::decode::nft::expr::{self, Kind};
use netdeed_tracker::model::nft::RuleSnapshot;
use netdeed_tracker::render::{Surroundings, iptables};
use render::{corpus, everything, in_netns, rules_of, run};

/// The IP sets of the namespace, in the order they were made.
struct IpSets;

impl Surroundings for IpSets {
    fn ip_set(&self, index: u16) -> Option<String> {
        ["s1", "s6"].get(usize::from(index)).map(|name| (*name).to_owned())
    }
}

/// A section of the corpus.
struct Section<'a> {
    /// `iptables` or `ip6tables`.
    tool: &'a str,
    table: &'a str,
    /// Whether it can be written exactly, and the rule.
    rules: Vec<(bool, &'a str)>,
}

fn sections(corpus: &str) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for line in corpus.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(header) = line.strip_prefix('[') {
            let (tool, table) = header.trim_end_matches(']').split_once(' ').expect("tool and table");
            sections.push(Section { tool, table, rules: Vec::new() });
            continue;
        }
        sections.last_mut().expect("a section before rules").rules.push(match line.strip_prefix("~ ") {
            Some(rule) => (false, rule),
            None => (true, line),
        });
    }
    sections
}

fn saved(tool: &str, table: &str) -> Vec<String> {
    let text = run(&[&format!("{tool}-nft-save"), "-t", table], "").expect("saves");
    text.lines().filter(|line| *line == "-A T" || line.starts_with("-A T ")).map(str::to_owned).collect()
}

fn put(Section { tool, table, rules }: &Section<'_>) {
    let lines: String = rules.iter().map(|(_, rule)| format!("{rule}\n")).collect();
    let script = format!("*{table}\n:T - [0:0]\n:OTHER - [0:0]\n{lines}COMMIT\n");
    run(&[&format!("{tool}-nft-restore"), "--noflush"], &script).expect("every rule is taken");
}

/// Names of what a rule is made of, as the coverage list has them.
fn parts(rule: &RuleSnapshot, covered: &mut BTreeSet<String>) {
    for expression in expr::decode(&rule.expressions) {
        let name = String::from_utf8_lossy(expression.name).into_owned();
        covered.insert(match &expression.kind {
            Kind::Match(xt) | Kind::Target(xt) => {
                let xt_name = String::from_utf8_lossy(xt.name).trim_end_matches('\0').to_owned();
                format!("{name} {xt_name} {}", xt.revision)
            }
            _ => name,
        });
    }
}

#[test]
fn lines_are_those_of_iptables_save() {
    in_netns(|| {
        for set in ["create s1 hash:ip,port", "create s6 hash:net,port family inet6"] {
            run(&["ipset", "restore"], set).expect("the set is made");
        }
        let (mut failures, mut exact, mut covered) = (Vec::new(), 0, BTreeSet::new());
        let corpus = corpus("iptables.rules");
        for section in sections(&corpus) {
            put(&section);
            let Section { tool, table, rules } = section;
            let (expected, dump) = (saved(tool, table), everything());
            assert_eq!(expected.len(), rules.len(), "{tool} {table}: every rule is saved");
            let family = if tool == "iptables" { "ip" } else { "ip6" };
            let mut dumped = rules_of(&dump, "T");
            dumped
                .retain(|(subject, _)| subject.table.family.as_str() == family && subject.table.name.as_str() == table);
            assert_eq!(dumped.len(), rules.len(), "{tool} {table}: every rule is dumped");
            for (((can_be_exact, rule), expected), (subject, snapshot)) in rules.iter().zip(&expected).zip(&dumped) {
                let ours = iptables(subject.table.family, "T", snapshot, &IpSets);
                let is_right = match can_be_exact {
                    true => ours.is_exact && ours.text == *expected,
                    false => !ours.is_exact && ours.text.contains('[') && ours.text != *expected,
                };
                if !is_right {
                    failures.push(format!("{tool} {table} {rule}\n  theirs {expected}\n  ours   {}", ours.text));
                } else if *can_be_exact {
                    exact += 1;
                    parts(snapshot, &mut covered);
                }
            }
        }
        assert!(failures.is_empty(), "{} wrong, {exact} right:\n{}", failures.len(), failures.join("\n"));
        println!("{exact} rules exact, made of: {}", covered.into_iter().collect::<Vec<_>>().join(", "));
        assert!(exact >= 400, "{exact}");
    });
}

#[test]
fn what_iptables_does_not_write_is_in_brackets() {
    in_netns(|| {
        let rules = [
            // native expressions nobody but nft writes
            ("ip saddr @a accept", "-A T [lookup] -j ACCEPT"),
            ("ip ttl 5 drop", "-A T [cmp] -j DROP"),
            ("ct state new counter", "-A T [ct] [bitwise] [cmp]"),
            ("meta mark set 5", "-A T [meta]"),
            ("tcp dport 22 log", "-A T -p tcp -m tcp --dport 22 [log]"),
            ("counter accept comment \"from nft\"", "-A T -m comment --comment \"from nft\" -j ACCEPT"),
            ("jump OTHER", "-A T -j OTHER"),
            ("ip saddr 10.0.0.0/8 ip saddr != 10.1.0.0/16", "-A T -s 10.0.0.0/8 [cmp]"),
            ("limit rate over 5/second", "-A T [limit]"),
            ("limit rate 5 kbytes/second", "-A T [limit]"),
            ("masquerade", "-A T [masq]"),
        ];
        run(&["iptables-nft", "-t", "nat", "-N", "T"], "").expect("chain");
        run(&["iptables-nft", "-t", "nat", "-N", "OTHER"], "").expect("chain");
        run(&["nft", "add set ip nat a { type ipv4_addr; }"], "").expect("set");
        let script: String = rules.iter().map(|(rule, _)| format!("add rule ip nat T {rule}\n")).collect();
        run(&["nft", "-f", "-"], &script).expect("rules");
        let dump = everything();
        let lines: Vec<_> = rules_of(&dump, "T")
            .into_iter()
            .map(|(subject, rule)| iptables(subject.table.family, "T", rule, &IpSets))
            .collect();
        for ((rule, expected), ours) in rules.iter().zip(&lines) {
            assert_eq!(ours.text, *expected, "{rule}");
            assert_eq!(ours.is_exact, !expected.contains('['), "{rule}");
        }
        assert_eq!(lines.len(), rules.len());
    });
}

#[test]
fn an_ip_set_of_unknown_name_is_in_brackets() {
    in_netns(|| {
        run(&["ipset", "restore"], "create s1 hash:ip,port").expect("the set is made");
        run(&["iptables-nft", "-N", "T"], "").expect("chain");
        run(&["iptables-nft", "-A", "T", "-m", "set", "--match-set", "s1", "src,dst"], "").expect("rule");
        let dump = everything();
        let (subject, rule) = rules_of(&dump, "T")[0];
        let ours = iptables(subject.table.family, "T", rule, &());
        assert_eq!(ours.text, "-A T -m set --match-set [ip set with index 0] src,dst");
        assert!(!ours.is_exact);
    });
}
