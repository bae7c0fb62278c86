//! Traffic control: queueing disciplines, their classes and filters, as tc(8) shows them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::ids::Ifindex;

/// `TC_H_ROOT`: the qdisc a link sends through.
pub const ROOT: u32 = 0xffff_ffff;
/// `TC_H_CLSACT` and `TC_H_INGRESS`: where the qdiscs `clsact` and `ingress` hang.
pub const INGRESS: u32 = 0xffff_fff1;
/// The filters for what a link receives, of `clsact` or `ingress`.
pub const FILTERS_IN: u32 = 0xffff_fff2;
/// The filters for what a link sends, of `clsact`.
pub const FILTERS_OUT: u32 = 0xffff_fff3;

/// The part of a handle that names the qdisc.
pub const fn major(handle: u32) -> u32 {
    handle & 0xffff_0000
}

/// Which qdisc: the kernel gives no two qdiscs of a link one handle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QdiscSubject {
    /// The link.
    pub ifindex: Ifindex,
    /// Its handle, the minor part 0.
    pub handle: u32,
}

/// Which class of a classful qdisc.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TrafficClassSubject {
    /// The link.
    pub ifindex: Ifindex,
    /// Its handle: the qdisc's major part and its own minor part.
    pub handle: u32,
}

/// Which filter: what the kernel looks one up by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FilterSubject {
    /// The link.
    pub ifindex: Ifindex,
    /// Where it hangs: a qdisc or class, [`FILTERS_IN`] or [`FILTERS_OUT`].
    pub parent: u32,
    /// Number of its chain; 0 is where packets start.
    pub chain: u32,
    /// Order; lower comes first. tc(8) calls it `pref`.
    pub priority: u16,
    /// `ETH_P_*` of the packets it is for, in host order; `ETH_P_ALL` (3) for all.
    pub protocol: u16,
    /// Its handle, which means something to its kind only.
    pub handle: u32,
}

/// The content of a qdisc, a class or a filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficSnapshot {
    /// `TCA_KIND`: `tbf`, `clsact`, `bpf` and so on.
    pub kind: String,
    /// Where a qdisc or class hangs; of a filter, as its subject says.
    pub parent: u32,
    /// Name of the link at the time, for people.
    pub ifname: Option<String>,
    /// What a filter calls itself: the name of its BPF program.
    pub name: Option<String>,
    /// The `tcmsg` and its attributes as sent, without statistics.
    pub message: Vec<u8>,
    /// Digest of kind, place and what was chosen for it: no counters, no times, no offload state.
    pub content: Digest,
}

/// A handle in the words of tc(8): `1:`, `8001:2a`, `root`, `ingress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandleWord(pub u32);

impl fmt::Display for HandleWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ROOT => f.write_str("root"),
            INGRESS | FILTERS_IN => f.write_str("ingress"),
            FILTERS_OUT => f.write_str("egress"),
            handle if handle & 0xffff == 0 => write!(f, "{:x}:", handle >> 16),
            handle => write!(f, "{:x}:{:x}", handle >> 16, handle & 0xffff),
        }
    }
}

impl QdiscSubject {
    /// What people call it: `tbf 1: dev eth0 root`.
    pub(super) fn describe(&self, content: Option<&TrafficSnapshot>) -> String {
        let dev = device(self.ifindex, content);
        match content {
            Some(qdisc) if matches!(qdisc.parent, ROOT | INGRESS) => {
                format!("{} {} dev {dev} {}", qdisc.kind, HandleWord(self.handle), HandleWord(qdisc.parent))
            }
            Some(qdisc) => {
                format!("{} {} dev {dev} parent {}", qdisc.kind, HandleWord(self.handle), HandleWord(qdisc.parent))
            }
            None => format!("{} dev {dev}", HandleWord(self.handle)),
        }
    }
}

impl TrafficClassSubject {
    /// What people call it: `htb 1:10 dev eth0`.
    pub(super) fn describe(&self, content: Option<&TrafficSnapshot>) -> String {
        let kind = content.map(|class| format!("{} ", class.kind)).unwrap_or_default();
        format!("{kind}{} dev {}", HandleWord(self.handle), device(self.ifindex, content))
    }
}

impl FilterSubject {
    /// What people call it: `bpf dev eth0 ingress pref 1 protocol all handle 0x1`.
    pub(super) fn describe(&self, content: Option<&TrafficSnapshot>) -> String {
        let Self { ifindex, parent, chain, priority, protocol, handle } = self;
        let kind = content.map(|filter| format!("{} ", filter.kind)).unwrap_or_default();
        let place = match *parent {
            FILTERS_IN | FILTERS_OUT => HandleWord(*parent).to_string(),
            handle => format!("parent {}", HandleWord(handle)),
        };
        let chain = if *chain == 0 { String::new() } else { format!(" chain {chain}") };
        let dev = device(*ifindex, content);
        let protocol = protocol_word(*protocol);
        format!("{kind}dev {dev} {place}{chain} pref {priority} protocol {protocol} handle {handle:#x}")
    }
}

fn device(ifindex: Ifindex, content: Option<&TrafficSnapshot>) -> String {
    content.and_then(|content| content.ifname.clone()).unwrap_or_else(|| format!("#{ifindex}"))
}

/// tc(8)'s word for an `ETH_P_*`, or the number.
pub fn protocol_word(protocol: u16) -> String {
    match protocol {
        0x0003 => "all".to_owned(),
        0x0800 => "ip".to_owned(),
        0x86dd => "ipv6".to_owned(),
        0x0806 => "arp".to_owned(),
        0x8100 => "802.1Q".to_owned(),
        number => format!("{number:#06x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_and_places_have_tcs_words() {
        let words = [0x1_0000, 0x8001_002a, ROOT, INGRESS, FILTERS_OUT].map(|handle| HandleWord(handle).to_string());
        assert_eq!(words, ["1:", "8001:2a", "root", "ingress", "egress"]);
        let filter =
            FilterSubject { ifindex: Ifindex(7), parent: FILTERS_OUT, chain: 0, priority: 1, protocol: 3, handle: 1 };
        let mut content = TrafficSnapshot {
            kind: "bpf".to_owned(),
            parent: FILTERS_OUT,
            ifname: Some("eth0".to_owned()),
            name: None,
            message: Vec::new(),
            content: Digest::of(b""),
        };
        assert_eq!(filter.describe(Some(&content)), "bpf dev eth0 egress pref 1 protocol all handle 0x1");
        let filter = FilterSubject { parent: 0x1_0000, chain: 5, protocol: 0x800, ..filter };
        assert_eq!(filter.describe(None), "dev #7 parent 1: chain 5 pref 1 protocol ip handle 0x1");
        let qdisc = QdiscSubject { ifindex: Ifindex(7), handle: 0x1_0000 };
        content.parent = 0x8001_0002;
        assert_eq!(qdisc.describe(Some(&content)), "bpf 1: dev eth0 parent 8001:2");
    }
}
