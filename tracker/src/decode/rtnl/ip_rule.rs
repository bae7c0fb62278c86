//! ip rules: `RTM_NEWRULE`, `RTM_DELRULE`.

use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_route::rule::RuleHeader;

use super::Decoded;
use super::attributes::Attributes;
use super::ip_rule_text;
use crate::model::digest::{Digest, DigestBuilder};
use crate::model::route::{IpRuleSnapshot, IpRuleSubject};
use crate::model::subject::{Snapshot, Subject};

/// Length of `struct fib_rule_hdr`.
pub(super) const HEADER: usize = 12;

/// `FRA_*` attribute numbers (`linux/fib_rules.h`).
#[expect(missing_docs, reason = "the kernel's names")]
pub mod fra {
    pub const DST: u16 = 1;
    pub const SRC: u16 = 2;
    pub const IIFNAME: u16 = 3;
    pub const GOTO: u16 = 4;
    pub const PRIORITY: u16 = 6;
    pub const FWMARK: u16 = 10;
    pub const FLOW: u16 = 11;
    pub const TUN_ID: u16 = 12;
    pub const SUPPRESS_IFGROUP: u16 = 13;
    pub const SUPPRESS_PREFIXLEN: u16 = 14;
    pub const TABLE: u16 = 15;
    pub const FWMASK: u16 = 16;
    pub const OIFNAME: u16 = 17;
    pub const PAD: u16 = 18;
    pub const L3MDEV: u16 = 19;
    pub const UID_RANGE: u16 = 20;
    pub const PROTOCOL: u16 = 21;
    pub const IP_PROTO: u16 = 22;
    pub const SPORT_RANGE: u16 = 23;
    pub const DPORT_RANGE: u16 = 24;
    pub const DSCP: u16 = 25;
    pub const SPORT_MASK: u16 = 28;
    pub const DPORT_MASK: u16 = 29;
    pub const DSCP_MASK: u16 = 30;
}

/// The rule matches what its selectors do not.
pub const FIB_RULE_INVERT: u32 = 2;
/// `FIB_RULE_UNRESOLVED`, `FIB_RULE_IIF_DETACHED`, `FIB_RULE_OIF_DETACHED`: they follow other objects.
const STATE_FLAGS: u32 = 4 | 8 | 16;

/// An ip rule read from its `fib_rule_hdr`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpRuleView<'a> {
    /// The fixed header.
    pub header: RuleHeader,
    /// The attributes as sent.
    pub attributes: Attributes<'a>,
}

impl<'a> IpRuleView<'a> {
    /// Reads a `fib_rule_hdr` with its attributes; `None` when it is cut or malformed.
    pub fn parse(message: &'a [u8]) -> Option<Self> {
        let header = RuleHeader::parse(message).ok()?;
        Some(Self { header, attributes: Attributes::parse(message.get(HEADER..)?)? })
    }

    /// `AF_INET` (2), `AF_INET6` (10) or another.
    pub fn family(&self) -> u8 {
        self.header.family.into()
    }

    /// Table it looks up; 0 for other actions.
    pub fn table(&self) -> u32 {
        self.attributes.u32(fra::TABLE).unwrap_or(u32::from(self.header.table))
    }

    /// `FR_ACT_*`.
    pub fn action(&self) -> u8 {
        self.header.action.into()
    }

    /// Order; 0 when the message has none.
    pub fn priority(&self) -> u32 {
        self.attributes.u32(fra::PRIORITY).unwrap_or(0)
    }

    /// `FIB_RULE_*` without those that follow other objects.
    pub fn flags(&self) -> u32 {
        self.header.flags.bits() & !STATE_FLAGS
    }

    /// An address attribute with its prefix length; the attribute is missing when the address is all zeroes.
    pub fn prefix(&self, kind: u16) -> Option<(IpAddr, u8)> {
        let length = if kind == fra::SRC { self.header.src_len } else { self.header.dst_len };
        let address = self.attributes.address(kind);
        (length != 0 || address.is_some()).then(|| (address.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), length))
    }

    /// The attributes a rule is selected by, in order of their numbers: those that are set, less priority, protocol and
    /// table.
    pub fn selectors(&self) -> Vec<(u16, &'a [u8])> {
        let is_set = |kind: u16, value: &[u8]| match kind {
            fra::SUPPRESS_IFGROUP | fra::SUPPRESS_PREFIXLEN => value.iter().any(|byte| *byte != 0xff),
            // a mask of a mark of 0 is a selector of its own
            _ => value.iter().any(|byte| *byte != 0),
        };
        let mut selectors: Vec<_> = self
            .attributes
            .iter()
            .filter(|(kind, value)| {
                !matches!(*kind, fra::PRIORITY | fra::PROTOCOL | fra::TABLE | fra::PAD) && is_set(*kind, value)
            })
            .collect();
        selectors.sort_by_key(|(kind, _)| *kind);
        selectors
    }

    fn selector(&self) -> Digest {
        let RuleHeader { dst_len, src_len, tos, .. } = self.header;
        let mut digest = DigestBuilder::new("ip-rule-selector");
        digest
            .field(&[self.family(), dst_len, src_len, tos, self.action()])
            .field(&self.flags().to_ne_bytes())
            .field(&self.table().to_ne_bytes());
        for (kind, value) in self.selectors() {
            digest.field(&kind.to_ne_bytes()).field(value);
        }
        digest.finish()
    }
}

/// How many selectors an ip rule has. The kernel deletes the first rule of a priority that has *at least* the selectors
/// asked for, so rules of one priority are best deleted by falling count.
pub fn selector_count(snapshot: &IpRuleSnapshot) -> usize {
    IpRuleView::parse(&snapshot.message)
        .map_or(0, |view| view.selectors().len() + usize::from(view.header.tos != 0) + usize::from(view.flags() != 0))
}

/// Decodes a `fib_rule_hdr` with its attributes. Rules of other families than IPv4 and IPv6 are ignored.
pub(super) fn decode(body: &[u8]) -> Option<Decoded> {
    let view = IpRuleView::parse(body)?;
    let family = i32::from(view.family());
    if family != libc::AF_INET && family != libc::AF_INET6 {
        return Some(Decoded::new());
    }
    let subject = IpRuleSubject { family: view.family(), priority: view.priority(), selector: view.selector() };
    let snapshot = IpRuleSnapshot { message: body.to_vec(), text: ip_rule_text::text(&view) };
    Some(vec![(Subject::IpRule(subject), Snapshot::IpRule(snapshot))])
}
