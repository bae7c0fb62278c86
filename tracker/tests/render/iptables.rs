//! Our `iptables-save` lines against those of iptables-nft-save, for every rule of `render/iptables.rules`, in network
//! namespaces of their own. Needs root.

use std::collections::BTreeSet;

use crate::harness::{Outcome, Section, corpus, everything, in_netns, rules_of, run, sections};
use netdeed_tracker::decode::nft::expr::{self, Kind};
use netdeed_tracker::model::nft::RuleSnapshot;
use netdeed_tracker::render::{Surroundings, iptables};

/// What the exact rules are made of: native expressions, and extensions with their revision. Revisions that iptables
/// 1.8.9 does not write itself are in `older.rs`.
const COVERED: &[&str] = &[
    "bitwise",
    "cmp",
    "counter",
    "immediate",
    "limit",
    "log",
    "match addrtype 1",
    "match ah 0",
    "match bpf 1",
    "match cgroup 2",
    "match cluster 0",
    "match comment 0",
    "match connbytes 0",
    "match connlabel 0",
    "match connlimit 1",
    "match connmark 1",
    "match conntrack 3",
    "match cpu 0",
    "match dccp 0",
    "match devgroup 0",
    "match dscp 0",
    "match dst 0",
    "match ecn 0",
    "match esp 0",
    "match eui64 0",
    "match frag 0",
    "match hashlimit 3",
    "match hbh 0",
    "match helper 0",
    "match hl 0",
    "match icmp 0",
    "match icmp6 0",
    "match iprange 1",
    "match ipv6header 0",
    "match length 0",
    "match mac 0",
    "match mh 0",
    "match multiport 1",
    "match osf 0",
    "match owner 1",
    "match physdev 0",
    "match pkttype 0",
    "match policy 0",
    "match quota 0",
    "match realm 0",
    "match recent 1",
    "match rpfilter 0",
    "match rt 0",
    "match sctp 0",
    "match set 4",
    "match socket 3",
    "match srh 1",
    "match statistic 0",
    "match string 1",
    "match tcp 0",
    "match tcpmss 0",
    "match time 0",
    "match tos 1",
    "match ttl 0",
    "match u32 0",
    "match udp 0",
    "meta",
    "payload",
    "range",
    "target AUDIT 0",
    "target CHECKSUM 0",
    "target CLASSIFY 0",
    "target CONNMARK 2",
    "target CONNSECMARK 0",
    "target CT 2",
    "target DNAT 2",
    "target DNPT 0",
    "target DSCP 0",
    "target ECN 0",
    "target HL 0",
    "target HMARK 0",
    "target IDLETIMER 1",
    "target LOG 0",
    "target MARK 2",
    "target MASQUERADE 0",
    "target NETMAP 0",
    "target NFQUEUE 3",
    "target REDIRECT 0",
    "target REJECT 0",
    "target SET 3",
    "target SNAT 0",
    "target SNAT 1",
    "target SNPT 0",
    "target SYNPROXY 0",
    "target TCPMSS 0",
    "target TCPOPTSTRIP 0",
    "target TEE 1",
    "target TOS 1",
    "target TPROXY 1",
    "target TTL 0",
];

/// The IP sets of the namespace, in the order they were made.
struct IpSets;

impl Surroundings for IpSets {
    fn ip_set(&self, index: u16) -> Option<String> {
        ["s1", "s6"].get(usize::from(index)).map(|name| (*name).to_owned())
    }
}

fn saved(tool: &str, table: &str) -> Vec<String> {
    let text = run(&[&format!("{tool}-nft-save"), "-t", table], "").expect("saves");
    text.lines().filter(|line| *line == "-A T" || line.starts_with("-A T ")).map(str::to_owned).collect()
}

fn put(Section { first: tool, second: table, rules }: &Section<'_>) {
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
        let (mut outcome, mut covered) = (Outcome::default(), BTreeSet::new());
        let corpus = corpus("iptables.rules");
        for section in sections(&corpus) {
            put(&section);
            let Section { first: tool, second: table, rules } = section;
            let (expected, dump) = (saved(tool, table), everything());
            assert_eq!(expected.len(), rules.len(), "{tool} {table}: every rule is saved");
            let family = if tool == "iptables" { "ip" } else { "ip6" };
            let mut dumped = rules_of(&dump, "T");
            dumped
                .retain(|(subject, _)| subject.table.family.as_str() == family && subject.table.name.as_str() == table);
            assert_eq!(dumped.len(), rules.len(), "{tool} {table}: every rule is dumped");
            for (((can_be_exact, rule), expected), (subject, snapshot)) in rules.iter().zip(&expected).zip(&dumped) {
                let ours = iptables(subject.table.family, "T", snapshot, &IpSets);
                if outcome.compare(*can_be_exact, &format!("{tool} {table} {rule}"), expected, &ours) {
                    parts(snapshot, &mut covered);
                }
            }
        }
        outcome.assert();
        assert_eq!(covered.iter().map(String::as_str).collect::<Vec<_>>(), COVERED);
        assert!(outcome.exact >= 460, "{}", outcome.exact);
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
