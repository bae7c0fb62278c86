//! Where lines go: through the owner filter and, in parts, to whoever asked.

use std::ops::ControlFlow;

use crate::control::api::{BlameLine, BlameView, Syntax};
use crate::model::owner::Owner;
use crate::model::subject::{Snapshot, Subject};

use super::backends::Twins;
use super::index::Index;

/// Lines of one part.
const PART: usize = 1000;

/// Takes lines in their order.
pub(super) struct Sink<'a> {
    index: &'a Index,
    owner: Option<&'a Owner>,
    /// Heads of the open blocks that were not shown yet, the outermost first.
    heads: Vec<Option<BlameLine>>,
    /// How many of the heads are above tables.
    above: usize,
    /// Whether lines are of the legacy backend.
    is_legacy: bool,
    twins: Twins,
    part: BlameView,
    each: &'a mut dyn FnMut(BlameView) -> ControlFlow<()>,
}

impl<'a> Sink<'a> {
    pub(super) fn new(
        index: &'a Index,
        syntax: Syntax,
        owner: Option<&'a Owner>,
        each: &'a mut dyn FnMut(BlameView) -> ControlFlow<()>,
    ) -> Self {
        let part = BlameView { syntax, lines: Vec::new(), deeds: index.take_deeds(), notes: Vec::new() };
        let (heads, twins) = (Vec::new(), Twins::default());
        Self { index, owner, heads, above: 0, is_legacy: false, twins, part, each }
    }

    /// Begins the tables of a backend; a heading is shown with the first of its lines.
    pub(super) fn backend(&mut self, is_legacy: bool, heading: Option<&str>) {
        self.is_legacy = is_legacy;
        self.heads = heading.into_iter().map(|text| Some(self.plain_line(text))).collect();
        self.above = self.heads.len();
    }

    fn plain_line(&self, text: &str) -> BlameLine {
        let (text, legacy) = (text.to_owned(), self.is_legacy);
        BlameLine { text, exact: true, legacy, class: None, object: None, deed: None, changed: None }
    }

    /// What the journal knows.
    pub(super) fn index(&self) -> &'a Index {
        self.index
    }

    pub(super) fn notes(&mut self, notes: Vec<String>) {
        self.part.notes.extend(notes);
    }

    /// The head of a block, `depth` blocks deep: shown if it or something in it passes the filter.
    pub(super) fn head(
        &mut self,
        depth: usize,
        text: String,
        exact: bool,
        (subject, snapshot): (&Subject, &Snapshot),
    ) -> ControlFlow<()> {
        let head = self.index.line(text, exact, subject, snapshot);
        let is_wanted = self.owner.is_none_or(|owner| self.index.is_of(&head, owner));
        self.heads.resize(self.above + depth, None);
        self.heads.push(Some(head));
        if is_wanted { self.flush_heads() } else { ControlFlow::Continue(()) }
    }

    /// A line about an object.
    pub(super) fn line(
        &mut self,
        text: String,
        exact: bool,
        (subject, snapshot): (&Subject, &Snapshot),
    ) -> ControlFlow<()> {
        let line = self.index.line(text, exact, subject, snapshot);
        if self.owner.is_some_and(|owner| !self.index.is_of(&line, owner)) {
            return ControlFlow::Continue(());
        }
        self.flush_heads()?;
        self.push(line)
    }

    /// A line that is only the tool's own; left out where lines are left out.
    pub(super) fn plain(&mut self, text: &str) -> ControlFlow<()> {
        if self.owner.is_some() {
            return ControlFlow::Continue(());
        }
        self.flush_heads()?;
        self.push(self.plain_line(text))
    }

    /// Hands over what is left; one part at least.
    pub(super) fn finish(mut self) -> ControlFlow<()> {
        self.part.notes.extend(self.twins.warning());
        self.flush()
    }

    fn flush_heads(&mut self) -> ControlFlow<()> {
        let waiting: Vec<BlameLine> = self.heads.iter_mut().filter_map(Option::take).collect();
        waiting.into_iter().try_for_each(|head| self.push(head))
    }

    fn push(&mut self, line: BlameLine) -> ControlFlow<()> {
        self.twins.note(&line);
        self.part.lines.push(line);
        if self.part.lines.len() >= PART { self.flush() } else { ControlFlow::Continue(()) }
    }

    fn flush(&mut self) -> ControlFlow<()> {
        let next = BlameView { lines: Vec::new(), deeds: Vec::new(), notes: Vec::new(), ..self.part };
        (self.each)(std::mem::replace(&mut self.part, next))
    }
}
