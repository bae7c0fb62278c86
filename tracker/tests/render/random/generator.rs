//! Random numbers and values from a seed, the same everywhere.

use std::net::{Ipv4Addr, Ipv6Addr};

/// splitmix64.
#[derive(Debug, Clone)]
pub(crate) struct Generator(u64);

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `end` - 1.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// `first` to `last`, both included; the ends more often than their share.
    pub(crate) fn within(&mut self, first: u64, last: u64) -> u64 {
        match self.below(8) {
            0 => first,
            1 => last,
            _ => first + self.below(last - first + 1),
        }
    }

    /// Two numbers in order.
    pub(crate) fn pair(&mut self, first: u64, last: u64) -> (u64, u64) {
        let (a, b) = (self.within(first, last), self.within(first, last));
        (a.min(b), a.max(b))
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[usize::try_from(self.below(from.len() as u64)).expect("an index")]
    }

    /// Some of them in their order, one at least.
    pub(crate) fn some<'a>(&mut self, from: &[&'a str]) -> Vec<&'a str> {
        let mut mask = self.next();
        let mut chosen = from.to_vec();
        chosen.retain(|_| {
            mask >>= 1;
            mask & 1 != 0
        });
        if chosen.is_empty() { vec![self.pick(from)] } else { chosen }
    }

    /// `text` or nothing.
    pub(crate) fn maybe(&mut self, percent: u64, text: &str) -> String {
        if self.chance(percent) { text.to_owned() } else { String::new() }
    }

    pub(crate) fn ipv4(&mut self) -> String {
        let bits = u32::try_from(self.next() >> 32).expect("32 bits");
        match self.below(6) {
            0 => "127.0.0.1".to_owned(),
            1 => Ipv4Addr::from(bits & 0x00ff_ffff | 0x0a00_0000).to_string(),
            _ => Ipv4Addr::from(bits | 1 << 24).to_string(),
        }
    }

    pub(crate) fn ipv4_network(&mut self) -> String {
        let length = u32::try_from(self.within(1, 32)).expect("small");
        let bits = u32::try_from(self.next() >> 32).expect("32 bits") & u32::MAX << (32 - length);
        format!("{}/{length}", Ipv4Addr::from(bits))
    }

    pub(crate) fn ipv4_range(&mut self, separator: &str) -> String {
        let (from, to) = self.pair(0x0100_0000, 0xfeff_ffff);
        let address = |number: u64| Ipv4Addr::from(u32::try_from(number).expect("32 bits"));
        format!("{}{separator}{}", address(from), address(to))
    }

    fn bits128(&mut self) -> u128 {
        let bits = u128::from(self.next()) << 64 | u128::from(self.next());
        // runs of zeros at all places, which are written `::`
        let mask = (0..8).fold(0_u128, |mask, _| mask << 16 | if self.chance(50) { 0xffff } else { 0 });
        bits & mask
    }

    pub(crate) fn ipv6(&mut self) -> String {
        let bits = self.bits128();
        match self.below(6) {
            0 => "::1".to_owned(),
            1 => format!("fd00::{:x}", bits & 0xffff),
            _ => Ipv6Addr::from(bits | 1 << 125).to_string(),
        }
    }

    pub(crate) fn ipv6_network(&mut self) -> String {
        let length = u32::try_from(self.within(1, 128)).expect("small");
        format!("{}/{length}", Ipv6Addr::from(self.bits128() & u128::MAX << (128 - length)))
    }

    pub(crate) fn ipv6_range(&mut self, separator: &str) -> String {
        let (a, b) = (self.bits128(), self.bits128());
        format!("{}{separator}{}", Ipv6Addr::from(a.min(b)), Ipv6Addr::from(a.max(b)))
    }

    pub(crate) fn mac(&mut self) -> String {
        let bytes = self.next().to_be_bytes();
        let [_, _, a, b, c, d, e, f] = bytes;
        format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }

    /// Letters, digits and what names may have.
    pub(crate) fn word(&mut self, longest: u64) -> String {
        self.characters("abcxyzKUBE0189-_", longest)
    }

    /// Text with what has to be quoted.
    pub(crate) fn text(&mut self, longest: u64) -> String {
        let text = self.characters("abcXYZ019 -_.,:;/()'[]{}<>=+*!?#%&|~^@", longest);
        // blanks at the ends are lost by some parsers
        let text = text.trim();
        if text.is_empty() || text.starts_with('-') { format!("x{text}") } else { text.to_owned() }
    }

    fn characters(&mut self, from: &str, longest: u64) -> String {
        let from: Vec<char> = from.chars().collect();
        let length = self.within(1, longest);
        (0..length).map(|_| from[usize::try_from(self.below(from.len() as u64)).expect("an index")]).collect()
    }

    /// Values 32-bit marks and masks have.
    pub(crate) fn mark(&mut self) -> u32 {
        match self.below(4) {
            0 => 1 << self.below(32),
            1 => u32::try_from(self.below(256)).expect("small"),
            2 => u32::MAX << self.below(32),
            _ => u32::try_from(self.next() >> 32).expect("32 bits"),
        }
    }
}
