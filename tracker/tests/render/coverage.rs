//! What has to be covered: every extension of iptables for both tools, every nf_tables expression for every family. What
//! is not covered is refused by the tool or the kernel, and the refusal is looked at.

use std::collections::BTreeSet;

use netdeed_tracker::decode::nft::expr;
use netdeed_tracker::model::nft::Family;
use netdeed_tracker::render::{Ruleset, nft};

use crate::harness::{corpus, everything, in_netns, objects_of, rules_of, run, sections};
use crate::nft::Links;
use crate::random::batch::Tool;
use crate::random::iptables::Iptables;

/// Extensions that both tools have.
const BOTH: &[&str] = &[
    "-m comment",
    "-m conntrack",
    "-m state",
    "-m addrtype",
    "-m mark",
    "-m connmark",
    "-m tcp",
    "-m udp",
    "-m sctp",
    "-m multiport",
    "-m iprange",
    "-m set",
    "-m statistic",
    "-m recent",
    "-m limit",
    "-m hashlimit",
    "-m physdev",
    "-m mac",
    "-m owner",
    "-m policy",
    "-m u32",
    "-m bpf",
    "-m cgroup",
    "-m time",
    "-m string",
    "-m length",
    "-m rpfilter",
    "-m socket",
    "-m cluster",
    "-m connlimit",
    "-m connbytes",
    "-m connlabel",
    "-m cpu",
    "-m dccp",
    "-m devgroup",
    "-m dscp",
    "-m ecn",
    "-m esp",
    "-m ah",
    "-m helper",
    "-m pkttype",
    "-m quota",
    "-m tcpmss",
    "-m tos",
    "-j MARK",
    "-j CONNMARK",
    "-j SET",
    "-j DNAT",
    "-j SNAT",
    "-j MASQUERADE",
    "-j REDIRECT",
    "-j NETMAP",
    "-j REJECT",
    "-j LOG",
    "-j NFLOG",
    "-j NFQUEUE",
    "-j TCPMSS",
    "-j CT",
    "-j NOTRACK",
    "-j CHECKSUM",
    "-j CLASSIFY",
    "-j TPROXY",
    "-j TRACE",
    "-j AUDIT",
    "-j CONNSECMARK",
    "-j DSCP",
    "-j HMARK",
    "-j IDLETIMER",
    "-j SYNPROXY",
    "-j TCPOPTSTRIP",
    "-j TEE",
    "-j TOS",
    "-j ACCEPT",
    "-j DROP",
    "-j RETURN",
    "-j OTHER",
    "-g OTHER",
];
/// Those that one has.
const V4: &[&str] = &["-m icmp", "-m osf", "-m ttl", "-m realm", "-j TTL", "-j ECN"];
const V6: &[&str] = &[
    "-m icmp6",
    "-m hl",
    "-m frag",
    "-m rt",
    "-m hbh",
    "-m dst",
    "-m ipv6header",
    "-m eui64",
    "-m mh",
    "-m srh",
    "-j HL",
    "-j SNPT",
    "-j DNPT",
];

/// `-m name` and `-j NAME` of a rule.
fn extensions(rule: &str) -> impl Iterator<Item = String> {
    let words: Vec<&str> = rule.split(' ').collect();
    let pairs: Vec<String> = words.windows(2).map(|pair| pair.join(" ")).collect();
    pairs.into_iter().filter(|pair| ["-m ", "-j ", "-g "].iter().any(|option| pair.starts_with(option)))
}

/// What is taken of the rules, all in one table; each of it has to be exact.
fn taken(tool: &Iptables, mut rules: Vec<String>) -> Vec<String> {
    while let Err((mut refused, message)) = tool.put(&rules) {
        refused.sort_unstable();
        refused.dedup();
        assert!(!refused.is_empty(), "refused, and no rule named: {message}");
        refused.into_iter().rev().for_each(|index| drop(rules.remove(index)));
    }
    let (theirs, ours) = tool.compare().expect("saves");
    tool.clear();
    assert_eq!((theirs.len(), ours.len()), (rules.len(), rules.len()), "{}: every rule", tool.name());
    for ((rule, theirs), ours) in rules.iter().zip(&theirs).zip(&ours) {
        assert!(ours.is_exact && ours.text == *theirs, "{} {rule}\n  {theirs}\n  {ours:?}", tool.name());
    }
    rules
}

#[test]
fn every_extension_is_written_for_both_tools() {
    in_netns(|| {
        for set in ["create s1 hash:ip,port", "create s6 hash:net,port family inet6"] {
            run(&["ipset", "restore"], set).expect("the set is made");
        }
        let corpus = corpus("iptables.rules");
        let sections = sections(&corpus);
        for (name, is_ipv6, own) in [("iptables", false, V4), ("ip6tables", true, V6)] {
            let mut covered = BTreeSet::new();
            for section in &sections {
                // rules of the other tool are this one's too, as far as it takes them
                let rules = section.rules.iter().filter(|(can_be_exact, _)| *can_be_exact);
                let rules = rules.filter_map(|(_, rule)| Some(rule.strip_prefix("-A T")?.trim_start().to_owned()));
                let table = ["filter", "nat", "mangle", "raw"].into_iter().find(|table| *table == section.second);
                let mut rules: Vec<String> = rules.collect();
                if is_ipv6 {
                    rules.iter_mut().for_each(|rule| *rule = rule.replace("-set s1 ", "-set s6 "));
                }
                let tool = Iptables { is_ipv6, table: table.expect("a table") };
                covered.extend(taken(&tool, rules).iter().flat_map(|rule| extensions(rule)));
            }
            let missing: Vec<_> = BOTH.iter().chain(own).filter(|wanted| !covered.contains(**wanted)).collect();
            assert!(missing.is_empty(), "{name}: {missing:?}");
        }
    });
}

/// Expressions with rules that have them, of which a family needs to take one.
const EXPRESSIONS: &[(&str, &[&str])] = &[
    ("payload", &["@th,0,16 5", "arp htype 1"]),
    ("cmp", &["meta mark 5"]),
    ("bitwise", &["meta mark & 0xf == 0x5"]),
    ("byteorder", &["meta mark 5-9", "meta length 5-9"]),
    ("meta", &["meta mark 5"]),
    ("ct", &["ct state new"]),
    ("fib", &["fib daddr type local", "fib saddr . iif oif missing"]),
    ("lookup", &["meta mark { 1, 2 }"]),
    ("immediate", &["accept"]),
    ("counter", &["counter"]),
    ("limit", &["limit rate 5/second"]),
    ("quota", &["quota 5 mbytes"]),
    ("log", &["log"]),
    ("reject", &["reject"]),
    ("nat", &["dnat to 10.0.0.1", "dnat to fd00::1", "dnat ip to 10.0.0.1"]),
    ("masq", &["masquerade"]),
    ("redir", &["redirect"]),
    ("tproxy", &["meta l4proto tcp tproxy to :50080", "meta l4proto tcp tproxy ip to :50080"]),
    ("queue", &["queue", "queue to 5"]),
    ("dup", &["dup to 10.0.0.1", "dup to fd00::1", "dup to \"lo\""]),
    ("fwd", &["fwd to \"lo\""]),
    ("rt", &["rt classid 5", "rt mtu 500"]),
    ("socket", &["socket transparent 1", "socket mark 5"]),
    ("osf", &["osf name \"Linux\""]),
    ("numgen", &["numgen inc mod 2 0"]),
    ("hash", &["jhash ip saddr mod 2 0", "jhash ip6 saddr mod 2 0", "jhash ether saddr mod 2 0", "symhash mod 2 0"]),
    ("exthdr", &["tcp option maxseg size 5", "exthdr hbh exists"]),
    ("range", &["meta mark != 5-9", "meta length != 5-9"]),
    ("objref", &["counter name \"covered\""]),
    ("connlimit", &["ct count over 5"]),
    ("dynset", &["add @covered { meta mark }"]),
    ("flow_offload", &["flow add @covered"]),
    ("notrack", &["notrack"]),
    ("synproxy", &["synproxy mss 1460 wscale 7"]),
    ("xfrm", &["ipsec in reqid 5", "ipsec in ip saddr 1.2.3.4"]),
    ("last", &["last"]),
];

/// Families in which an expression may be refused, and part of what nft says then; [`KERNEL`] where the kernel may lack
/// it. `*` is every family: those are written by the unit tests of `render`.
const REFUSED: &[(&str, &[&str], &str)] = &[
    // nft 1.0.6 does not know it
    ("last", &["*"], "syntax error"),
    ("queue", &["*"], KERNEL),
    ("flow_offload", &["*"], KERNEL),
    ("dup", &["inet", "arp", "bridge"], "unsupported family"),
    ("fwd", &["inet", "ip", "ip6", "arp", "bridge"], "unsupported family"),
    ("ct", &["arp", "netdev", "bridge"], KERNEL),
    ("connlimit", &["arp", "netdev", "bridge"], KERNEL),
    ("synproxy", &["arp", "netdev", "bridge"], KERNEL),
    ("fib", &["arp", "bridge"], KERNEL),
    ("reject", &["arp"], "cannot use reject with arp"),
    ("reject", &["bridge"], KERNEL),
    ("nat", &["arp", "netdev", "bridge"], "NAT is only supported for IPv4/IPv6"),
    ("masq", &["arp", "netdev", "bridge"], "NAT is only supported for IPv4/IPv6"),
    ("redir", &["arp", "netdev", "bridge"], "NAT is only supported for IPv4/IPv6"),
    ("tproxy", &["arp", "netdev", "bridge"], "tproxy is only supported for IPv4/IPv6/INET"),
    ("rt", &["netdev"], KERNEL),
    ("osf", &["netdev"], KERNEL),
    ("socket", &["arp", "netdev", "bridge"], KERNEL),
    ("xfrm", &["arp", "netdev", "bridge"], "ipsec expression is only valid in ip/ip6/inet tables"),
];
/// The kernel's answers where it has no such expression, or none in this family.
const KERNEL: &str = "(kernel)";
const KERNEL_ANSWERS: &[&str] = &["No such file or directory", "Operation not supported", "Protocol error"];

#[test]
fn every_expression_is_written_in_every_family() {
    in_netns(|| {
        run(&["ip", "link", "set", "lo", "up"], "").expect("up");
        run(&["nft", "-f", "-"], &corpus("nft.setup")).expect("set up");
        let mut wrong = Vec::new();
        for family in Family::ALL {
            let objects = format!(
                "add counter {family} t covered\nadd set {family} t covered {{ type mark; flags dynamic; size 10; }}\n"
            );
            run(&["nft", "-f", "-"], &objects).expect("objects");
            for (expression, rules) in EXPRESSIONS {
                if let Err(problem) = covers(family, expression, rules) {
                    wrong.push(format!("{family} {expression}: {problem}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

fn covers(family: Family, expression: &str, rules: &[&str]) -> Result<(), String> {
    let mut refusals = Vec::new();
    for rule in rules {
        if let Err(message) = run(&["nft", "-f", "-"], &format!("add rule {family} t c {rule}\n")) {
            refusals.push(message.lines().next().unwrap_or_default().to_owned());
            continue;
        }
        let theirs = run(&["nft", "-s", "list", "chain", family.as_str(), "t", "c"], "")?;
        let theirs =
            theirs.lines().filter_map(|line| line.strip_prefix("\t\t")).find(|line| !line.starts_with("type "));
        let dump = everything();
        let ruleset = Ruleset::new(objects_of(&dump));
        let rules = rules_of(&dump, "c");
        let (subject, snapshot) =
            rules.into_iter().find(|(subject, _)| subject.table.family == family).ok_or("no rule")?;
        let table = ruleset.table(&subject.table).ok_or("no table")?;
        let ours = nft(family, snapshot, &table.surroundings(&Links));
        let has_it = expr::decode(&snapshot.expressions).any(|one| one.name == expression.as_bytes());
        run(&["nft", "flush", "chain", family.as_str(), "t", "c"], "")?;
        if Some(ours.text.as_str()) != theirs || !ours.is_exact {
            return Err(format!("`{rule}` is listed as {theirs:?}, ours is {ours:?}"));
        }
        if has_it {
            return Ok(());
        }
    }
    let is_expected = |refusal: &String, part: &str| match part {
        KERNEL => KERNEL_ANSWERS.iter().any(|answer| refusal.contains(answer)),
        part => refusal.contains(part),
    };
    let may = REFUSED.iter().any(|(name, families, part)| {
        *name == expression
            && (families.contains(&"*") || families.contains(&family.as_str()))
            && refusals.iter().all(|refusal| is_expected(refusal, part))
    });
    println!("{family} {expression} is refused: {}", refusals.join(", "));
    if may { Ok(()) } else { Err(format!("not taken: {refusals:?}")) }
}
