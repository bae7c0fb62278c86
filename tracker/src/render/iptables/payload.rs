//! Contents of the packet.

use super::super::line::Line;
use super::extension::Extensions;
use super::words::not;
use crate::decode::xt::payload::{Bpf, Text, U32, U32Test};

pub(super) fn string(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Text { from, to, algorithm, pattern, length, flags } = Text::read(info)?;
    let pattern = pattern.all().get(..usize::from(length))?;
    not(line, flags & 1 != 0);
    let is_text = pattern.iter().all(|byte| matches!(byte, b' '..=b'~')) && !pattern.ends_with(b"\\");
    if is_text {
        line.push(" --string \"");
        for byte in pattern {
            if matches!(byte, b'"' | b'\\') {
                line.push("\\");
            }
            write!(line, "{}", char::from(*byte));
        }
        line.push("\"");
    } else {
        line.push(" --hex-string \"|");
        for byte in pattern {
            write!(line, "{byte:02x}");
        }
        line.push("|\"");
    }
    line.push(" --algo");
    super::words::plain(line, algorithm.bytes());
    if from != 0 {
        write!(line, " --from {from}");
    }
    if to != u16::MAX {
        write!(line, " --to {to}");
    }
    if flags & 2 != 0 {
        line.push(" --icase");
    }
    Some(())
}

pub(super) fn bpf(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Bpf { mode, count, program } = Bpf::read(info)?;
    match mode {
        0 => {
            write!(line, " --bytecode \"{count}");
            // `struct sock_filter`
            let instructions = program.all().get(..usize::from(count).checked_mul(8)?)?.chunks_exact(8);
            for instruction in instructions {
                let &[a, b, jt, jf, c, d, e, f] = instruction else { return None };
                let (code, k) = (u16::from_ne_bytes([a, b]), u32::from_ne_bytes([c, d, e, f]));
                write!(line, ",{code} {jt} {jf} {k}");
            }
            line.push("\"");
        }
        1 => {
            line.push(" --object-pinned");
            super::words::plain(line, program.bytes());
        }
        _ => return None,
    }
    Some(())
}

pub(super) fn u32(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let info = U32::read(info)?;
    not(line, info.invert);
    line.push(" --u32 \"");
    for (index, test) in info.each().enumerate() {
        if index > 0 {
            line.push("&&");
        }
        u32_test(line, test)?;
    }
    line.push("\"");
    Some(())
}

fn u32_test(line: &mut Line, bytes: &[u8]) -> Option<()> {
    let mut padded = [0; U32Test::LENGTH];
    padded.get_mut(..bytes.len())?.copy_from_slice(bytes);
    let U32Test { location, values, location_count, value_count } = U32Test::read(&padded)?;
    let locations = location.all().get(..usize::from(location_count).checked_mul(8)?)?.chunks_exact(8);
    for (index, element) in locations.enumerate() {
        let number = u32::from_ne_bytes(element.get(..4)?.try_into().ok()?);
        if index > 0 {
            line.push(["&", "<<", ">>", "@"].get(usize::from(*element.get(4)?))?);
        }
        write!(line, "{number:#x}");
    }
    line.push("=");
    for (index, [from, to]) in values.get(..usize::from(value_count))?.iter().enumerate() {
        line.push(if index > 0 { "," } else { "" });
        if from == to { write!(line, "{from:#x}") } else { write!(line, "{from:#x}:{to:#x}") }
    }
    Some(())
}
