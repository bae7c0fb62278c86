//! What was made, by the makers' own logs.

use std::collections::{BTreeMap, HashMap};

use super::kinds::Made;
use super::plan::Writer;

/// One true thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Whose it is.
    pub owner: &'static str,
    /// What kind of writer made it.
    pub kind: &'static str,
    /// Whether the tracker says who makes such things.
    pub is_claimed: bool,
    /// Whether its maker logged that it made it; otherwise it may have.
    pub is_certain: bool,
}

/// All that was made, by class and word.
#[derive(Debug, Default)]
pub struct Truth(BTreeMap<&'static str, HashMap<String, Fact>>);

impl Truth {
    /// Takes in one writer's log; tells how many of its steps failed.
    pub fn take(&mut self, writer: &Writer, log: &str) -> usize {
        let mut done: HashMap<usize, Vec<&str>> = HashMap::new();
        for line in log.lines() {
            let mut parts = line.split_whitespace();
            if let Some(number) = parts.next().and_then(|number| number.parse().ok()) {
                done.insert(number, parts.collect());
            }
        }
        for (number, step) in writer.steps.iter().enumerate() {
            let extra = done.get(&number);
            for made in &step.made {
                let fact = Fact {
                    owner: made.owner.unwrap_or(writer.owner),
                    kind: writer.kind.name,
                    is_claimed: writer.kind.is_claimed,
                    is_certain: extra.is_some(),
                };
                self.note(made, extra, &fact);
            }
        }
        writer.steps.len() - done.len()
    }

    fn note(&mut self, made: &Made, extra: Option<&Vec<&str>>, fact: &Fact) {
        let words: Vec<&str> = match extra {
            _ if !made.is_extra() => vec![&made.word],
            Some(words) => words.clone(),
            None => Vec::new(),
        };
        let facts = self.0.entry(made.class).or_default();
        facts.extend(words.into_iter().map(|word| (word.to_owned(), fact.clone())));
    }

    /// The fact about an object of a class whose name and text are these, with the word that tells.
    pub fn of(&self, class: &str, text: &str) -> Option<(&str, &Fact)> {
        let facts = self.0.get(class)?;
        words(text).find_map(|word| facts.get_key_value(word)).map(|(word, fact)| (word.as_str(), fact))
    }

    /// Every fact with its class and word.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str, &Fact)> {
        self.0.iter().flat_map(|(class, facts)| facts.iter().map(|(word, fact)| (*class, word.as_str(), fact)))
    }
}

/// What can be a name, an address or a path in a text.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    let ends = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '-' | '_'));
    text.split(ends).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_names_addresses_and_paths() {
        let text = "rule ip z07 c handle 5 comment \"z07r0001\"; 10.1.2.3/32 /a/b-c";
        let found: Vec<&str> = words(text).collect();
        assert_eq!(found[7..], ["z07r0001", "10.1.2.3/32", "/a/b-c"], "{found:?}");
    }
}
