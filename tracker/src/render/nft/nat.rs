//! Address translation and transparent proxies.

use super::Rule;
use super::datatype::Datatype;
use super::registers::{Held, Source};
use super::set::{INTERVAL, Shape};
use super::value::{self, number};
use crate::decode::nft::expr::{Masquerade, Nat, Redirect, Tproxy};
use crate::model::nft::Family;

/// `NF_NAT_RANGE_NETMAP`.
const NETMAP: u32 = 64;

/// How a map gives addresses.
struct Gives {
    /// Address and port.
    has_ports: bool,
    /// Ranges of addresses.
    has_ranges: bool,
}

impl<'a> Rule<'a> {
    pub(super) fn nat(&mut self, nat: &Nat<'_>) -> Option<()> {
        let flags = nat.flags.unwrap_or_default();
        let (kind, bits, family) = match nat.family {
            2 => (Datatype::Ipv4, 32, " ip"),
            10 => (Datatype::Ipv6, 128, " ip6"),
            _ => return None,
        };
        let gives = nat.address_min.and_then(|register| self.gives(register));
        let is_mapped = gives.as_ref().is_some_and(|gives| gives.has_ports || gives.has_ranges);
        let has_port = nat.port_min.is_some() && !gives.as_ref().is_some_and(|gives| gives.has_ports);
        let mut text = ["snat", "dnat"].get(usize::try_from(nat.kind).ok()?)?.to_string();
        if self.context.family == Family::Inet && nat.address_min.is_some() || is_mapped {
            text.push_str(family);
        }
        if flags & NETMAP != 0 {
            text.push_str(" prefix");
        }
        if nat.address_min.is_some() || nat.port_min.is_some() {
            text.push_str(" to");
        }
        if let Some(first) = nat.address_min {
            let mut address = String::new();
            match (nat.address_max.filter(|last| *last != first), is_mapped) {
                (Some(last), false) => {
                    let (from, to) = (self.constant(first)?, self.constant(last)?);
                    self.push_numbers(&mut address, kind, number(from, false)?, number(to, false)?, bits)?;
                }
                _ => address = self.register_text(first, kind)?,
            }
            let needs_brackets = has_port && kind == Datatype::Ipv6 && self.constant(first).is_some();
            text.push_str(&if needs_brackets { format!(" [{address}]") } else { format!(" {address}") });
        }
        if has_port {
            text.push_str(if nat.address_min.is_some() { ":" } else { " :" });
            let ports = self.ports(nat.port_min?, nat.port_max)?;
            text.push_str(&ports);
        }
        push_flags(&mut text, flags & !NETMAP)?;
        self.push(text)
    }

    pub(super) fn masquerade(&mut self, masquerade: &Masquerade<'_>) -> Option<()> {
        self.change_ports("masquerade", masquerade.port_min, masquerade.port_max, masquerade.flags)
    }

    pub(super) fn redirect(&mut self, redirect: &Redirect<'_>) -> Option<()> {
        self.change_ports("redirect", redirect.port_min, redirect.port_max, redirect.flags)
    }

    fn change_ports(&mut self, word: &str, min: Option<u32>, max: Option<u32>, flags: Option<u32>) -> Option<()> {
        let mut text = word.to_owned();
        if let Some(min) = min {
            text.push_str(&format!(" to :{}", self.ports(min, max)?));
        }
        push_flags(&mut text, flags.unwrap_or_default())?;
        self.push(text)
    }

    pub(super) fn tproxy(&mut self, tproxy: &Tproxy<'_>) -> Option<()> {
        let (kind, family) = match tproxy.family {
            // NFPROTO_UNSPEC
            0 => (Datatype::Integer, ""),
            2 => (Datatype::Ipv4, " ip"),
            10 => (Datatype::Ipv6, " ip6"),
            _ => return None,
        };
        let mut text = "tproxy".to_owned();
        if self.context.family == Family::Inet {
            text.push_str(family);
        }
        text.push_str(" to");
        if let Some(address) = tproxy.address {
            let address = self.register_text(address, kind)?;
            text.push_str(&if kind == Datatype::Ipv6 { format!(" [{address}]") } else { format!(" {address}") });
        }
        if let Some(port) = tproxy.port {
            text.push_str(if tproxy.address.is_some() { ":" } else { " :" });
            self.context.settle();
            text.push_str(&self.register_text(port, Datatype::Service)?);
        }
        self.push(text)
    }

    /// `5` or `5-9`, or what a map gives.
    fn ports(&mut self, min: u32, max: Option<u32>) -> Option<String> {
        // from here on nft leaves nothing out any more
        self.context.settle();
        match max.filter(|max| *max != min) {
            None => self.register_text(min, Datatype::Service),
            Some(max) => {
                let mut text = String::new();
                let (from, to) = (self.constant(min)?, self.constant(max)?);
                value::write(&mut text, Datatype::Service, number(from, false)?, self.style())?;
                text.push('-');
                value::write(&mut text, Datatype::Service, number(to, false)?, self.style())?;
                Some(text)
            }
        }
    }

    fn constant(&self, register: u32) -> Option<&'a [u8]> {
        match self.registers.get(register)? {
            Held::Constant(bytes) => Some(bytes),
            Held::Load(_) => None,
        }
    }

    fn gives(&self, register: u32) -> Option<Gives> {
        let Source::Map { set, .. } = &self.registers.load(register)?.source else { return None };
        let content = self.content(set)?;
        let shape = Shape::of(content)?;
        let parts = shape.data_parts()?;
        let has_ports = parts.len() > 1;
        let has_ranges = content.flags & INTERVAL != 0 && !has_ports && shape.data_length == parts[0].1 * 2;
        Some(Gives { has_ports, has_ranges })
    }
}

/// `NF_NAT_RANGE_*` but those that only say which registers are used.
fn push_flags(text: &mut String, flags: u32) -> Option<()> {
    (flags & !(1 | 2 | 4 | 8 | 16) == 0).then_some(())?;
    let mut separator = " ";
    for (bit, word) in [(4, "random"), (16, "fully-random"), (8, "persistent")] {
        if flags & bit != 0 {
            text.push_str(separator);
            text.push_str(word);
            separator = ",";
        }
    }
    Some(())
}
