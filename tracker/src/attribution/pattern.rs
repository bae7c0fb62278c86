//! The small pattern language of rules and name tables.

/// Whether `pattern` fits all of `text`.
///
/// | in the pattern | stands for |
/// | --- | --- |
/// | `*` | anything, also nothing |
/// | `?` | one character |
/// | `<n>` | one or more decimal digits |
/// | `<hex:N>` | N hexadecimal digits, lower case |
/// | `<base32:N>` | N characters of `A`-`Z` and `2`-`7` |
///
/// Anything else stands for itself. Patterns are short and few, so the plain backtracking match is enough.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let Some(first) = pattern.chars().next() else { return text.is_empty() };
    match first {
        '*' => {
            let rest = &pattern[1..];
            rest.is_empty()
                || text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| fits(rest, &text[at..]))
        }
        '?' => text.chars().next().is_some_and(|c| fits(&pattern[1..], &text[c.len_utf8()..])),
        '<' => match class(pattern) {
            Some((Class { accepts, count }, rest)) => {
                let run = text.bytes().take_while(|byte| accepts(*byte)).count();
                match count {
                    Some(count) => run >= count && fits(rest, &text[count..]),
                    None => (1..=run).rev().any(|taken| fits(rest, &text[taken..])),
                }
            }
            None => text.strip_prefix('<').is_some_and(|text| fits(&pattern[1..], text)),
        },
        literal => text.strip_prefix(literal).is_some_and(|text| fits(&pattern[literal.len_utf8()..], text)),
    }
}

/// Whether any of the patterns fits.
pub(crate) fn fits_any<P: AsRef<str>>(patterns: &[P], text: &str) -> bool {
    patterns.iter().any(|pattern| fits(pattern.as_ref(), text))
}

/// A run of ASCII characters of one kind.
struct Class {
    accepts: fn(u8) -> bool,
    /// How many; `None` for one or more.
    count: Option<usize>,
}

/// The class a pattern begins with, and what follows it.
fn class(pattern: &str) -> Option<(Class, &str)> {
    let (name, rest) = pattern.strip_prefix('<')?.split_once('>')?;
    let class = match name.split_once(':') {
        None if name == "n" => Class { accepts: |byte| byte.is_ascii_digit(), count: None },
        Some(("hex", count)) => {
            Class { accepts: |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'), count: Some(count.parse().ok()?) }
        }
        Some(("base32", count)) => {
            Class { accepts: |byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'), count: Some(count.parse().ok()?) }
        }
        _ => return None,
    };
    Some((class, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_the_whole_text() {
        for (pattern, fitting, other) in [
            ("docker0", "docker0", "docker01"),
            ("ufw-*", "ufw-user-input", "ufx-user-input"),
            ("*/kube-proxy-*", "kube-system/kube-proxy-x7", "kube-proxy-x7"),
            ("a*b*c", "axxbyyc", "axxbyy"),
            ("*", "", "\u{0}x\u{0}"),
            ("flannel.<n>", "flannel.4096", "flannel.x"),
            ("flannel.<n>", "flannel.1", "flannel."),
            ("<n>1", "111", "1"),
            ("br-<hex:12>", "br-0123456789ab", "br-0123456789abc"),
            ("br-<hex:12>", "br-0123456789ab", "br-0123456789AB"),
            ("KUBE-SVC-<base32:16>", "KUBE-SVC-NPX46M4PTMTKRN6Y", "KUBE-SVC-NPX46M4PTMTKRN6"),
            ("v?th", "väth", "vth"),
            ("<unknown>", "<unknown>", "unknown"),
            ("", "", "x"),
        ] {
            assert!(fits(pattern, fitting), "{pattern} {fitting}");
            assert_eq!(fits(pattern, other), pattern == "*", "{pattern} {other}");
        }
    }
}
