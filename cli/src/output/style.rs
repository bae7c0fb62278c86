//! Colours.

use std::io::IsTerminal;

use netdeed_tracker::model::owner::Certainty;

use crate::args::Color;

/// What a piece of text is, not which colour it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    Title,
    Label,
    Good,
    Doubt,
    Bad,
}

/// Whether to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    pub(crate) is_colored: bool,
}

impl Style {
    pub(crate) fn new(color: Color) -> Self {
        let is_set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let is_colored = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                std::io::stdout().is_terminal()
                    && is_set("NO_COLOR").is_none()
                    && is_set("TERM").is_none_or(|term| term != "dumb")
            }
        };
        Self { is_colored }
    }

    /// The text, coloured if colours are wanted.
    pub(crate) fn paint(self, paint: Paint, text: &str) -> String {
        if !self.is_colored || text.is_empty() {
            return text.to_owned();
        }
        let code = match paint {
            Paint::Title => "1",
            Paint::Label => "2",
            Paint::Good => "32",
            Paint::Doubt => "33",
            Paint::Bad => "31",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// The text in a colour of the terminal's own, if colours are wanted.
    pub(crate) fn code(self, code: Option<u8>, text: &str) -> String {
        match code.filter(|_| self.is_colored) {
            Some(code) => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            None => text.to_owned(),
        }
    }

    /// A certainty's word.
    pub(crate) fn certainty(self, certainty: Certainty) -> String {
        self.paint(certainty_paint(certainty), certainty.as_str())
    }
}

/// How much to trust a verdict, as a colour.
pub(crate) fn certainty_paint(certainty: Certainty) -> Paint {
    match certainty {
        Certainty::Exact | Certainty::Correlated => Paint::Good,
        Certainty::Disputed | Certainty::Inferred => Paint::Doubt,
        Certainty::Unknown => Paint::Bad,
    }
}
