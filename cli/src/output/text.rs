//! Text that is safe and pleasant to show.

use std::borrow::Cow;
use std::io::{self, Write};

/// The text with control characters, line ends and direction marks escaped: names, comments and arguments are chosen
/// by whoever made the thing, and must not be able to write over the screen.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let is_harmful = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().fold(String::new(), |mut safe, c| {
        if is_harmful(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
        safe
    }))
}

/// Lines of at most `width` characters, broken at spaces; a longer word gets a line of its own.
fn wrapped(text: &str, width: Option<usize>) -> Vec<String> {
    let Some(width) = width else { return vec![text.to_owned()] };
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else if let Some(last) = lines.last_mut() {
            if line > 0 {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}

/// Writes `prefix` and then text that may be long and hostile, its further lines indented by `indent`.
pub(crate) fn write_hanging(
    out: &mut dyn Write,
    prefix: &str,
    indent: usize,
    text: &str,
    width: Option<usize>,
) -> io::Result<()> {
    let room = width.map(|width| width.saturating_sub(indent + 1).max(20));
    for (index, line) in wrapped(&printable(text), room).iter().enumerate() {
        match index {
            0 => writeln!(out, "{prefix}{line}")?,
            _ => writeln!(out, "{:indent$}{line}", "")?,
        }
    }
    Ok(())
}

/// `1 rule`, `2 rules`.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_can_write_over_the_screen() {
        assert_eq!(printable("a \u{1b}[2Jb\n\u{202e}c"), "a \\u{1b}[2Jb\\n\\u{202e}c");
        assert_eq!(printable("iptables ← kube-proxy ü"), "iptables ← kube-proxy ü");
    }

    #[test]
    fn lines_break_at_spaces_and_lose_nothing() {
        let text = "ip saddr 192.0.2.0/24 averyveryverylongword drop";
        let lines = wrapped(text, Some(16));
        assert_eq!(lines, ["ip saddr", "192.0.2.0/24", "averyveryverylongword", "drop"]);
        assert_eq!(lines.join(" "), text);
        assert_eq!(wrapped(text, None), [text]);
        assert_eq!(wrapped("", Some(10)), [""]);
    }
}
