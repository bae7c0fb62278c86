//! Where things are in an entry and in a table's description.

use super::Malformed;
use crate::model::legacy::LegacyFamily;

/// Offsets in an entry of one family: `struct ipt_entry`, `ip6t_entry`, `arpt_entry`, `ebt_entry`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// `flags` of the part that is matched.
    pub(super) flags: usize,
    /// Bit of `flags` that makes a jump a goto; 0 where there is none.
    pub(super) goto: u8,
    /// `target_offset`; `next_offset` follows it, `comefrom` that.
    pub(super) target_offset: usize,
    /// `counters`: packets and bytes.
    pub(super) counters: usize,
    /// Bytes of the fixed part.
    pub(super) length: usize,
    /// Bytes that are no content, besides `comefrom` and the counters: the kernel's notes and padding.
    pub(super) idle: &'static [(usize, usize)],
    /// Built-in chains by hook number.
    pub(super) hooks: &'static [&'static str],
    /// Whether entries are those of bridge tables, of which only `length` and `target_offset` are here.
    pub(super) is_bridge: bool,
}

const INET_HOOKS: &[&str] = &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];

impl Layout {
    /// The layout of a family.
    pub fn of(family: LegacyFamily) -> Self {
        match family {
            LegacyFamily::Ip => Self {
                flags: 82,
                goto: 2,
                target_offset: 88,
                counters: 96,
                length: 112,
                idle: &[(84, 88)],
                hooks: INET_HOOKS,
                is_bridge: false,
            },
            LegacyFamily::Ip6 => Self {
                flags: 131,
                goto: 4,
                target_offset: 140,
                counters: 152,
                length: 168,
                idle: &[(133, 140), (148, 152)],
                hooks: INET_HOOKS,
                is_bridge: false,
            },
            LegacyFamily::Arp => Self {
                flags: 158,
                goto: 0,
                target_offset: 164,
                counters: 176,
                length: 192,
                idle: &[(159, 160), (162, 164), (172, 176)],
                hooks: &["INPUT", "OUTPUT", "FORWARD"],
                is_bridge: false,
            },
            LegacyFamily::Bridge => Self {
                flags: 4,
                goto: 0,
                target_offset: 104,
                counters: 0,
                length: super::bridge::ENTRY,
                idle: &[],
                hooks: &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING", "BROUTING"],
                is_bridge: true,
            },
        }
    }

    /// Bytes of the fixed part of an entry.
    pub fn entry_bytes(self) -> usize {
        self.length
    }

    /// Where an entry's packet and byte counters are; 16 bytes.
    pub fn counters_at(self) -> usize {
        self.counters
    }

    /// Where an entry says at which byte its target starts; where the next entry starts follows, each in 2 bytes.
    pub fn target_offset_at(self) -> usize {
        self.target_offset
    }

    /// Bit of the flags that makes a jump a goto.
    pub fn goto_bit(self) -> u8 {
        self.goto
    }

    /// Number of hooks of the family.
    pub fn hook_count(self) -> usize {
        self.hooks.len()
    }

    /// Bytes of the kernel's description of a table (`struct ipt_getinfo` and its likes).
    pub fn info_bytes(self) -> usize {
        32 + 4 + 8 * self.hooks.len() + 8
    }

    /// Where the entries start in what replaces a table (`struct ipt_replace` and its likes).
    pub fn replacement_bytes(self) -> usize {
        self.replacement_counters() + 8
    }

    /// Where in what replaces a table the number of counters stands; the address they go to follows, aligned to 8.
    pub fn replacement_counters(self) -> usize {
        (32 + 12 + 8 * self.hooks.len() + 4).next_multiple_of(8)
    }
}

/// The kernel's description of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableInfo {
    /// Bit n: the table has a built-in chain for hook n.
    pub valid_hooks: u32,
    /// Where each built-in chain starts, by hook number.
    pub hook_entry: Vec<u32>,
    /// Where each built-in chain's policy stands, by hook number.
    pub underflow: Vec<u32>,
    /// Number of entries.
    pub num_entries: u32,
    /// Bytes of all entries.
    pub size: u32,
}

impl TableInfo {
    /// Reads `struct ipt_getinfo` and its likes.
    ///
    /// # Errors
    /// [`Malformed`] when it is too short.
    pub fn read(layout: Layout, bytes: &[u8]) -> Result<Self, Malformed> {
        let hooks = layout.hooks.len();
        let number = |at: usize| number(bytes, at).ok_or(Malformed::at(at, "description ends"));
        let all = |from: usize| (0..hooks).map(|hook| number(from + hook * 4)).collect::<Result<Vec<_>, _>>();
        Ok(Self {
            valid_hooks: number(32)?,
            hook_entry: all(36)?,
            underflow: all(36 + hooks * 4)?,
            num_entries: number(36 + hooks * 8)?,
            size: number(40 + hooks * 8)?,
        })
    }

    /// Reads the head of `struct ipt_replace` and its likes, where the numbers stand in another order.
    ///
    /// # Errors
    /// [`Malformed`] when it is too short.
    pub(super) fn read_replacement(layout: Layout, bytes: &[u8]) -> Result<Self, Malformed> {
        let hooks = layout.hooks.len();
        let number = |at: usize| number(bytes, at).ok_or(Malformed::at(at, "description ends"));
        let all = |from: usize| (0..hooks).map(|hook| number(from + hook * 4)).collect::<Result<Vec<_>, _>>();
        Ok(Self {
            valid_hooks: number(32)?,
            num_entries: number(36)?,
            size: number(40)?,
            hook_entry: all(44)?,
            underflow: all(44 + hooks * 4)?,
        })
    }

    /// The hook whose chain starts at a byte.
    pub(super) fn hook_at(&self, at: usize) -> Option<usize> {
        (0..self.hook_entry.len()).find(|hook| {
            self.valid_hooks & (1 << hook) != 0 && self.hook_entry.get(*hook).is_some_and(|entry| *entry as usize == at)
        })
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}
