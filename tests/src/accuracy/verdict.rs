//! What the tracker says, held against the truth, object by object.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::plan::{Plan, Writer};
use super::truth::{Fact, Truth, words};
use crate::node::Node;
use crate::tracker::Tracker;
use crate::{Result, wait};

/// The outcome of a run.
#[derive(Debug, Default)]
pub struct Verdict {
    seed: u64,
    /// Objects that were compared.
    pub compared: usize,
    /// True owner, recorded owner and certainty; how many.
    confusion: BTreeMap<(String, String, String), usize>,
    /// Kind of writer, class and certainty; how many.
    by_kind: BTreeMap<(String, String, String), usize>,
    /// Objects given to somebody else.
    pub wrong: Vec<String>,
    /// Things made that the tracker does not know, and that are there.
    pub missing: Vec<String>,
    /// Things made that the tracker does not know, and that are gone.
    pub missed: Vec<String>,
    /// Objects that are neither exact nor correlated, by number, with what is known of each.
    pub unproven: BTreeMap<u64, String>,
    /// Of those, the ones that no reason and no gap excuses.
    pub unmarked: Vec<String>,
    /// The gaps that the journal holds, as sentences.
    pub gaps: Vec<String>,
}

/// What a run may come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of a thousand objects, this many may be neither exact nor correlated; `None` where losses are forced: then what
    /// came and went may be missing, too.
    pub unproven_per_mille: Option<usize>,
}

/// Longest time the tracker may be behind the writers.
const CATCH_UP: Duration = Duration::from_secs(1200);

/// Shows whatever is there by its words.
const DUMP: &str = "nft list ruleset; ip link; ip -brief address; ip route show table all; ip rule; find /var/lib/cni";

impl Verdict {
    /// Asks the tracker for everything and compares.
    ///
    /// # Errors
    /// When the tracker does not answer.
    pub fn of(node: &Node, tracker: &Tracker<'_>, plan: &Plan, truth: &Truth) -> Result<Self> {
        // the companion gives up on a tracker that is minutes behind
        wait::until("the tracker to catch up", CATCH_UP, || tracker.text(&["ls", "--summary"]).ok())?;
        let list = tracker.json(&["ls", "--all"])?;
        let mut verdict = Self { seed: plan.run.seed, ..Self::default() };
        let mut seen: HashSet<(String, &str)> = HashSet::new();
        for object in list["data"]["objects"].as_array().into_iter().flatten() {
            let text = format!("{} {}", text_of(object, "name"), text_of(object, "text"));
            match truth.of(text_of(object, "class"), &text) {
                Some((word, fact)) => {
                    seen.insert((text_of(object, "class").to_owned(), word));
                    verdict.compare(object, fact);
                }
                None => verdict.compare_other(object, &text, &plan.writers),
            }
        }
        let expected = truth.iter().filter(|(class, word, fact)| {
            fact.is_certain && fact.is_claimed && !seen.contains(&((*class).to_owned(), *word))
        });
        let dump = node.sh(DUMP)?;
        let there: HashSet<&str> = words(&dump).collect();
        for (class, word, fact) in expected {
            let what = format!("{class} {word}, made by {}", fact.owner);
            let list = if there.contains(word) { &mut verdict.missing } else { &mut verdict.missed };
            list.push(what);
        }
        verdict.excuse(tracker)?;
        Ok(verdict)
    }

    fn compare(&mut self, object: &Value, fact: &Fact) {
        let [class, owner, certainty] = ["class", "owner", "certainty"].map(|key| text_of(object, key).to_owned());
        self.compared += 1;
        if certainty != "unknown" && owner != fact.owner {
            self.wrong.push(format!("{}'s ({}): {object}", fact.owner, fact.kind));
        } else if !matches!(certainty.as_str(), "exact" | "correlated") && fact.is_claimed {
            let id = object["id"].as_u64().unwrap_or_default();
            self.unproven.insert(id, format!("{}'s ({}): {object}", fact.owner, fact.kind));
        }
        *self.by_kind.entry((fact.kind.to_owned(), class, certainty.clone())).or_default() += 1;
        *self.confusion.entry((fact.owner.to_owned(), owner, certainty)).or_default() += 1;
    }

    /// What came along with what was made: its maker's, or the kernel's.
    fn compare_other(&mut self, object: &Value, text: &str, writers: &[Writer]) {
        let is_of = |writer: &Writer| {
            let (tag, within) = (writer.tag(), format!("/{}", writer.tag()));
            words(text).any(|word| word.starts_with(&tag) || word.contains(&within))
        };
        let Some(writer) = writers.iter().find(|writer| is_of(writer)) else { return };
        let owner = text_of(object, "owner");
        if text_of(object, "certainty") != "unknown" && owner != "kernel" && !writer.may_own(owner) {
            self.wrong.push(format!("{}'s, along with others: {object}", writer.owner));
        }
    }

    /// Looks up why what is not proven is not: a gap it lies in, or a reason.
    fn excuse(&mut self, tracker: &Tracker<'_>) -> Result<()> {
        let log = tracker.json(&["log", "--limit", "100000"])?;
        let events: Vec<&Value> = log["data"]["events"].as_array().into_iter().flatten().collect();
        let gaps: Vec<&Value> = events.iter().copied().filter(|event| event["event"] == "gap").collect();
        let sentence = |gap: &&Value| format!("{} to {}: {}", gap["from"], gap["to"], text_of(gap, "text"));
        self.gaps = gaps.iter().map(sentence).collect();
        let mut first: HashMap<u64, &Value> = HashMap::new();
        for event in events.iter().copied().filter(|event| event["event"] == "change") {
            first.entry(event["object"].as_u64().unwrap_or_default()).or_insert(event);
        }
        for (id, what) in &mut self.unproven {
            let Some(made) = first.get(id) else { continue };
            let (evidence, time) = (made["evidence"].to_string(), text_of(made, "time"));
            what.push_str(&format!(" because {evidence} at {time}"));
            // to the second: a thing is recorded a moment after it was made
            let is_in_gap = gaps.iter().any(|gap| {
                let [from, to, time] = [text_of(gap, "from"), text_of(gap, "to"), time].map(|time| time.get(..19));
                from <= time && time <= to
            });
            let has_reason = ["gap", "lost", "fit equally well"].iter().any(|word| evidence.contains(word));
            if !(is_in_gap || has_reason) {
                self.unmarked.push(what.clone());
            }
        }
        Ok(())
    }

    /// Fails with all there is to know when the run came to more than it may.
    ///
    /// # Panics
    /// Then.
    pub fn assert(&self, limits: Limits) {
        // rounded up: of some hundred objects one may be in doubt
        let may_be = |per_mille: usize| (per_mille * self.compared).div_ceil(1000);
        let too_many = limits.unproven_per_mille.is_some_and(|most| self.unproven.len() > may_be(most));
        let has_missed = limits.unproven_per_mille.is_some() && !self.missed.is_empty();
        let is_bad =
            has_missed || !self.wrong.is_empty() || !self.missing.is_empty() || !self.unmarked.is_empty() || too_many;
        assert!(!is_bad && self.compared > 0, "{self}\n{}", self.details());
    }

    fn details(&self) -> String {
        const SHOWN: usize = 20;
        let unproven: Vec<String> = self.unproven.values().cloned().collect();
        let lists =
            [("wrong", &self.wrong), ("missing", &self.missing), ("unmarked", &self.unmarked), ("unproven", &unproven)];
        let mut text = String::new();
        for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            text.push_str(&format!("{} {name}:\n", list.len()));
            list.iter().take(SHOWN).for_each(|line| text.push_str(&format!("  {line}\n")));
        }
        text
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {} objects compared, {} gaps", self.seed, self.compared, self.gaps.len())?;
        self.gaps.iter().try_for_each(|gap| writeln!(f, "  {gap}"))?;
        writeln!(f, "{:<26} {:<26} {:<12} {:>8}", "TRUE OWNER", "RECORDED OWNER", "CERTAINTY", "OBJECTS")?;
        for ((truth, recorded, certainty), count) in &self.confusion {
            writeln!(f, "{truth:<26} {recorded:<26} {certainty:<12} {count:>8}")?;
        }
        writeln!(f, "{:<34} {:<10} {:<12} {:>8}", "KIND OF WRITER", "CLASS", "CERTAINTY", "OBJECTS")?;
        for ((kind, class, certainty), count) in &self.by_kind {
            writeln!(f, "{kind:<34} {class:<10} {certainty:<12} {count:>8}")?;
        }
        write!(
            f,
            "{} wrong, {} missing, {} missed, {} unproven, {} of them unmarked",
            self.wrong.len(),
            self.missing.len(),
            self.missed.len(),
            self.unproven.len(),
            self.unmarked.len()
        )
    }
}

fn text_of<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}
