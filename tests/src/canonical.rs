//! Canonical dumps: what a node looks like, without counters and handles, so that two can be compared byte by byte.

mod neutral;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::node::Node;
use crate::{Result, wait};

/// The dumps, by the command that made them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canonical(pub BTreeMap<&'static str, String>);

/// What is dumped and how.
const DUMPS: [(&str, &str); 12] = [
    ("iptables-save", "iptables-nft-save | sed -E '/^#/d; s/\\[[0-9]+:[0-9]+\\]/[0:0]/'"),
    ("ip6tables-save", "ip6tables-nft-save | sed -E '/^#/d; s/\\[[0-9]+:[0-9]+\\]/[0:0]/'"),
    ("nft list ruleset", "nft --stateless list ruleset"),
    (
        "ip link",
        "ip -details link show | sed -E 's/^[0-9]+: //; s/[a-z_]+_timer +[0-9.]+//g; s/link-netnsid [0-9]+/link-netnsid N/'",
    ),
    ("ip address", "ip -brief address show"),
    ("ip route", "ip route show table all; ip -6 route show table all | sed -E 's/ expires [0-9]+sec//'"),
    ("ip rule", "ip rule show; ip -6 rule show"),
    ("ipset save", "ipset save | sed -E 's/ initval 0x[0-9a-f]+//' | sort"),
    ("ipvsadm", "if test -e /proc/net/ip_vs; then ipvsadm -Sn; fi"),
    (
        "sysctl",
        "sysctl -a --ignore --pattern '^net[.](ipv[46][.](conf|ip_forward)|bridge)' 2>/dev/null | grep -v stable_secret",
    ),
    ("tc", TRAFFIC),
    (
        "neighbours",
        "ip neigh show nud permanent | sort; bridge fdb show | grep -E 'permanent|static' | grep -vE '^(33:33|01:00:5e)' | sort",
    ),
];

/// Qdiscs without the handles that the kernel chose, and the filters at every place of every link.
const TRAFFIC: &str = r#"
for dev in $(ip -o link show | sed -E 's/^[0-9]+: ([^:@]+).*/\1/' | sort); do
  tc qdisc show dev $dev | sed -E "s/^/$dev /; s/ 80[0-9a-f]{2}: / auto: /; s/refcnt [0-9]+ ?//; s/direct_packets_stat [0-9]+//"
  tc class show dev $dev | sed -E "s/^/$dev /; s/80[0-9a-f]{2}:/auto:/g"
  for place in '' ingress egress; do tc filter show dev $dev $place 2>/dev/null |
    sed -E "s/^/$dev $place /; s/(fh|ht) [0-9a-f]+:?/\\1 auto/g; s/index [0-9]+ ref/ref/"; done
done
"#;

/// Mounts below the directories, and network namespaces with names as Kubernetes' programs give them.
const MOUNTS: &str = r#"awk '$5 ~ "^(DIRS|/run/netns/(cni|ptp)-)" { for (i = 7; $i != "-"; i++); print $5, $6, $(i + 1), $(i + 2) }' /proc/self/mountinfo | sort"#;

impl Canonical {
    /// Dumps a node, with the tree below the given directories, once it has settled: no address is tentative any more
    /// and two dumps in a row are equal.
    ///
    /// # Errors
    /// When a tool fails, or the node does not settle.
    pub fn of(node: &Node, dirs: &[&str]) -> Result<Self> {
        let mut last = Self::now(node, dirs)?;
        wait::until("a node that has settled", Duration::from_secs(20), || {
            let is_tentative = node.sh("ip -6 address show tentative").is_ok_and(|tentative| !tentative.is_empty());
            let now = Self::now(node, dirs).ok()?;
            let is_settled = !is_tentative && now == last;
            last = now.clone();
            is_settled.then_some(now)
        })
    }

    fn now(node: &Node, dirs: &[&str]) -> Result<Self> {
        let mut dumps = BTreeMap::new();
        for (name, script) in DUMPS {
            dumps.insert(name, node.sh(script)?);
        }
        if !dirs.is_empty() {
            dumps.insert("mounts", node.sh(&MOUNTS.replace("DIRS", &dirs.join("|")))?);
        }
        // of no directory, `find` would list the current one
        let listing =
            if dirs.is_empty() { "true" } else { "find DIRS -printf '%M %u %g %s %p\\n' 2>/dev/null | sort -k5" };
        let listing = listing.replace("DIRS", &dirs.join(" "));
        dumps.insert("directories", node.sh(&format!("{listing} || true"))?);
        Ok(Self(dumps))
    }

    /// The same without what differs between two nodes on which the same happened: chosen names and numbers, and the
    /// order of tables, chains and sets.
    pub fn neutral(mut self) -> Self {
        for (name, text) in &mut self.0 {
            *text = match *name {
                "iptables-save" | "ip6tables-save" => neutral::xtables(text),
                "nft list ruleset" => neutral::nft(text),
                "ip link" | "ip address" | "tc" => neutral::links(text),
                // listed by numbers of links and by hardware addresses, which differ
                "ip route" | "neighbours" => neutral::sorted(&neutral::links(text)),
                "sysctl" => neutral::sysctls(text),
                _ => continue,
            };
        }
        self
    }

    /// What differs, as a unified diff without context; empty when nothing does.
    pub fn diff(&self, after: &Self) -> String {
        let mut differences = String::new();
        for (name, before) in &self.0 {
            let now = after.0.get(name).map(String::as_str).unwrap_or_default();
            if before != now {
                differences.push_str(&format!("--- {name} before\n+++ {name} after\n{}", line_diff(before, now)));
            }
        }
        differences
    }
}

/// Lines of one text that the other lacks, in order.
fn line_diff(before: &str, after: &str) -> String {
    let count = |text: &str| {
        let mut lines: BTreeMap<String, i64> = BTreeMap::new();
        for line in text.lines() {
            *lines.entry(line.to_owned()).or_default() += 1;
        }
        lines
    };
    let only_in = |sign: char, text: &str, mut other: BTreeMap<String, i64>| {
        let mut missing = String::new();
        for line in text.lines() {
            let left = other.entry(line.to_owned()).or_default();
            *left -= 1;
            if *left < 0 {
                missing.push_str(&format!("{sign}{line}\n"));
            }
        }
        missing
    };
    let differences = only_in('-', before, count(after)) + &only_in('+', after, count(before));
    if differences.is_empty() { "(the same lines in another order)\n".to_owned() } else { differences }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_names_the_lines_that_came_and_went() {
        assert_eq!(line_diff("a\nb\nb\n", "b\nc\n"), "-a\n-b\n+c\n");
        assert_eq!(line_diff("a\nb\n", "b\na\n"), "(the same lines in another order)\n");
        let dumps = |text: &str| Canonical(BTreeMap::from([("ip rule", text.to_owned())]));
        assert_eq!(dumps("a\n").diff(&dumps("a\n")), "");
        assert!(dumps("a\n").diff(&dumps("b\n")).contains("-a\n+b"));
    }
}
