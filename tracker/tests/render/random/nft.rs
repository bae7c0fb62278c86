//! nft in all families.

use netdeed_tracker::render::{Rendered, Ruleset, nft};

use super::batch::{Effort, Pieces, Tally, Tool};
use super::generator::Generator;
use super::nft_matches::matches;
use super::nft_statements::statements;
use crate::harness::{corpus, everything, in_netns, objects_of, rules_of, run};
use crate::nft::Links;

struct Nft {
    family: &'static str,
}

impl Tool for Nft {
    fn name(&self) -> String {
        format!("nft {}", self.family)
    }

    fn put(&self, rules: &[String]) -> Result<(), (Vec<usize>, String)> {
        let script: String = rules.iter().map(|rule| format!("add rule {} t c {rule}\n", self.family)).collect();
        run(&["nft", "-f", "-"], &script).map(drop).map_err(|message| {
            // `/dev/stdin:5:20-30: Error: ...`
            let numbers = message.lines().filter_map(|line| {
                let (place, _) = line.split_once(": Error")?;
                place.split(':').nth(1)?.parse::<usize>().ok()?.checked_sub(1)
            });
            (numbers.collect(), message.clone())
        })
    }

    fn compare(&self) -> Result<(Vec<String>, Vec<Rendered>), String> {
        let text = run(&["nft", "-s", "list", "chain", self.family, "t", "c"], "")?;
        let theirs = text.lines().filter_map(|line| line.strip_prefix("\t\t"));
        let theirs = theirs.filter(|line| !line.starts_with("type ")).map(str::to_owned).collect();
        let dump = everything();
        let ruleset = Ruleset::new(objects_of(&dump));
        let rules =
            rules_of(&dump, "c").into_iter().filter(|(subject, _)| subject.table.family.as_str() == self.family);
        let ours = rules.map(|(subject, rule)| {
            let table = ruleset.table(&subject.table).expect("the rule's table");
            nft(subject.table.family, rule, &table.surroundings(&Links))
        });
        Ok((theirs, ours.collect()))
    }

    fn clear(&self) {
        run(&["nft", "flush", "chain", self.family, "t", "c"], "").expect("flushes");
    }
}

fn rule(generator: &mut Generator, family: &'static str) -> Pieces {
    let mut pieces = Vec::new();
    matches(generator, family, &mut pieces);
    statements(generator, family, &mut pieces);
    pieces
}

#[test]
fn generated_rules_are_those_of_nft_list() {
    in_netns(|| {
        run(&["ip", "link", "set", "lo", "up"], "").expect("up");
        run(&["nft", "-f", "-"], &corpus("nft.setup")).expect("set up");
        let effort = Effort::of_environment();
        let (mut tally, mut seed) = (Tally::default(), effort.seed);
        while effort.goes_on() || tally.rules < 3000 {
            for family in ["ip", "inet", "ip6", "bridge", "inet", "netdev", "ip", "arp"] {
                tally.batch(&Nft { family }, seed, &|generator| rule(generator, family));
                seed += 1;
            }
        }
        println!("nft, seeds {} to {}: {tally}", effort.seed, seed - 1);
        tally.assert(95);
    });
}
