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
        // to clamp, the kernel wants to be told that it is about SYN segments
        assert!(refused.keys().all(|rule| rule.contains("-j TCPMSS") && !rule.contains("SYN")), "{refused:#?}");
        outcome.assert();
        assert!(outcome.exact >= 430, "{}", outcome.exact);
    });
}

/// Rules in the words of `arptables-legacy`.
const ARP: &[&str] = &[
    "-j DROP",
    "-j OTHER",
    "-l 6 --h-type 3 -j QUEUE",
    "! --opcode 2 ! --h-type 1 ! --proto-type 0x800 ! -i eth1 -j RETURN",
    "-s 10.0.0.1 ! -d 10.0.0.0/8 -i eth0 --opcode 1 --source-mac 00:11:22:33:44:55 -j DROP",
    "-i eth+ ! -s 10.0.0.3 --proto-type 0x800 --h-type 1 -j ACCEPT",
    "-s 10.0.0.0/9",
    "! -d 10.1.2.3/255.0.255.0",
    "--opcode 77/255",
    "--opcode 300",
    "--h-type 1a/0xff",
    "! -l 6/3",
    "--proto-type 0x800/0xff00",
    "-i +",
    "--source-mac 00:11:22:00:00:00/ff:ff:ff:00:00:00 ! --destination-mac 01:00:00:00:00:00/01:00:00:00:00:00",
    "-l 6 -j mangle --mangle-ip-s 1.2.3.4 --mangle-mac-d 00:01:02:03:04:05",
    "-j mangle --mangle-ip-d 1.2.3.4 --mangle-target CONTINUE",
    "-l 6 -j mangle --mangle-mac-s 0:1:2:3:4:5 --mangle-ip-s 1.2.3.4 --mangle-target DROP",
    "-j CLASSIFY --set-class ab:cd",
    "-j MARK --set-mark 0x30",
    "-j MARK --and-mark 3",
    "-j MARK --or-mark 3",
];

#[test]
fn lines_of_arp_tables_are_those_of_arptables_legacy() {
    in_netns(|| {
        let arptables = |args: &str| {
            let mut words = vec!["arptables-legacy"];
            words.extend(args.split(' '));
            run(&words, "").unwrap_or_else(|error| panic!("arptables-legacy {args}: {error}"))
        };
        arptables("-N OTHER");
        ARP.iter().for_each(|rule| drop(arptables(&format!("-A INPUT {rule}"))));
        let listed = arptables("-n -L INPUT");
        let expected: Vec<&str> = listed
            .lines()
            .filter(|line| !line.starts_with("Chain ") && !line.starts_with('#'))
            .map(str::trim_end)
            .collect();
        let contents = contents().expect("reads");
        let filter = contents.iter().find(|it| it.table.family == LegacyFamily::Arp).expect("arp filter");
        let chain = filter.chains.iter().find(|chain| chain.name.as_str() == "INPUT").expect("INPUT");
        assert_eq!(chain.rules.len(), ARP.len());
        for ((rule, expected), given) in chain.rules.iter().zip(&expected).zip(ARP) {
            let ours = iptables_legacy(LegacyFamily::Arp, "INPUT", rule, &());
            assert!(ours.is_exact, "{given}: {ours:?}");
            assert_eq!(ours.text, format!("-A INPUT {expected}").trim_end(), "{given}");
        }
    });
}
