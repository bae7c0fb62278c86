//! A saved dump against what the journal knows, of now and of before: lines are found by their text.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use netdeed_tracker::control::api::{BlameDeed, BlameLine, BlameView, ObjectList, ObjectRow, ObjectsQuery, Syntax};
use netdeed_tracker::model::owner::Owner;
use netdeed_tracker::query;

use crate::args::Global;
use crate::error::CliError;
use crate::tracker::ask;

/// Largest dump that is read, bytes.
const LARGEST: u64 = 256 << 20;

/// Reads a dump and says of each line who made what it shows.
pub(super) async fn annotate(global: &Global, path: &Path, owner: Option<&Owner>) -> Result<BlameView, CliError> {
    let text = read(path)?;
    let query = ObjectsQuery { class: Some("table,chain,rule,set".to_owned()), removed: true, ..Default::default() };
    let filter = query.filter()?;
    let list = ask(
        global,
        async |client| client.objects(&query).await,
        |stopped| query::list(stopped.journal.as_ref(), &filter, None).map_err(stopped.failed()),
    )
    .await?;
    Ok(matched(&text, list, owner))
}

fn read(path: &Path) -> Result<String, CliError> {
    let failed = |source| CliError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let source: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(std::io::stdin()),
        false => Box::new(std::fs::File::open(path).map_err(failed)?),
    };
    source.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LARGEST {
        return Err(CliError::Usage(format!("`{}` has more than {} MiB", path.display(), LARGEST >> 20)));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Where a line of a dump stands.
#[derive(Debug, Clone, Default)]
struct Place {
    /// `None` in the words of iptables-save, which does not say it.
    family: Option<String>,
    table: String,
    chain: String,
}

/// The objects by what their lines say.
struct Known {
    /// Table, chain, text. Living ones first, then those that went last.
    rows: HashMap<(String, String, String), Vec<ObjectRow>>,
}

impl Known {
    fn of(list: ObjectList) -> Self {
        let mut rows: HashMap<_, Vec<ObjectRow>> = HashMap::new();
        for row in list.objects {
            let words: Vec<&str> = row.name.split(' ').collect();
            let key = match words[..] {
                ["rule", _, table, chain, "handle", _] => (table.to_owned(), chain.to_owned(), normal(&row.text)),
                ["chain", _, table, chain] => (table.to_owned(), chain.to_owned(), String::new()),
                ["set", _, table, set] => (table.to_owned(), format!("@{set}"), String::new()),
                ["table", _, table] => (table.to_owned(), String::new(), String::new()),
                _ => continue,
            };
            rows.entry(key).or_default().push(row);
        }
        for rows in rows.values_mut() {
            rows.sort_by_key(|row| (!row.live, std::cmp::Reverse(row.removed), std::cmp::Reverse(row.id)));
        }
        Self { rows }
    }

    /// The objects a line can be about: the living ones, or those that are gone.
    fn find(&self, place: &Place, chain: &str, text: &str) -> Vec<&ObjectRow> {
        let key = (place.table.clone(), chain.to_owned(), text.to_owned());
        let rows = self.rows.get(&key).into_iter().flatten();
        let rows: Vec<&ObjectRow> = rows
            .filter(|row| {
                let family = row.name.split(' ').nth(1).unwrap_or_default();
                place.family.as_deref().map_or(matches!(family, "ip" | "ip6"), |wanted| wanted == family)
            })
            .collect();
        let has_living = rows.iter().any(|row| row.live);
        rows.into_iter().filter(|row| row.live == has_living).collect()
    }
}

fn matched(text: &str, list: ObjectList, owner: Option<&Owner>) -> BlameView {
    let known = Known::of(list);
    let is_nft = text.lines().any(|line| line.starts_with("table ") && line.ends_with('{'));
    let syntax = if is_nft { Syntax::Nft } else { Syntax::Iptables };
    let mut view = BlameView { syntax, lines: Vec::new(), deeds: Vec::new(), notes: Vec::new() };
    let mut numbers = HashMap::new();
    let (mut place, mut gone, mut disputed) = (Place::default(), 0, 0);
    for line in text.lines() {
        let found = about(&mut place, line).map(|(chain, text)| known.find(&place, &chain, &text));
        let class = found.as_ref().map(|_| class_of(line));
        let rows = found.unwrap_or_default();
        // equal lines of several owners: the text does not say which of them this is
        let row = rows.first().filter(|first| rows.iter().all(|row| row.owner == first.owner));
        if owner.is_some_and(|owner| !row.is_some_and(|row| row.owner.is_within(owner))) {
            continue;
        }
        disputed += usize::from(row.is_none() && !rows.is_empty());
        gone += usize::from(row.is_some_and(|row| !row.live));
        let deed = row.map(|row| {
            *numbers.entry(row.id).or_insert_with(|| {
                let ObjectRow { owner, certainty, created, actor, .. } = row;
                view.deeds.push(BlameDeed {
                    owner: owner.clone(),
                    certainty: *certainty,
                    time: *created,
                    actor: actor.clone(),
                });
                u32::try_from(view.deeds.len() - 1).unwrap_or(u32::MAX)
            })
        });
        let text = line.to_owned();
        view.lines.push(BlameLine { text, exact: true, class, object: row.map(|row| row.id), deed, changed: None });
    }
    if gone > 0 {
        let lines = if gone == 1 { "line shows" } else { "lines show" };
        view.notes.push(format!("{gone} {lines} what is not in the ruleset any more"));
    }
    if disputed > 0 {
        view.notes.push(format!("lines that fit rules of several owners, and are given to none: {disputed}"));
    }
    view
}

fn class_of(line: &str) -> netdeed_tracker::model::subject::Class {
    use netdeed_tracker::model::subject::Class;
    match line.trim_start() {
        line if line.starts_with('*') || line.starts_with("table ") => Class::Table,
        line if line.starts_with(':') || line.starts_with("chain ") || line.starts_with("type ") => Class::Chain,
        line if line.starts_with("set ") || line.starts_with("map ") => Class::Set,
        _ => Class::Rule,
    }
}

/// Follows where a dump is, and says which chain and text a line is about; `None` for one that is only the tool's own.
fn about(place: &mut Place, line: &str) -> Option<(String, String)> {
    let line = line.trim();
    let words: Vec<&str> = line.split_whitespace().collect();
    let set = |place: &mut Place, name: &str| {
        place.chain = name.to_owned();
        Some((name.to_owned(), String::new()))
    };
    match words[..] {
        [] | ["COMMIT" | "}" | "};"] => None,
        [first, ..] if first.starts_with('#') => None,
        ["table", family, table, "{"] => {
            *place = Place { family: Some(family.to_owned()), table: table.to_owned(), chain: String::new() };
            Some((String::new(), String::new()))
        }
        ["chain", name, "{"] => set(place, name),
        ["set" | "map", name, "{"] => set(place, &format!("@{name}")),
        ["type", ..] | ["policy", ..] if place.family.is_some() => Some((place.chain.clone(), String::new())),
        // the declaration and the elements of a set are of the set's line
        _ if place.chain.starts_with('@') => None,
        [table] if line.starts_with('*') => {
            *place = Place { family: None, table: table[1..].to_owned(), chain: String::new() };
            Some((String::new(), String::new()))
        }
        [chain, ..] if line.starts_with(':') && place.family.is_none() => Some((chain[1..].to_owned(), String::new())),
        _ if place.family.is_some() => Some((place.chain.clone(), normal(line))),
        _ => {
            let rule = normal(line);
            let chain = rule.strip_prefix("-A ")?.split(' ').next()?.to_owned();
            Some((chain, rule))
        }
    }
}

/// A rule's line without what is of a moment: counters and handles.
pub(crate) fn normal(line: &str) -> String {
    let line = line.trim();
    // `iptables-save -c`
    let line = match line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((counters, rest)) if counters.bytes().all(|byte| byte.is_ascii_digit() || byte == b':') => rest,
        _ => line,
    };
    let line = match line.rsplit_once(" # handle ") {
        Some((rule, handle)) if handle.bytes().all(|byte| byte.is_ascii_digit()) => rule,
        _ => line,
    };
    let mut kept: Vec<&str> = Vec::new();
    let words: Vec<&str> = line.split(' ').collect();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        kept.push(word);
        at += 1;
        let is_number = |at: usize| words.get(at).is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
        if *word == "counter"
            && words.get(at) == Some(&"packets")
            && is_number(at + 1)
            && words.get(at + 2) == Some(&"bytes")
            && is_number(at + 3)
        {
            at += 4;
        }
    }
    kept.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_a_moment_is_taken_out() {
        for (line, expected) in [
            ("[12:3456] -A INPUT -j ACCEPT", "-A INPUT -j ACCEPT"),
            ("\t\tip saddr 10.0.0.1 counter packets 5 bytes 300 drop # handle 12", "ip saddr 10.0.0.1 counter drop"),
            ("counter comment \"packets 5\"", "counter comment \"packets 5\""),
            ("[odd] -A INPUT", "[odd] -A INPUT"),
            ("", ""),
        ] {
            assert_eq!(normal(line), expected);
        }
    }

    #[test]
    fn a_dump_is_followed_into_its_tables_and_chains() {
        let dump = "# Generated by iptables-save\n*filter\n:INPUT ACCEPT [1:2]\n-A INPUT -j DROP\nCOMMIT\n";
        let mut place = Place::default();
        let seen: Vec<_> = dump.lines().map(|line| about(&mut place, line)).collect();
        let some = |chain: &str, text: &str| Some((chain.to_owned(), text.to_owned()));
        assert_eq!(seen, [None, some("", ""), some("INPUT", ""), some("INPUT", "-A INPUT -j DROP"), None]);
        assert_eq!(place.table, "filter");

        let dump = "table inet t {\n\tset s {\n\t\ttype ipv4_addr\n\t\telements = { 1.1.1.1 }\n\t}\n\n\tchain c {\n\t\ttcp dport 22 accept\n\t}\n}";
        let mut place = Place::default();
        let seen: Vec<_> = dump.lines().map(|line| about(&mut place, line)).collect();
        assert_eq!(seen[7], some("c", "tcp dport 22 accept"));
        assert_eq!((seen[1].clone(), seen[3].clone(), seen[8].clone()), (some("@s", ""), None, None));
    }

    #[test]
    fn lines_without_any_sense_are_survived() {
        for line in [":", "*", "-A", "-A ", "table", "chain {", "[", "[1:2]", "\u{1b}", "}", "set  {", "ü"] {
            let _ = about(&mut Place::default(), line);
            let _ = class_of(line);
        }
    }
}
