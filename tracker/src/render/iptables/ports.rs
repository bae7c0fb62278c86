//! The `tcp` and `udp` matches, native or not.

use super::super::line::Line;
use super::words::{not, range};

/// TCP flags in the order iptables writes them.
const FLAGS: [(u8, &str); 6] = [(1, "FIN"), (2, "SYN"), (4, "RST"), (8, "PSH"), (16, "ACK"), (32, "URG")];

/// What such a match asks for.
#[derive(Debug, Clone)]
pub(super) struct Ports {
    pub(super) name: &'static str,
    /// Source and destination: whether inverted, first and last.
    pub(super) ports: [Option<(bool, [u16; 2])>; 2],
    pub(super) option: Option<(bool, u8)>,
    /// Whether inverted, mask, flags that are set.
    pub(super) flags: Option<(bool, u8, u8)>,
}

impl Ports {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, ports: [None; 2], option: None, flags: None }
    }

    /// Sets the ports at this offset of the header, once.
    pub(super) fn set(&mut self, offset: u32, is_inverted: bool, range: [u16; 2]) -> Option<()> {
        let held = match offset {
            0 => &mut self.ports[0],
            2 => &mut self.ports[1],
            _ => return None,
        };
        held.is_none().then(|| *held = Some((is_inverted, range)))
    }

    /// Sets the flags, once.
    pub(super) fn set_flags(&mut self, is_inverted: bool, mask: u8, flags: u8) -> Option<()> {
        self.flags.is_none().then(|| self.flags = Some((is_inverted, mask, flags)))
    }

    pub(super) fn write(&self, line: &mut Line) {
        write!(line, " -m {}", self.name);
        self.write_options(line);
    }

    pub(super) fn write_options(&self, line: &mut Line) {
        for (ports, option) in self.ports.iter().zip(["--sport", "--dport"]) {
            let Some((is_inverted, ports)) = *ports else { continue };
            if ports == [0, u16::MAX] && !is_inverted {
                continue;
            }
            not(line, is_inverted);
            write!(line, " {option} ");
            range(line, ports);
        }
        if let Some((is_inverted, option)) = self.option {
            not(line, is_inverted);
            write!(line, " --tcp-option {option}");
        }
        if let Some((is_inverted, mask, flags)) = self.flags {
            not(line, is_inverted);
            line.push(" --tcp-flags ");
            write_flags(line, mask);
            line.push(" ");
            write_flags(line, flags);
        }
    }
}

fn write_flags(line: &mut Line, flags: u8) {
    if flags == 0 {
        line.push("NONE");
        return;
    }
    let mut is_first = true;
    for (bit, name) in FLAGS {
        if flags & bit != 0 {
            if !std::mem::take(&mut is_first) {
                line.push(",");
            }
            line.push(name);
        }
    }
    if flags & 0xc0 != 0 {
        line.mark(format_args!("TCP flags {flags:#x}"));
    }
}
