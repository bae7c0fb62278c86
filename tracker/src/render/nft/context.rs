//! Which headers a rule is known to look at, and the statements that are there only to say so.
//!
//! nft adds `meta l4proto tcp` before `tcp dport 22` by itself and leaves it out when it lists. Which statement it
//! leaves out, and when, is followed here: one is remembered per layer, is dropped when a field of that layer's header
//! is used, and stays for good once something else than a comparison came after it.

use super::protocol::Protocol;
use crate::model::nft::Family;

/// `NFT_PAYLOAD_*` base: link layer, network, transport.
pub(super) const LINK: u32 = 0;
pub(super) const NETWORK: u32 = 1;
pub(super) const TRANSPORT: u32 = 2;

/// The ether type of 802.1ad.
pub(super) const SERVICE_TAG: u128 = 0x88a8;

/// What a remembered statement compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tells {
    /// `meta nfproto`, the value.
    NfProto(u128),
    /// `meta protocol`, the value.
    EtherType(u128),
    /// `meta l4proto` and `ct protocol`.
    L4Proto,
    /// `meta iiftype`.
    LinkType,
    /// A field of a header: which, and the value.
    Field(Protocol, u128),
}

/// What is known before a statement.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub(super) family: Family,
    pub(super) link: Option<Protocol>,
    /// Whether an 802.1Q header was compared for.
    pub(super) has_vlan: bool,
    /// Whether an 802.1ad header was compared for.
    pub(super) has_service_tag: bool,
    pub(super) network: Option<Protocol>,
    pub(super) transport: Option<Protocol>,
    /// ICMP type compared for, a reply counted as its request.
    pub(super) icmp: Option<u8>,
    /// By the layer they say something of: link, network, transport, inside. The index of the statement and what it
    /// tells.
    remembered: [Option<(usize, Tells)>; 4],
    /// ICMP type of a remembered or forgotten `icmp type`.
    icmp_remembered: Option<u8>,
}

impl Context {
    pub(super) fn new(family: Family) -> Self {
        let link = (family == Family::Bridge).then_some(Protocol::Ether);
        let network = match family {
            Family::Ip => Some(Protocol::Ip),
            Family::Ip6 => Some(Protocol::Ip6),
            Family::Arp => Some(Protocol::Arp),
            Family::Inet | Family::Netdev | Family::Bridge => None,
        };
        Self {
            family,
            link,
            has_vlan: false,
            has_service_tag: false,
            network,
            transport: None,
            icmp: None,
            remembered: [None; 4],
            icmp_remembered: None,
        }
    }

    /// The header at this base, for an offset in bits.
    pub(super) fn protocol(&self, base: u32, offset: u32) -> Option<Protocol> {
        match base {
            LINK if offset >= 112 => self.link.filter(|_| self.has_vlan).map(|_| Protocol::Vlan),
            LINK => self.link,
            NETWORK => self.network,
            TRANSPORT => self.transport,
            _ => None,
        }
    }

    /// Whether what nft lists of a piece is followed here. Behind an 802.1Q header it takes addresses for tags, behind an
    /// 802.1ad header anything.
    pub(super) fn is_followed(&self, base: u32, offset: u32) -> bool {
        base != LINK || !self.has_service_tag && (!self.has_vlan || offset >= 112)
    }

    /// Forgets what may be left out: a statement with effects came.
    pub(super) fn settle(&mut self) {
        self.remembered = [None; 4];
        self.icmp_remembered = None;
    }

    /// A field of a known header is used; returns the index of the statement to leave out.
    pub(super) fn use_field(&mut self, base: u32, protocol: Protocol, is_key: bool, only: Option<u8>) -> Option<usize> {
        let layer = self.layer(base)?;
        let (index, tells) = self.remembered[layer]?;
        let is_mixed = matches!(self.family, Family::Bridge | Family::Netdev | Family::Inet);
        if let (true, Tells::Field(of, value)) = (is_mixed, tells) {
            // `ip protocol` also says that it is IPv4
            if matches!(of, Protocol::Ip | Protocol::Ip6) && base == TRANSPORT {
                return None;
            }
            if base_of(of) == base && (is_key || (base == LINK && (of == Protocol::Vlan || value != 0x8100))) {
                return None;
            }
        }
        if let Tells::Field(of @ (Protocol::Icmp | Protocol::Icmpv6), _) = tells
            && base == TRANSPORT
            && (only.is_none() || of != protocol || only != self.icmp_remembered)
        {
            return None;
        }
        self.remembered[layer] = None;
        Some(index)
    }

    /// A `meta` or `ct` key that tells a protocol is compared; returns the index of the statement to leave out.
    pub(super) fn use_key(&mut self, layer: usize, number: u128, is_l4proto: bool) -> Option<usize> {
        // what is told of the layer below
        let (index, tells) = self.remembered[layer.checked_sub(1)?]?;
        let is_mixed = matches!(self.family, Family::Bridge | Family::Netdev | Family::Inet);
        if layer == 2 && is_mixed && is_l4proto {
            let network = match tells {
                Tells::NfProto(family) => family,
                Tells::EtherType(0x0800) | Tells::Field(_, 0x0800) => 2,
                Tells::EtherType(0x86dd) | Tells::Field(_, 0x86dd) => 10,
                Tells::EtherType(other) | Tells::Field(_, other) => other,
                Tells::L4Proto | Tells::LinkType => return None,
            };
            // ICMP also says which network protocol it is in
            if !matches!(number, 1 | 58) || matches!((network, number), (2, 58) | (10, 1)) {
                return None;
            }
        }
        self.remembered[layer - 1] = None;
        Some(index)
    }

    /// Remembers the statement that tells what comes at a layer (1 link, 2 network, 3 transport header, 4 inside,
    /// counted from 1).
    pub(super) fn remember(&mut self, layer: usize, statement: usize, tells: Tells) {
        if let Tells::Field(of @ (Protocol::Icmp | Protocol::Icmpv6), value) = tells {
            let (kind, is_echo) = icmp(of, value);
            self.icmp_remembered = kind;
            if is_echo {
                return;
            }
        }
        if let Some(slot) = layer.checked_sub(1).and_then(|slot| self.remembered.get_mut(slot)) {
            *slot = Some((statement, tells));
        }
    }

    /// The statement remembered for a layer is left out; returns its index.
    pub(super) fn release(&mut self, base: u32) -> Option<usize> {
        let layer = self.layer(base)?;
        self.remembered[layer].take().map(|(index, _)| index)
    }

    /// What is told by a comparison of a field with a number.
    pub(super) fn learn(&mut self, protocol: Protocol, number: u128) {
        match protocol {
            Protocol::Ether | Protocol::Vlan => {
                self.has_service_tag |= number == SERVICE_TAG;
                let inside = Protocol::of_ether_type(number);
                if inside == Some(Protocol::Vlan) {
                    self.has_vlan = true;
                } else {
                    self.network = inside;
                }
            }
            Protocol::Ip | Protocol::Ip6 => self.transport = Protocol::of_ip(number),
            Protocol::Icmp | Protocol::Icmpv6 => self.icmp = icmp(protocol, number).0,
            _ => {}
        }
    }

    fn layer(&self, base: u32) -> Option<usize> {
        let layer = usize::try_from(base).ok().filter(|layer| *layer < 3)?;
        let is_inside = base == TRANSPORT && self.remembered[layer].is_none();
        Some(if is_inside { 3 } else { layer })
    }
}

/// The type of an ICMP message, a reply counted as its request, and whether it is either.
fn icmp(protocol: Protocol, number: u128) -> (Option<u8>, bool) {
    match (protocol, number) {
        (Protocol::Icmp, 0 | 8) => (Some(8), true),
        (Protocol::Icmpv6, 128 | 129) => (Some(128), true),
        (_, number) => (u8::try_from(number).ok(), false),
    }
}

fn base_of(protocol: Protocol) -> u32 {
    match protocol {
        Protocol::Ether | Protocol::Vlan => LINK,
        Protocol::Arp | Protocol::Ip | Protocol::Ip6 => NETWORK,
        _ => TRANSPORT,
    }
}
