//! Links, addresses, routes, ip rules, IP sets and IPVS in the words of ip(8), ipset(8) and ipvsadm(8).

use std::net::{IpAddr, SocketAddr};

use libc::{AF_INET6, IFA_ADDRESS, IFA_LOCAL, RTA_MULTIPATH, RTA_PREFSRC, RTA_SRC};

use super::Names;
use crate::decode::rtnl::address::AddressView;
use crate::decode::rtnl::hop::Hop;
use crate::decode::rtnl::route::{RTA_NH_ID, RouteView, gateway};
use crate::model::ids::Ifindex;
use crate::model::ipset::{IpSetItem, IpSetSubject};
use crate::model::ipvs::{IpvsItem, IpvsSubject};
use crate::model::link::{AddressSnapshot, AddressSubject};
use crate::model::route::{IpRuleSnapshot, IpRuleSubject, RouteSnapshot, RouteSubject};
use crate::render::Surroundings;

const UNREADABLE: &str = "what the kernel said of it is not understood";
pub(super) const NO_LINK: &str = "its link has no name now";
/// `RTN_*` by ip(8)'s words.
const KINDS: [&str; 10] =
    ["", "", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit", "throw"];

/// The words of a command.
pub(super) type Words = Vec<String>;

fn words(text: &[&str]) -> Words {
    text.iter().map(|word| (*word).to_owned()).collect()
}

fn ip(is_ipv6: bool) -> Words {
    words(&["ip", if is_ipv6 { "-6" } else { "-4" }])
}

/// `ip route del <type> <destination> table <table> ...`: everything the kernel compares.
pub(super) fn route(subject: &RouteSubject, content: &RouteSnapshot, names: &Names) -> Result<Words, &'static str> {
    let view = RouteView::parse(&content.message).ok_or(UNREADABLE)?;
    let is_ipv6 = i32::from(subject.family) == AF_INET6;
    let mut words = ip(is_ipv6);
    words.extend(["route".to_owned(), "del".to_owned()]);
    let kind = KINDS.get(usize::from(content.kind)).ok_or("ip(8) has no word for its type")?;
    words.extend((!kind.is_empty()).then(|| (*kind).to_owned()));
    words.push(match subject.destination {
        Some(destination) => format!("{destination}/{}", subject.prefix),
        None => "default".to_owned(),
    });
    let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
    if let Some(source) = view.attributes.address(RTA_SRC) {
        option("from", format!("{source}/{}", view.header.source_prefix_length));
    }
    option("table", subject.table.to_string());
    option("proto", content.protocol.to_string());
    if subject.priority != 0 {
        option("metric", subject.priority.to_string());
    }
    if subject.tos != 0 {
        option("tos", format!("{:#04x}", subject.tos));
    }
    if let Some(source) = view.attributes.address(RTA_PREFSRC) {
        option("src", source.to_string());
    }
    if view.has_nexthop_object() {
        option("nhid", view.attributes.u32(RTA_NH_ID).unwrap_or_default().to_string());
        return Ok(words);
    }
    words.extend(hops(&view, is_ipv6, names)?);
    Ok(words)
}

fn hops(view: &RouteView<'_>, is_ipv6: bool, names: &Names) -> Result<Words, &'static str> {
    let hops = view.hops();
    let is_one = hops.len() == 1 && view.attributes.get(RTA_MULTIPATH).is_none();
    // asked for plainly, all siblings of an IPv6 route without a gateway would go with it
    let is_plain = is_one && !(is_ipv6 && gateway(&hops[0].attributes).is_none());
    let mut words = Words::new();
    for hop in &hops {
        words.extend((!is_plain).then(|| "nexthop".to_owned()));
        words.extend(self::hop(hop, is_ipv6, names)?);
    }
    Ok(words)
}

fn hop(hop: &Hop<'_>, is_ipv6: bool, names: &Names) -> Result<Words, &'static str> {
    let mut words = Words::new();
    match gateway(&hop.attributes) {
        Some(gateway @ IpAddr::V6(_)) if !is_ipv6 => {
            words.extend(["via".to_owned(), "inet6".to_owned(), gateway.to_string()]);
        }
        Some(gateway) => words.extend(["via".to_owned(), gateway.to_string()]),
        None => {}
    }
    if hop.ifindex != Ifindex(0) {
        words.extend(["dev".to_owned(), names.link(hop.ifindex.0).ok_or(NO_LINK)?]);
    }
    Ok(words)
}

/// `ip rule del priority <priority> <selectors> <action>`.
pub(super) fn ip_rule(subject: &IpRuleSubject, content: &IpRuleSnapshot) -> Result<Words, &'static str> {
    let mut words = ip(i32::from(subject.family) == AF_INET6);
    words.extend(["rule", "del", "priority"].map(str::to_owned));
    words.push(subject.priority.to_string());
    let mut is_range = false;
    for word in content.text.split_whitespace() {
        if matches!(word, "attribute" | "flags" | "action") {
            return Err("it has a selector or action that ip(8) has no word for");
        }
        // ip(8) prints one number and takes only two
        words.push(if is_range && !word.contains('-') { format!("{word}-{word}") } else { word.to_owned() });
        is_range = word == "uidrange";
    }
    Ok(words)
}

/// `ip address del <address>/<length> dev <link>`, with the peer where there is one.
pub(super) fn address(
    subject: &AddressSubject,
    content: &AddressSnapshot,
    names: &Names,
) -> Result<Words, &'static str> {
    let view = AddressView::parse(&content.message).ok_or(UNREADABLE)?;
    let mut words = ip(subject.address.is_ipv6());
    words.extend(["address".to_owned(), "del".to_owned()]);
    let local = view.attributes.address(IFA_LOCAL).unwrap_or(subject.address);
    match view.attributes.address(IFA_ADDRESS).filter(|peer| *peer != local) {
        Some(peer) => words.extend([local.to_string(), "peer".to_owned(), format!("{peer}/{}", subject.prefix)]),
        None => words.push(format!("{local}/{}", subject.prefix)),
    }
    words.extend(["dev".to_owned(), names.link(subject.ifindex.0).ok_or(NO_LINK)?]);
    Ok(words)
}

/// `ipvsadm -D <service>` or `ipvsadm -d <service> -r <destination>`.
pub(super) fn ipvs(subject: &IpvsSubject) -> Result<Words, &'static str> {
    let IpvsSubject { service, item } = subject;
    let service = service.ipvsadm().ok_or("ipvsadm(8) has no option for its protocol")?;
    let command = if *item == IpvsItem::Service { "-D" } else { "-d" };
    let mut words: Words = ["ipvsadm", command].map(str::to_owned).into_iter().chain(service).collect();
    if let IpvsItem::Destination { address, port } = item {
        words.extend(["-r".to_owned(), SocketAddr::new(*address, *port).to_string()]);
    }
    Ok(words)
}

/// `ipset destroy <set>` or `ipset del <set> <member>`.
pub(super) fn ip_set(subject: &IpSetSubject) -> Words {
    match &subject.item {
        IpSetItem::Set => words(&["ipset", "destroy", subject.set.as_str()]),
        IpSetItem::Member { key } => words(&["ipset", "del", subject.set.as_str(), key]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;

    #[test]
    fn ip_rules_are_written_as_ip_takes_them() {
        let subject = IpRuleSubject { family: 2, priority: 1001, selector: Digest([0; 16]) };
        let text = |text: &str| {
            let content = IpRuleSnapshot { message: Vec::new(), text: text.to_owned() };
            ip_rule(&subject, &content).map(|words| words.join(" "))
        };
        let expected = "ip -4 rule del priority 1001 not from all fwmark 0x1/0x1 uidrange 5-5 lookup 100";
        assert_eq!(text("not from all fwmark 0x1/0x1 uidrange 5 lookup 100").as_deref(), Ok(expected));
        assert!(text("from all attribute 99 00 lookup 100").is_err());
        assert!(text("from all lookup main flags 0x4").is_err());
    }
}
