//! Our nft lines against those of `nft -s list chain`, for every rule of `render/nft.rules`, in network namespaces of
//! their own. Needs root.

use std::collections::BTreeSet;

use crate::harness::{Outcome, Section, corpus, everything, in_netns, objects_of, rules_of, run, sections};
use netdeed_tracker::decode::nft::expr;
use netdeed_tracker::render::{Ruleset, Surroundings, nft};

/// What the exact rules are made of. Of what can be written, `queue` and `flow_offload` are not here: not every kernel
/// has them.
const COVERED: &[&str] = &[
    "bitwise",
    "byteorder",
    "cmp",
    "connlimit",
    "counter",
    "ct",
    "dup",
    "dynset",
    "exthdr",
    "fib",
    "fwd",
    "hash",
    "immediate",
    "limit",
    "log",
    "lookup",
    "masq",
    "meta",
    "nat",
    "notrack",
    "numgen",
    "objref",
    "osf",
    "payload",
    "quota",
    "range",
    "redir",
    "reject",
    "rt",
    "socket",
    "synproxy",
    "tproxy",
    "xfrm",
];

/// The one link every namespace has.
pub(crate) struct Links;

impl Surroundings for Links {
    fn link(&self, ifindex: u32) -> Option<String> {
        (ifindex == 1).then(|| "lo".to_owned())
    }
}

/// Puts rules into the chain, each in a transaction of its own so that one that is refused is named.
fn put(family: &str, chain: &str, rules: &[(bool, &str)]) {
    let script: String = rules.iter().map(|(_, rule)| format!("add rule {family} t {chain} {rule}\n")).collect();
    if run(&["nft", "-f", "-"], &script).is_ok() {
        return;
    }
    for (_, rule) in rules {
        let script = format!("add rule {family} t {chain} {rule}\n");
        let refused = run(&["nft", "-c", "-f", "-"], &script).err();
        assert_eq!(refused, None, "{family}: {rule}");
    }
    panic!("{family} {chain}: all rules are taken alone, but not together");
}

/// The rules nft lists, without the lines around them.
fn listed(family: &str, chain: &str) -> Vec<String> {
    let text = run(&["nft", "-s", "list", "chain", family, "t", chain], "").expect("lists");
    let rules = text.lines().filter_map(|line| line.strip_prefix("\t\t"));
    rules.filter(|line| !line.starts_with("type ")).map(str::to_owned).collect()
}

#[test]
fn lines_are_those_of_nft() {
    in_netns(|| {
        run(&["ip", "link", "set", "lo", "up"], "").expect("up");
        run(&["nft", "-f", "-"], &corpus("nft.setup")).expect("set up");
        let (mut outcome, mut covered) = (Outcome::default(), BTreeSet::new());
        let corpus = corpus("nft.rules");
        for Section { first: family, second: chain, rules } in sections(&corpus) {
            put(family, chain, &rules);
            let (expected, dump) = (listed(family, chain), everything());
            let mut dumped = rules_of(&dump, chain);
            dumped.retain(|(subject, _)| subject.table.family.as_str() == family);
            assert_eq!(expected.len(), rules.len(), "{family} {chain}: every rule is listed");
            assert_eq!(dumped.len(), rules.len(), "{family} {chain}: every rule is dumped");
            let ruleset = Ruleset::new(objects_of(&dump));
            let table = ruleset.table(&dumped[0].0.table).expect("the rules' table").surroundings(&Links);
            for (((can_be_exact, rule), expected), (subject, snapshot)) in rules.iter().zip(&expected).zip(&dumped) {
                let ours = nft(subject.table.family, snapshot, &table);
                if outcome.compare(*can_be_exact, &format!("{family} {rule}"), expected, &ours) {
                    covered.extend(
                        expr::decode(&snapshot.expressions)
                            .map(|expression| String::from_utf8_lossy(expression.name).into_owned()),
                    );
                }
            }
        }
        outcome.assert();
        assert_eq!(covered.iter().map(String::as_str).collect::<Vec<_>>(), COVERED);
        assert!(outcome.exact >= 1000, "{}", outcome.exact);
    });
}

#[test]
fn what_is_not_known_is_in_brackets() {
    in_netns(|| {
        run(&["nft", "-f", "-"], &corpus("nft.setup")).expect("set up");
        let rules = [
            // which elements, or how much of the registers, only the set says
            ("ip saddr @addrs drop", "[lookup] drop"),
            ("tcp dport { 1, 2 } accept", "meta l4proto tcp [lookup] accept"),
            ("meta mark set ip saddr map @markmap", "[lookup] [meta]"),
            ("meta hour \"10:00\" drop", "[cmp] drop"),
            // the number of a link is what nft shows too
            ("iif lo accept", "iif 1 accept"),
        ];
        let script: String = rules.iter().map(|(rule, _)| format!("add rule ip t c {rule}\n")).collect();
        run(&["nft", "-f", "-"], &script).expect("rules");
        run(&["iptables-nft", "-A", "INPUT", "-m", "cpu", "--cpu", "1"], "").expect("rule");
        let dump = everything();
        let lines: Vec<_> =
            rules_of(&dump, "c").into_iter().filter(|(subject, _)| subject.table.family.as_str() == "ip").collect();
        assert_eq!(lines.len(), rules.len());
        for ((rule, expected), (subject, snapshot)) in rules.iter().zip(&lines) {
            let ours = nft(subject.table.family, snapshot, &());
            assert_eq!((ours.text.as_str(), ours.is_exact), (*expected, !expected.contains('[')), "{rule}");
        }
        let (subject, snapshot) = rules_of(&dump, "INPUT")[0];
        let ours = nft(subject.table.family, snapshot, &());
        assert_eq!((ours.text.as_str(), ours.is_exact), ("[xt match cpu revision 0] counter", false));
    });
}
