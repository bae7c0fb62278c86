//! iptables-nft and ip6tables-nft.

use netdeed_tracker::render::{Rendered, Surroundings, iptables};

use super::batch::{Effort, Pieces, Tally, Tool};
use super::generator::Generator;
use super::iptables_matches::{Place, matches};
use super::iptables_targets::target;
use crate::harness::{everything, in_netns, rules_of, run};

/// The IP sets of the namespace, in the order they were made.
pub(super) struct IpSets;

impl Surroundings for IpSets {
    fn ip_set(&self, index: u16) -> Option<String> {
        ["s1", "s6"].get(usize::from(index)).map(|name| (*name).to_owned())
    }
}

/// Chain `T` of a table.
pub(crate) struct Iptables {
    pub(crate) is_ipv6: bool,
    pub(crate) table: &'static str,
}

impl Iptables {
    fn tool(&self) -> &'static str {
        if self.is_ipv6 { "ip6tables" } else { "iptables" }
    }
}

impl Tool for Iptables {
    fn name(&self) -> String {
        format!("{} {}", self.tool(), self.table)
    }

    fn put(&self, rules: &[String]) -> Result<(), (Vec<usize>, String)> {
        let lines: String = rules.iter().map(|rule| format!("-A T {rule}\n")).collect();
        let script = format!("*{}\n:T - [0:0]\n:OTHER - [0:0]\n{lines}COMMIT\n", self.table);
        run(&[&format!("{}-nft-restore", self.tool()), "--noflush"], &script).map(drop).map_err(|message| {
            // `line 5 failed`, `Error occurred at line: 5`, `line 5: RULE_APPEND failed`; the rules start at line 4
            let numbers = message.match_indices("line").filter_map(|(at, word)| {
                let rest = message[at + word.len()..].trim_start_matches([':', ' ']);
                let end = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
                rest[..end].parse::<usize>().ok()?.checked_sub(4).filter(|index| *index < rules.len())
            });
            (numbers.collect(), message.clone())
        })
    }

    fn compare(&self) -> Result<(Vec<String>, Vec<Rendered>), String> {
        let text = run(&[&format!("{}-nft-save", self.tool()), "-t", self.table], "")?;
        let theirs = text.lines().filter(|line| *line == "-A T" || line.starts_with("-A T ")).map(str::to_owned);
        let family = if self.is_ipv6 { "ip6" } else { "ip" };
        let dump = everything();
        let rules = rules_of(&dump, "T").into_iter().filter(|(subject, _)| {
            subject.table.family.as_str() == family && subject.table.name.as_str() == self.table
        });
        let ours = rules.map(|(subject, rule)| iptables(subject.table.family, "T", rule, &IpSets)).collect();
        Ok((theirs.collect(), ours))
    }

    fn clear(&self) {
        run(&[&format!("{}-nft", self.tool()), "-t", self.table, "-F", "T"], "").expect("flushes");
    }
}

pub(super) fn rule(generator: &mut Generator, place: Place) -> Pieces {
    let mut pieces = Vec::new();
    let mut address = |generator: &mut Generator, option: &str| {
        if generator.chance(25) {
            let address = match (place.is_ipv6, generator.chance(50)) {
                (false, false) => generator.ipv4(),
                (false, true) => generator.ipv4_network(),
                (true, false) => generator.ipv6(),
                (true, true) => generator.ipv6_network(),
            };
            pieces.push(format!("{}{option} {address}", generator.maybe(30, "! ")));
        }
    };
    address(generator, "-s");
    address(generator, "-d");
    for option in ["-i", "-o"] {
        if generator.chance(15) {
            let name = generator.pick(&["lo", "eth0", "cni+", "veth1a2b3c4d", "br-0123456789a", "x.100", "+"]);
            let not = if name == "+" { String::new() } else { generator.maybe(30, "! ") };
            pieces.push(format!("{not}{option} {name}"));
        }
    }
    matches(generator, place, &mut pieces);
    pieces.push(target(generator, place, &pieces.join(" ")));
    pieces
}

#[test]
fn generated_rules_are_those_of_iptables_save() {
    in_netns(|| {
        for set in ["create s1 hash:ip,port", "create s6 hash:net,port family inet6"] {
            run(&["ipset", "restore"], set).expect("the set is made");
        }
        let effort = Effort::of_environment();
        let (mut tally, mut seed) = (Tally::default(), effort.seed);
        while effort.goes_on() || tally.rules < 3000 {
            for (is_ipv6, table) in [
                (false, "filter"),
                (true, "filter"),
                (false, "nat"),
                (false, "mangle"),
                (true, "mangle"),
                (false, "raw"),
            ] {
                let tool = Iptables { is_ipv6, table };
                tally.batch(&tool, seed, &|generator| rule(generator, Place { is_ipv6, table }));
                seed += 1;
            }
        }
        println!("iptables, seeds {} to {}: {tally}", effort.seed, seed - 1);
        tally.assert(99);
    });
}
