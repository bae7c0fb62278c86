//! How answers look. One file per kind of document; what they share is here.

mod blame;
mod card;
mod event;
mod list;
mod plan;
mod proof;
mod status;
mod steps;
mod style;
mod swap;
mod table;
mod text;
mod time;
mod trace;
mod undo;

use std::io::{self, IsTerminal, Write};

use netdeed_tracker::control::api::{Document, Envelope};

use crate::args::{Format, Global};
use crate::error::CliError;

pub(crate) use blame::{BlameWriter, write_blame};
pub(crate) use card::write_who;
pub(crate) use event::{write_event, write_log};
pub(crate) use list::{write_objects, write_objects_long, write_owners};
pub(crate) use plan::{Detail, write_operation, write_plan};
pub(crate) use status::write_status;
pub(crate) use style::Style;
pub(crate) use swap::write_findings;
pub(crate) use text::printable;
pub(crate) use time::{format_ago, format_time};
pub(crate) use trace::write_trace;
pub(crate) use undo::write_undo;

/// Standard output with what is known of it.
pub(crate) struct Output {
    /// How to write answers.
    pub(crate) format: Format,
    /// Colours, if any.
    pub(crate) style: Style,
    /// Columns of the terminal; `None` when it is none, and then nothing is wrapped.
    pub(crate) width: Option<usize>,
}

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        let width = rustix::termios::tcgetwinsize(rustix::stdio::stdout()).ok().map(|size| usize::from(size.ws_col));
        Self { format: global.output, style: Style::new(global.color), width: width.filter(|width| *width >= 40) }
    }

    /// Writes a document: as it is for programs, by `for_people` for people.
    pub(crate) fn write<T: Document>(
        &self,
        document: T,
        for_people: impl FnOnce(&Self, &mut dyn Write, &T) -> io::Result<()>,
    ) -> Result<(), CliError> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        match self.format {
            Format::Table => for_people(self, &mut out, &document)?,
            Format::Json => {
                let text = serde_json::to_string_pretty(&Envelope::of(document)).map_err(as_json)?;
                writeln!(out, "{text}")?;
            }
            Format::Yaml => out.write_all(yaml(&Envelope::of(document))?.as_bytes())?,
        }
        Ok(out.flush()?)
    }

    /// Writes one document of a stream: one line of JSON, or one YAML document.
    pub(crate) fn write_next<T: Document>(
        &self,
        document: T,
        for_people: impl FnOnce(&Self, &mut dyn Write, &T) -> io::Result<()>,
    ) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        match self.format {
            Format::Table => for_people(self, &mut out, &document)?,
            Format::Json => {
                let text = serde_json::to_string(&Envelope::of(document)).map_err(as_json)?;
                writeln!(out, "{text}")?;
            }
            Format::Yaml => write!(out, "---\n{}", yaml(&Envelope::of(document))?)?,
        }
        Ok(out.flush()?)
    }
}

fn as_json(source: serde_json::Error) -> CliError {
    CliError::Format { format: "json", source: source.into() }
}

fn yaml<T: Document>(envelope: &Envelope<T>) -> Result<String, CliError> {
    serde_yaml_ng::to_string(envelope).map_err(|source| CliError::Format { format: "yaml", source: source.into() })
}

/// Whether somebody can be asked: both ends of the conversation are a terminal.
fn is_conversation() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// What changes things without `--yes` asks first. `remedy` says what to do where nobody can answer.
pub(crate) fn somebody_must_be_there(remedy: &str) -> Result<(), CliError> {
    if is_conversation() { Ok(()) } else { Err(CliError::Usage(format!("nobody can be asked here: {remedy}"))) }
}
