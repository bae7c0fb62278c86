//! iptables-legacy and ip6tables-legacy, with the rules that iptables-nft gets.

use netdeed_tracker::capture::legacy::contents;
use netdeed_tracker::model::legacy::LegacyFamily;
use netdeed_tracker::render::{Rendered, iptables_legacy};

use super::batch::{Effort, Tally, Tool};
use super::iptables::{IpSets, rule};
use super::iptables_matches::Place;
use crate::harness::{in_netns, run};

/// Chain `T` of a legacy table.
struct Legacy {
    is_ipv6: bool,
    table: &'static str,
}

impl Legacy {
    fn tool(&self) -> &'static str {
        if self.is_ipv6 { "ip6tables-legacy" } else { "iptables-legacy" }
    }

    fn restore(&self, rules: &[String]) -> Result<(), String> {
        let lines: String = rules.iter().map(|rule| format!("-A T {rule}\n")).collect();
        let script = format!("*{}\n:T - [0:0]\n:OTHER - [0:0]\n{lines}COMMIT\n", self.table);
        run(&[&format!("{}-restore", self.tool()), "--noflush"], &script).map(drop)
    }
}

impl Tool for Legacy {
    fn name(&self) -> String {
        format!("{} {}", self.tool(), self.table)
    }

    fn put(&self, rules: &[String]) -> Result<(), (Vec<usize>, String)> {
        self.restore(rules).map_err(|message| {
            // the kernel takes a table or not, and does not say which rule it was
            let is_refused = |rule: &String| self.restore(std::slice::from_ref(rule)).is_err();
            let refused = (0..rules.len()).filter(|index| is_refused(&rules[*index])).collect();
            (refused, message)
        })
    }

    fn compare(&self) -> Result<(Vec<String>, Vec<Rendered>), String> {
        let text = run(&[&format!("{}-save", self.tool()), "-t", self.table], "")?;
        let theirs = text.lines().filter(|line| *line == "-A T" || line.starts_with("-A T ")).map(str::to_owned);
        let family = if self.is_ipv6 { LegacyFamily::Ip6 } else { LegacyFamily::Ip };
        let contents = contents().expect("reads");
        let table = contents.iter().find(|it| it.table.family == family && it.table.name.as_str() == self.table);
        let chain = table.and_then(|table| table.chains.iter().find(|chain| chain.name.as_str() == "T"));
        let rules = chain.map(|chain| chain.rules.as_slice()).unwrap_or_default();
        Ok((theirs.collect(), rules.iter().map(|rule| iptables_legacy(family, "T", rule, &IpSets)).collect()))
    }

    fn clear(&self) {
        run(&[self.tool(), "-t", self.table, "-F", "T"], "").expect("flushes");
    }
}

#[test]
fn generated_rules_are_those_of_iptables_legacy_save() {
    in_netns(|| {
        for set in ["create s1 hash:ip,port", "create s6 hash:net,port family inet6"] {
            run(&["ipset", "restore"], set).expect("the set is made");
        }
        let effort = Effort::of_environment();
        let (mut tally, mut seed) = (Tally::default(), effort.seed);
        while effort.goes_on() || tally.rules < 3000 {
            for (is_ipv6, table) in
                [(false, "filter"), (true, "filter"), (false, "nat"), (true, "mangle"), (false, "raw")]
            {
                let tool = Legacy { is_ipv6, table };
                tally.batch(&tool, seed, &|generator| rule(generator, Place { is_ipv6, table }));
                seed += 1;
            }
        }
        println!("iptables-legacy, seeds {} to {}: {tally}", effort.seed, seed - 1);
        tally.assert(99);
    });
}
