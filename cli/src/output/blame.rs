//! The ruleset, each line behind its owner.

use std::collections::HashMap;
use std::io::{self, Write};

use netdeed_tracker::control::api::{BlameDeed, BlameLine, BlameView};
use netdeed_tracker::model::time::WallTime;

use super::Output;
use super::card::brief;
use super::style::{Paint, Style};
use super::text::printable;
use super::time::{format_age, format_time_ago};

/// Widest an owner and an actor may make their columns.
const WIDEST: usize = 28;
/// Foreground colours that can be read on dark and on light ground.
const OWNER_COLORS: [u8; 6] = [36, 33, 35, 32, 34, 31];

/// Writes an annotated dump.
pub(crate) fn write_blame(output: &Output, out: &mut dyn Write, view: &BlameView, group: bool) -> io::Result<()> {
    BlameWriter::new(output, view, group).of_a_dump().write(out, view)
}

/// Writes the parts of a listing. The first part has all the deeds, so columns fit all lines.
pub(crate) struct BlameWriter {
    style: Style,
    group: bool,
    now: WallTime,
    widths: (usize, usize),
    /// What stands before a line, by the number of its deed.
    prefixes: Vec<Prefix>,
    colors: HashMap<String, u8>,
    /// The owner of the line before, in groups.
    last: Option<Whose>,
    /// What to say of a line that nobody is known for.
    unknown: &'static str,
}

struct Prefix {
    owner: String,
    certainty: &'static str,
    columns: String,
    /// For the head of a group.
    head: String,
}

/// Whose a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Deed(u32),
    Unrecorded,
    Nobody,
}

impl Whose {
    fn of(line: &BlameLine) -> Self {
        match (line.changed.or(line.deed), line.class) {
            (Some(deed), _) => Self::Deed(deed),
            (None, Some(_)) => Self::Unrecorded,
            (None, None) => Self::Nobody,
        }
    }
}

impl BlameWriter {
    pub(crate) fn new(output: &Output, first: &BlameView, group: bool) -> Self {
        let longest = |text: fn(&BlameDeed) -> usize| first.deeds.iter().map(text).max().unwrap_or_default();
        let owner = longest(|deed| deed.owner.as_str().chars().count()).clamp("not recorded".len(), WIDEST);
        let actor = longest(|deed| deed.actor.as_ref().map_or(1, |actor| brief(actor).chars().count())).min(WIDEST);
        Self {
            style: output.style,
            group,
            now: WallTime::now(),
            widths: (owner, actor),
            prefixes: Vec::new(),
            colors: HashMap::new(),
            last: None,
            unknown: "not recorded",
        }
    }

    /// Says of a saved dump's line that it was not found: whether the thing was ever there is not known.
    fn of_a_dump(mut self) -> Self {
        self.unknown = "not found";
        self
    }

    /// Writes one part.
    pub(crate) fn write(&mut self, out: &mut dyn Write, view: &BlameView) -> io::Result<()> {
        for deed in &view.deeds {
            let prefix = self.prefix(deed);
            self.prefixes.push(prefix);
        }
        view.lines.iter().try_for_each(|line| match self.group {
            true => self.grouped(out, line),
            false => self.beside(out, line),
        })
    }

    fn prefix(&mut self, deed: &BlameDeed) -> Prefix {
        let BlameDeed { owner, certainty, time, actor } = deed;
        let (owner, actor) =
            (printable(owner.as_str()).into_owned(), actor.as_ref().map_or_else(|| "-".to_owned(), brief));
        let actor = printable(&actor).into_owned();
        let age = format_age(*time, self.now);
        let (owner_width, actor_width) = self.widths;
        let next = OWNER_COLORS[self.colors.len() % OWNER_COLORS.len()];
        self.colors.entry(owner.clone()).or_insert(next);
        Prefix {
            columns: format!("{owner:<owner_width$}  {certainty:<10}  {actor:<actor_width$}  {age:>5}"),
            head: format!("{owner}, {certainty}, by {actor}, {}", format_time_ago(*time)),
            certainty: certainty.as_str(),
            owner,
        }
    }

    fn beside(&self, out: &mut dyn Write, line: &BlameLine) -> io::Result<()> {
        let (owner_width, actor_width) = self.widths;
        let width = owner_width + actor_width + 21;
        let text = printable_line(&line.text);
        match self.prefix_of(line) {
            (_, Some(prefix)) => {
                let columns = self.style.code(self.colors.get(&prefix.owner).copied(), &prefix.columns);
                writeln!(out, "{columns}  {text}")
            }
            (Whose::Nobody, None) if text.is_empty() => writeln!(out),
            (Whose::Nobody, None) => writeln!(out, "{:width$}  {}", "", self.style.paint(Paint::Label, &text)),
            (_, None) => {
                let columns = self.style.paint(Paint::Bad, &format!("{:<width$}", self.unknown));
                writeln!(out, "{columns}  {text}")
            }
        }
    }

    /// Lines of one owner and certainty follow each other behind one comment.
    fn grouped(&mut self, out: &mut dyn Write, line: &BlameLine) -> io::Result<()> {
        let text = printable_line(&line.text);
        let (whose, prefix) = self.prefix_of(line);
        let is_same = match (whose, self.last) {
            (Whose::Nobody, _) => true,
            (whose, Some(last)) => whose == last || self.is_one_group(whose, last),
            (_, None) => false,
        };
        if !is_same {
            let indent: String = line.text.chars().take_while(|c| *c == '\t').collect();
            let (color, head) = match prefix {
                Some(prefix) => (self.colors.get(&prefix.owner).copied(), prefix.head.as_str()),
                None => (Some(31), self.unknown),
            };
            writeln!(out, "{indent}{}", self.style.code(color, &format!("# {head}")))?;
            self.last = Some(whose);
        }
        writeln!(out, "{text}")
    }

    fn is_one_group(&self, a: Whose, b: Whose) -> bool {
        let prefix = |whose| match whose {
            Whose::Deed(deed) => self.prefixes.get(usize::try_from(deed).ok()?),
            Whose::Unrecorded | Whose::Nobody => None,
        };
        matches!((prefix(a), prefix(b)), (Some(a), Some(b)) if a.owner == b.owner && a.certainty == b.certainty)
    }

    fn prefix_of(&self, line: &BlameLine) -> (Whose, Option<&Prefix>) {
        let whose = Whose::of(line);
        let prefix = match whose {
            Whose::Deed(deed) => usize::try_from(deed).ok().and_then(|deed| self.prefixes.get(deed)),
            Whose::Unrecorded | Whose::Nobody => None,
        };
        (whose, prefix)
    }
}

/// The line with its indentation as it is.
fn printable_line(text: &str) -> String {
    let rest = text.trim_start_matches('\t');
    format!("{}{}", &text[..text.len() - rest.len()], printable(rest))
}
