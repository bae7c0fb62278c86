//! The ruleset that kube-proxy writes in iptables mode, put in the way kube-proxy does: by a process of that name
//! running `iptables-restore --noflush --counters`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Stdio;

use crate::node::Node;
use crate::{Failure, Result};

/// Endpoints of every service.
const ENDPOINTS: usize = 3;

/// The chains every kube-proxy makes, with the jumps into them, for the filter table.
const FILTER: &str = "*filter
:KUBE-FORWARD - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-EXTERNAL-SERVICES - [0:0]
-A FORWARD -m comment --comment \"kubernetes forwarding rules\" -j KUBE-FORWARD
-A FORWARD -m conntrack --ctstate NEW -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-A OUTPUT -m conntrack --ctstate NEW -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-A INPUT -m conntrack --ctstate NEW -m comment --comment \"kubernetes externally-visible service portals\" -j KUBE-EXTERNAL-SERVICES
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m comment --comment \"kubernetes forwarding rules\" -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m comment --comment \"kubernetes forwarding conntrack rule\" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
";

const NAT_HEAD: &str = "*nat
:KUBE-SERVICES - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-MARK-MASQ - [0:0]
";

const NAT_RULES: &str = "-A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-A OUTPUT -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment \"kubernetes postrouting rules\" -j KUBE-POSTROUTING
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000
-A KUBE-POSTROUTING -m comment --comment \"kubernetes service traffic requiring SNAT\" -j MASQUERADE --random-fully
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
";

/// Sixteen base-32 characters, as kube-proxy's hashes have.
fn hash(kind: u64, service: usize, endpoint: usize) -> String {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ kind ^ ((service as u64) << 20) ^ ((endpoint as u64) << 4);
    (0..16)
        .map(|_| {
            // splitmix64: any fixed mixing will do
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed ^= mixed >> 27;
            char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[(mixed & 31) as usize])
        })
        .collect()
}

/// The whole ruleset in `iptables-restore` syntax for a number of services: fifteen lines each.
pub fn ruleset(services: usize) -> String {
    let mut chains = NAT_HEAD.to_owned();
    let mut rules = NAT_RULES.to_owned();
    for service in 0..services {
        service_rules(service, &mut chains, &mut rules);
    }
    rules.push_str(
        "-A KUBE-SERVICES -m comment --comment \"kubernetes service nodeports; NOTE: this must be the last rule in this chain\" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS\nCOMMIT\n",
    );
    format!("{FILTER}{chains}{rules}")
}

fn service_rules(service: usize, chains: &mut String, rules: &mut String) {
    let svc = format!("KUBE-SVC-{}", hash(1, service, 0));
    let name = format!("shop/web-{service}:http");
    let address = format!("10.96.{}.{}/32", service / 250, service % 250 + 1);
    // writing to a string cannot fail
    let _ = writeln!(chains, ":{svc} - [0:0]");
    let _ = writeln!(
        rules,
        "-A KUBE-SERVICES -d {address} -p tcp -m comment --comment \"{name} cluster IP\" -m tcp --dport 80 -j {svc}"
    );
    let _ = writeln!(
        rules,
        "-A {svc} ! -s 10.244.0.0/16 -d {address} -p tcp -m comment --comment \"{name} cluster IP\" -m tcp --dport 80 -j KUBE-MARK-MASQ"
    );
    for endpoint in 0..ENDPOINTS {
        let sep = format!("KUBE-SEP-{}", hash(2, service, endpoint));
        let pod = format!("10.244.{}.{}", service % 250, endpoint + 2);
        let _ = writeln!(chains, ":{sep} - [0:0]");
        let left = ENDPOINTS - endpoint;
        if left > 1 {
            let probability = 1.0 / left as f64;
            let _ = writeln!(
                rules,
                "-A {svc} -m comment --comment \"{name} -> {pod}:8080\" -m statistic --mode random --probability {probability:.10} -j {sep}"
            );
        } else {
            let _ = writeln!(rules, "-A {svc} -m comment --comment \"{name} -> {pod}:8080\" -j {sep}");
        }
        let _ = writeln!(rules, "-A {sep} -s {pod}/32 -m comment --comment \"{name}\" -j KUBE-MARK-MASQ");
        let _ = writeln!(
            rules,
            "-A {sep} -p tcp -m comment --comment \"{name}\" -m tcp -j DNAT --to-destination {pod}:8080"
        );
    }
}

/// Puts the ruleset in, by a process whose program is called `kube-proxy`.
///
/// # Errors
/// When `iptables-restore` fails.
pub fn sync(node: &Node, services: usize) -> Result<()> {
    sync_text(node, &ruleset(services))
}

/// Puts the ruleset in a part at a time: what `iptables-nft-restore` takes grows faster than what it is given.
///
/// # Errors
/// When `iptables-restore` fails.
pub fn sync_in_parts(node: &Node, services: usize) -> Result<()> {
    const PART: usize = 1000;
    sync(node, services.min(PART))?;
    for first in (PART..services).step_by(PART) {
        let (mut chains, mut rules) = ("*nat\n".to_owned(), String::new());
        (first..services.min(first + PART)).for_each(|service| service_rules(service, &mut chains, &mut rules));
        sync_text(node, &format!("{chains}{rules}COMMIT\n"))?;
    }
    Ok(())
}

/// Writes the ruleset for fewer services, and deletes the chains of those that are gone in the same transaction, as
/// kube-proxy does.
///
/// # Errors
/// When `iptables-restore` fails.
pub fn shrink(node: &Node, from: usize, to: usize) -> Result<()> {
    let mut gone = String::new();
    let mut unneeded = String::new();
    for service in to..from {
        service_rules(service, &mut gone, &mut unneeded);
    }
    let names = gone.lines().filter_map(|line| line.strip_prefix(':')?.split(' ').next());
    let deleted: String = names.map(|chain| format!("-X {chain}\n")).collect();
    let text = ruleset(to);
    // chains named in the head are emptied first; those to be deleted have to be too
    let (filter, nat) = text.split_once(NAT_HEAD).unwrap_or((&text, ""));
    let nat = nat.strip_suffix("COMMIT\n").unwrap_or(nat);
    sync_text(node, &format!("{filter}{NAT_HEAD}{gone}{nat}{deleted}COMMIT\n"))
}

/// Puts a ruleset text in, by a process whose program is called `kube-proxy`.
///
/// # Errors
/// When `iptables-restore` fails.
pub fn sync_text(node: &Node, ruleset: &str) -> Result<()> {
    // A shell under another name: what runs `iptables-restore` has kube-proxy's program name, as the real one has.
    let program = node.program("kube-proxy")?;
    let mut child = node
        .command(&program)
        .args(["-c", "iptables-nft-restore --noflush --counters; exit $?"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Failure::new("cannot run `kube-proxy`", error))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(ruleset.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() { Ok(()) } else { Err(Failure::of_program("iptables-nft-restore --noflush", &output)) }
}
