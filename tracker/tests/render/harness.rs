//! What all of them do: a network namespace of their own, tools in it, and its rules as dumped.

use std::io::Write;
use std::process::{Command, Stdio};

use netdeed_tracker::capture::nfnetlink::{NftDump, dump};
use netdeed_tracker::model::nft::{NftItem, NftSnapshot, NftSubject, RuleSnapshot};
use netdeed_tracker::model::subject::{Snapshot, Subject};
use netdeed_tracker::render::Rendered;
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Runs a test in a thread with a fresh network namespace. Without root this fails, it does not skip.
pub(crate) fn in_netns(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(|| {
        // SAFETY: a network namespace shares no memory and no descriptors.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.expect("unshare the network namespace: these tests need root");
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs a command with `input`, gives its output or what it complains about.
pub(crate) fn run(command: &[&str], input: &str) -> Result<String, String> {
    let mut child = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run `{}`: {error}", command[0]));
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("input is read");
    let output = child.wait_with_output().expect("child ends");
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).expect("text")),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Everything in the namespace.
pub(crate) fn everything() -> NftDump {
    let dump = dump().expect("dumps");
    assert_eq!(dump.undecoded, [], "every object is understood");
    dump
}

/// The objects as rulesets are made of them.
pub(crate) fn objects_of(dump: &NftDump) -> impl Iterator<Item = (&NftSubject, &NftSnapshot)> {
    dump.objects.iter().filter_map(|(subject, snapshot)| match (subject, snapshot) {
        (Subject::Nft(subject), Snapshot::Nft(snapshot)) => Some((subject, snapshot)),
        _ => None,
    })
}

/// The rules of the chains of this name, in their order.
pub(crate) fn rules_of<'a>(dump: &'a NftDump, name: &str) -> Vec<(&'a NftSubject, &'a RuleSnapshot)> {
    let rules = dump.objects.iter().filter_map(|(subject, snapshot)| match (subject, snapshot) {
        (Subject::Nft(subject), Snapshot::Nft(NftSnapshot::Rule(rule))) => Some((subject, rule)),
        _ => None,
    });
    rules
        .filter(|(subject, _)| matches!(&subject.item, NftItem::Rule { chain, .. } if chain.as_str() == name))
        .collect()
}

/// A file next to this one.
pub(crate) fn corpus(name: &str) -> String {
    let path = format!("{}/tests/render/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read `{path}`: {error}"))
}

/// A part of a corpus: `[first second]`, then rules.
pub(crate) struct Section<'a> {
    /// Tool or family.
    pub(crate) first: &'a str,
    /// Table or chain.
    pub(crate) second: &'a str,
    /// Whether it can be written exactly (no `~` before it), and the rule.
    pub(crate) rules: Vec<(bool, &'a str)>,
}

/// Reads a corpus.
pub(crate) fn sections(corpus: &str) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for line in corpus.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(header) = line.strip_prefix('[') {
            let (first, second) = header.trim_end_matches(']').split_once(' ').expect("two words");
            sections.push(Section { first, second, rules: Vec::new() });
            continue;
        }
        sections.last_mut().expect("a section before rules").rules.push(match line.strip_prefix("~ ") {
            Some(rule) => (false, rule),
            None => (true, line),
        });
    }
    sections
}

/// What went well, and what did not.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) exact: usize,
    failures: Vec<String>,
}

impl Outcome {
    /// Compares our line with the tool's: equal, or in brackets where the corpus says so. Returns whether it is equal.
    pub(crate) fn compare(&mut self, can_be_exact: bool, rule: &str, theirs: &str, ours: &Rendered) -> bool {
        let is_right = match can_be_exact {
            true => ours.is_exact && ours.text == *theirs,
            false => !ours.is_exact && ours.text.contains('[') && ours.text != *theirs,
        };
        if !is_right {
            self.failures.push(format!("{rule}\n  theirs {theirs}\n  ours   {}", ours.text));
        }
        self.exact += usize::from(is_right && can_be_exact);
        is_right && can_be_exact
    }

    /// Fails with every rule that went wrong.
    pub(crate) fn assert(&self) {
        let Self { exact, failures } = self;
        assert!(failures.is_empty(), "{} wrong, {exact} right:\n{}", failures.len(), failures.join("\n"));
    }
}

/// What iptables-save prints, without its comment lines and with all counters 0.
pub(crate) fn saved(tool: &str) -> String {
    let text = run(&[&format!("{tool}-nft-save")], "").expect("saves");
    let lines = text.lines().filter(|line| !line.starts_with('#')).map(|line| match line.rfind(" [") {
        Some(at) if line.starts_with(':') => format!("{} [0:0]\n", &line[..at]),
        _ => format!("{line}\n"),
    });
    lines.collect()
}

/// Compares two texts line by line.
pub(crate) fn same_lines(what: &str, theirs: &str, ours: &str) {
    let mut wrong = Vec::new();
    let (mut left, mut right) = (theirs.lines(), ours.lines());
    for number in 1.. {
        match (left.next(), right.next()) {
            (None, None) => break,
            (theirs, ours) if theirs == ours => {}
            (theirs, ours) => wrong.push(format!(
                "line {number}\n  theirs {}\n  ours   {}",
                theirs.unwrap_or("(nothing)"),
                ours.unwrap_or("(nothing)")
            )),
        }
    }
    assert!(
        wrong.is_empty(),
        "{what}: {} of {} wrong\n{}",
        wrong.len(),
        theirs.lines().count(),
        wrong[..wrong.len().min(40)].join("\n")
    );
}
