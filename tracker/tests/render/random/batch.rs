//! Batches of generated rules: put in, printed, rendered, compared; what fails is made smaller.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use netdeed_tracker::render::Rendered;

use super::generator::Generator;

/// Rules of one batch.
const BATCH: usize = 300;

/// After so many that are wrong it is not gone on.
const WRONG: usize = 15;

/// A rule in the tool's words, in pieces that may be left out one by one.
pub(crate) type Pieces = Vec<String>;

/// A tool with the place rules are put into, which is empty before.
pub(crate) trait Tool {
    /// What failures are reported with.
    fn name(&self) -> String;
    /// Puts rules in, all or none. The error has the indices of those that are refused, and what the tool says.
    fn put(&self, rules: &[String]) -> Result<(), (Vec<usize>, String)>;
    /// What the tool prints of them, and what we do; the error is that the tool fails to print what it put in.
    fn compare(&self) -> Result<(Vec<String>, Vec<Rendered>), String>;
    /// Makes the place empty.
    fn clear(&self);
}

/// What all batches came to.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) rules: usize,
    pub(crate) exact: usize,
    refused: BTreeMap<String, usize>,
    unprintable: BTreeMap<String, String>,
    inexact: BTreeMap<String, (usize, String)>,
    wrong: Vec<String>,
}

/// How long, and from where.
pub(crate) struct Effort {
    pub(crate) seed: u64,
    until: Instant,
}

impl Effort {
    #[expect(clippy::disallowed_methods, reason = "what a test does may depend on its environment")]
    pub(crate) fn of_environment() -> Self {
        let number = |name: &str, default: u64| match std::env::var(name) {
            Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} has to be a number, and is `{text}`")),
            Err(_) => default,
        };
        let seconds = number("NETDEED_RENDER_SECONDS", 10);
        Self { seed: number("NETDEED_RENDER_SEED", 1), until: Instant::now() + Duration::from_secs(seconds) }
    }

    pub(crate) fn goes_on(&self) -> bool {
        Instant::now() < self.until
    }
}

impl Tally {
    /// Generates one batch from `seed` and compares it.
    pub(crate) fn batch(&mut self, tool: &dyn Tool, seed: u64, generate: &dyn Fn(&mut Generator) -> Pieces) {
        let mut generator = Generator::new(seed);
        let mut rules: Vec<Pieces> = (0..BATCH).map(|_| generate(&mut generator)).collect();
        let generated = rules.len();
        loop {
            let texts: Vec<String> = rules.iter().map(|rule| rule.join(" ")).collect();
            let Err((mut refused, message)) = tool.put(&texts) else { break };
            assert!(!refused.is_empty(), "{}, seed {seed}: refused, and no rule named: {message}", tool.name());
            refused.sort_unstable();
            refused.dedup();
            for index in refused.into_iter().rev() {
                let rule = rules.remove(index).join(" ");
                let why: String = message.replace('\n', " ").chars().take(150).collect();
                *self.refused.entry(format!("{rule}\n    {why}")).or_default() += 1;
            }
            assert!(rules.len() * 10 > generated * 7, "{}, seed {seed}: too much is refused:\n{self}", tool.name());
        }
        let (theirs, ours) = match tool.compare() {
            Ok(lines) => lines,
            Err(_) => self.without_unprintable(tool, &mut rules),
        };
        tool.clear();
        assert_eq!((theirs.len(), ours.len()), (rules.len(), rules.len()), "{}, seed {seed}: every rule", tool.name());
        for ((rule, theirs), ours) in rules.iter().zip(&theirs).zip(&ours) {
            self.rules += 1;
            match ours {
                Rendered { is_exact: true, text } if text == theirs => self.exact += 1,
                Rendered { is_exact: true, .. } => {
                    let (rule, theirs, ours) = smallest(tool, rule.clone());
                    let name = tool.name();
                    self.wrong
                        .push(format!("{name}, seed {seed}:\n  rule   {rule}\n  theirs {theirs}\n  ours   {ours}"));
                    assert!(self.wrong.len() < WRONG, "{}\n{self}", self.wrong.join("\n"));
                }
                Rendered { text, .. } => {
                    assert!(text.contains('['), "inexact without brackets: {text}");
                    let mark = text.split('[').nth(1).and_then(|rest| rest.split(']').next()).unwrap_or_default();
                    let example = || (0, format!("{text}\n    of {}\n    for {theirs}", rule.join(" ")));
                    self.inexact.entry(mark.to_owned()).or_insert_with(example).0 += 1;
                }
            }
        }
    }
}

impl Tally {
    /// Leaves out the rules that the tool puts in but cannot print.
    fn without_unprintable(&mut self, tool: &dyn Tool, rules: &mut Vec<Pieces>) -> (Vec<String>, Vec<Rendered>) {
        tool.clear();
        rules.retain(|rule| {
            let text = rule.join(" ");
            tool.put(std::slice::from_ref(&text)).expect("was taken before");
            let printed = tool.compare();
            tool.clear();
            let is_printable = printed.is_ok();
            if let Err(message) = printed {
                self.unprintable.insert(message, text);
            }
            is_printable
        });
        let texts: Vec<String> = rules.iter().map(|rule| rule.join(" ")).collect();
        tool.put(&texts).expect("each was taken before");
        tool.compare().expect("each was printed before")
    }
}

/// The smallest part of a rule that still fails, with what the tool prints and what we do.
fn smallest(tool: &dyn Tool, mut rule: Pieces) -> (String, String, String) {
    let mut found = fails(tool, &rule).unwrap_or_else(|| (String::from("(only among others)"), String::new()));
    let mut at = 0;
    while at < rule.len() {
        let mut smaller = rule.clone();
        smaller.remove(at);
        match fails(tool, &smaller) {
            Some(lines) => (rule, found, at) = (smaller, lines, 0),
            None => at += 1,
        }
    }
    (rule.join(" "), found.0, found.1)
}

fn fails(tool: &dyn Tool, rule: &Pieces) -> Option<(String, String)> {
    tool.put(&[rule.join(" ")]).ok()?;
    let lines = tool.compare();
    tool.clear();
    let (theirs, ours) = lines.ok()?;
    match (&theirs[..], &ours[..]) {
        ([theirs], [ours]) if ours.is_exact && ours.text != *theirs => Some((theirs.clone(), ours.text.clone())),
        _ => None,
    }
}

impl Tally {
    /// Fails when anything was wrong, or fewer than so many in a hundred are exact.
    pub(crate) fn assert(&self, percent: usize) {
        assert!(self.wrong.is_empty(), "{}\n{self}", self.wrong.join("\n"));
        assert!(self.rules >= 3000, "{self}");
        assert!(self.exact * 100 >= self.rules * percent, "{self}");
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { rules, exact, refused, unprintable, inexact, wrong: _ } = self;
        let count: usize = refused.values().sum();
        writeln!(f, "{rules} rules, {exact} exact, {count} refused by the tool")?;
        inexact.iter().try_for_each(|(mark, (count, text))| writeln!(f, "  {count} with [{mark}], as {text}"))?;
        unprintable
            .iter()
            .try_for_each(|(message, rule)| writeln!(f, "  the tool fails to print {rule}: {message}"))?;
        refused.keys().take(12).try_for_each(|rule| writeln!(f, "  refused: {rule}"))
    }
}
