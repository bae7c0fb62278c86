//! The part of a rule that iptables-nft writes as native expressions.

use super::super::line::Line;
use super::super::names;
use super::ports::Ports;
use super::words::{address, not, prefix_length};
use crate::decode::nft::expr::{Compare, Data, Expression, Kind, Range};

/// What a register holds.
#[derive(Debug, Clone, Copy)]
enum Held<'a> {
    Nothing,
    Constant(&'a [u8]),
    Payload { base: u32, offset: u32, length: u32, mask: Option<&'a [u8]> },
    Meta { key: u32, mask: Option<&'a [u8]> },
}

/// One piece behind `-s`, `-d`, `-i`, `-o`, `-p` and `-f`.
#[derive(Debug)]
enum Piece {
    Text(Line),
    Ports(Ports),
}

/// An address with its mask, and whether it is inverted.
type Address = (bool, [u8; 16], [u8; 16]);

/// What is known of the rule.
#[derive(Debug)]
pub(super) struct Native<'a> {
    is_ipv6: bool,
    registers: [Held<'a>; 20],
    addresses: [Option<Address>; 2],
    links: [Option<(bool, String)>; 2],
    protocol: Option<(bool, u8)>,
    fragment: Option<bool>,
    pieces: Vec<Piece>,
    odd: Line,
}

impl<'a> Native<'a> {
    pub(super) fn new(is_ipv6: bool) -> Self {
        Self {
            is_ipv6,
            registers: [Held::Nothing; 20],
            addresses: [None; 2],
            links: [None, None],
            protocol: None,
            fragment: None,
            pieces: Vec::new(),
            odd: Line::new(),
        }
    }

    /// Takes what legacy iptables writes beside matches and target.
    pub(super) fn fixed(
        &mut self,
        addresses: [(bool, [u8; 16], [u8; 16]); 2],
        links: [Option<(bool, String)>; 2],
        protocol: Option<(bool, u8)>,
        fragment: Option<bool>,
    ) {
        self.addresses = addresses.map(Some);
        self.links = links;
        self.protocol = protocol;
        self.fragment = fragment;
    }

    /// Shows an expression that is not iptables'.
    pub(super) fn give_up(&mut self, expression: &Expression<'_>) {
        self.registers = [Held::Nothing; 20];
        self.odd.mark(format_args!("{}", expression.name.escape_ascii()));
    }

    /// Adds a match.
    pub(super) fn extension(&mut self, write: impl FnOnce(&mut Line) -> Option<()>) -> Option<()> {
        let mut line = Line::new();
        write(&mut line)?;
        self.pieces.push(Piece::Text(line));
        Some(())
    }

    pub(super) fn constant(&mut self, register: u32, value: &'a [u8]) {
        self.set(register, Held::Constant(value));
    }

    pub(super) fn is_constant(&self, register: u32, number: u32) -> bool {
        matches!(self.get(register), Held::Constant(value)
            if value == number.to_ne_bytes() || value == [number.to_ne_bytes()[0]])
    }

    /// Takes an expression; `None` where iptables writes no such thing.
    pub(super) fn take(&mut self, expression: &Expression<'a>) -> Option<()> {
        match &expression.kind {
            Kind::Payload(load) if load.source.is_none() => {
                let held = Held::Payload { base: load.base, offset: load.offset, length: load.length, mask: None };
                self.set(load.register?, held);
            }
            Kind::Meta(meta) if meta.source.is_none() => {
                self.set(meta.register?, Held::Meta { key: meta.key, mask: None });
            }
            Kind::Bitwise(bitwise) => {
                let xor = bitwise.xor?.value()?;
                (bitwise.operation.unwrap_or_default() == 0 && xor.iter().all(|byte| *byte == 0)).then_some(())?;
                let new = Some(bitwise.mask?.value()?);
                let held = match self.get(bitwise.source) {
                    Held::Payload { base, offset, length, mask: None } => {
                        Held::Payload { base, offset, length, mask: new }
                    }
                    Held::Meta { key, mask: None } => Held::Meta { key, mask: new },
                    _ => return None,
                };
                self.set(bitwise.register, held);
            }
            Kind::Compare(compare) => self.compare(compare)?,
            Kind::Range(range) => self.range(range)?,
            Kind::Limit(limit) => self.extension(|line| super::rate::native_limit(line, limit))?,
            _ => return None,
        }
        Some(())
    }

    /// Writes everything but the target.
    pub(super) fn write(self, line: &mut Line) {
        for ((is_inverted, bytes, mask), option) in
            self.addresses.into_iter().zip(["-s", "-d"]).filter_map(|(held, option)| Some((held?, option)))
        {
            write_address(line, self.is_ipv6, is_inverted, option, &bytes, &mask);
        }
        for ((is_inverted, name), option) in
            self.links.into_iter().zip(["-i", "-o"]).filter_map(|(held, option)| Some((held?, option)))
        {
            not(line, is_inverted);
            write!(line, " {option}");
            super::words::plain(line, name.as_bytes());
        }
        if let Some((is_inverted, number)) = self.protocol {
            not(line, is_inverted);
            match names::protocol(number) {
                Some(name) => write!(line, " -p {name}"),
                None => write!(line, " -p {number}"),
            }
        }
        if let Some(is_inverted) = self.fragment {
            not(line, is_inverted);
            line.push(" -f");
        }
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => line.append(text),
                Piece::Ports(ports) => ports.write(line),
            }
        }
        line.append(&self.odd);
    }

    fn compare(&mut self, compare: &Compare<'a>) -> Option<()> {
        let Data::Value(value) = compare.data else { return None };
        let is_inverted = compare.operation == 1;
        let is_equality = compare.operation <= 1;
        match self.get(compare.source) {
            Held::Payload { base: 1, offset, length, mask } if is_equality => {
                self.network(is_inverted, offset, length, mask, value)
            }
            Held::Payload { base: 2, offset, length: 2, mask: None } => {
                let number = u16::from_be_bytes(value.try_into().ok()?);
                let (is_inverted, range) = match compare.operation {
                    0 | 1 => (is_inverted, [number, number]),
                    2 => (false, [0, number.checked_sub(1)?]),
                    3 => (false, [0, number]),
                    4 => (false, [number.checked_add(1)?, u16::MAX]),
                    5 => (false, [number, u16::MAX]),
                    _ => return None,
                };
                self.ports()?.set(offset, is_inverted, range)
            }
            // both ports at once; inverted they are "not both", and iptables-save says "neither" all the same
            Held::Payload { base: 2, offset: 0, length: 4, mask: None } if is_equality => {
                let ([source, destination], []) = value.as_chunks::<2>() else { return None };
                let [source, destination] = [source, destination].map(|port| u16::from_be_bytes(*port));
                let ports = self.ports()?;
                ports.set(0, is_inverted, [source; 2])?;
                ports.set(2, is_inverted, [destination; 2])
            }
            Held::Payload { base: 2, offset: 13, length: 1, mask } if is_equality && self.protocol? == (false, 6) => {
                let mask = mask.map_or(Some(0xff), |mask| mask.first().copied())?;
                self.ports()?.set_flags(is_inverted, mask, *value.first()?)
            }
            Held::Meta { key, mask } if is_equality => self.meta(is_inverted, key, mask, value),
            _ => None,
        }
    }

    fn range(&mut self, range: &Range<'a>) -> Option<()> {
        let (from, to) = (range.from.value()?.try_into().ok()?, range.to.value()?.try_into().ok()?);
        match self.get(range.source) {
            Held::Payload { base: 2, offset, length: 2, mask: None } => {
                let range_of = [u16::from_be_bytes(from), u16::from_be_bytes(to)];
                self.ports()?.set(offset, range.operation == 1, range_of)
            }
            _ => None,
        }
    }

    /// Something of the IP header.
    fn network(
        &mut self,
        is_inverted: bool,
        offset: u32,
        length: u32,
        mask: Option<&[u8]>,
        value: &[u8],
    ) -> Option<()> {
        let (source, destination, size) = if self.is_ipv6 { (8, 24, 16) } else { (12, 16, 4) };
        let index = usize::from(offset == destination);
        let length = usize::try_from(length).ok()?;
        (value.len() == length).then_some(())?;
        if (offset == source || offset == destination) && length <= size && self.addresses[index].is_none() {
            let mut held = (is_inverted, [0; 16], [0; 16]);
            held.1[..length].copy_from_slice(value);
            held.2[..length].fill(0xff);
            if let Some(mask) = mask {
                held.2.get_mut(..mask.len())?.copy_from_slice(mask);
            }
            self.addresses[index] = Some(held);
            return Some(());
        }
        let protocol_at = if self.is_ipv6 { 6 } else { 9 };
        if (offset, length, mask) == (protocol_at, 1, None) && self.protocol.is_none() {
            self.protocol = Some((is_inverted, *value.first()?));
            return Some(());
        }
        // a fragment but the first has an offset
        let is_fragment = !self.is_ipv6 && (offset, length, mask) == (6, 2, Some(&[0x1f, 0xff][..])) && value == [0, 0];
        (is_fragment && self.fragment.is_none()).then(|| self.fragment = Some(!is_inverted))
    }

    fn meta(&mut self, is_inverted: bool, key: u32, mask: Option<&[u8]>, value: &[u8]) -> Option<()> {
        match (key, mask) {
            // NFT_META_MARK
            (3, mask) => {
                let number = u32::from_ne_bytes(value.try_into().ok()?);
                let mask = mask.map_or(Some(u32::MAX), |mask| mask.try_into().ok().map(u32::from_ne_bytes))?;
                self.extension(|line| {
                    line.push(" -m mark");
                    not(line, is_inverted);
                    line.push(" --mark");
                    super::words::masked(line, number, mask);
                    Some(())
                })
            }
            // NFT_META_IIFNAME, NFT_META_OIFNAME
            (6 | 7, None) => {
                let held = self.links.get_mut(usize::from(key == 7))?;
                held.is_none().then_some(())?;
                let end = value.iter().position(|byte| *byte == 0);
                let name = String::from_utf8(value[..end.unwrap_or(value.len())].to_vec()).ok()?;
                let name = if end.is_none() && value.len() < 16 { name + "+" } else { name };
                // how a rule that matches no link is written
                *held = Some(if name == "INVAL/D" { (!is_inverted, "+".to_owned()) } else { (is_inverted, name) });
                Some(())
            }
            // NFT_META_L4PROTO
            (16, None) if self.protocol.is_none() => {
                self.protocol = Some((is_inverted, *value.first()?));
                Some(())
            }
            _ => None,
        }
    }

    /// The `tcp` or `udp` match of the rule, which stands where its first expression stands.
    fn ports(&mut self) -> Option<&mut Ports> {
        let name = match self.protocol? {
            (false, 6) => "tcp",
            (false, 17) => "udp",
            _ => return None,
        };
        if !self.pieces.iter().any(|piece| matches!(piece, Piece::Ports(_))) {
            self.pieces.push(Piece::Ports(Ports::new(name)));
        }
        self.pieces.iter_mut().find_map(|piece| match piece {
            Piece::Ports(ports) => Some(ports),
            Piece::Text(_) => None,
        })
    }

    fn set(&mut self, register: u32, held: Held<'a>) {
        if let Some(slot) = slot(register).and_then(|slot| self.registers.get_mut(slot)) {
            *slot = held;
        }
    }

    fn get(&self, register: u32) -> Held<'a> {
        slot(register).and_then(|slot| self.registers.get(slot)).copied().unwrap_or(Held::Nothing)
    }
}

/// Registers 1 to 4 of 16 bytes begin where 8, 12, 16 and 20 of 4 bytes begin.
fn slot(register: u32) -> Option<usize> {
    match register {
        1..=4 => usize::try_from((register - 1) * 4).ok(),
        8..=23 => usize::try_from(register - 8).ok(),
        _ => None,
    }
}

fn write_address(line: &mut Line, is_ipv6: bool, is_inverted: bool, option: &str, bytes: &[u8; 16], mask: &[u8; 16]) {
    let used = if is_ipv6 { &mask[..] } else { &mask[..4] };
    if !is_inverted && mask.iter().all(|byte| *byte == 0) {
        return;
    }
    not(line, is_inverted);
    write!(line, " {option} {}/", address(is_ipv6, bytes));
    match prefix_length(used) {
        Some(length) => write!(line, "{length}"),
        None => line.push(&address(is_ipv6, mask)),
    }
}
