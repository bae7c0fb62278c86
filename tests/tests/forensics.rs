//! The forensic story of a node of an HA cluster: firewalld, Docker and Kubernetes all have rules in FORWARD, DNS does not
//! get through, and a packet trace says at which rule it ends. Whose rule is it?
//!
//! firewalld is the real one, with a bus of its own; so are the CNI plugins. Docker and kube-proxy are programs of their
//! names that run `iptables` as they do.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use netdeed_tests::node::Node;
use netdeed_tests::scenario::{cni, kube_proxy};
use netdeed_tests::tracker::{Files, Tracker, binary};
use netdeed_tests::wait;
use serde_json::Value;

/// Longest time a daemon or a packet may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// A daemon of the node, ended with it.
struct Daemon(Child);

impl Daemon {
    fn start(node: &Node, name: &str, arguments: &[&str]) -> Self {
        let log = File::create(node.scratch().join(format!("{name}.log"))).expect("a log");
        let mut command = node.command(name);
        command.args(arguments).stdout(log.try_clone().expect("a log")).stderr(log);
        Self(command.spawn().expect("a daemon"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// firewalld with a bus, both in the node alone.
fn firewalld(node: &Node) -> [Daemon; 2] {
    node.sh(
        "sed -i 's/^FirewallBackend=.*/FirewallBackend=iptables/' /etc/firewalld/firewalld.conf; mkdir -p /run/dbus",
    )
    .expect("firewalld is configured: install `firewalld` and `dbus`");
    let bus = Daemon::start(node, "dbus-daemon", &["--system", "--nofork", "--nopidfile"]);
    let socket = node.outside("/run/dbus/system_bus_socket");
    wait::until("the bus", DEADLINE, || socket.exists().then_some(())).expect("a bus");
    let firewalld = Daemon::start(node, "firewalld", &["--nofork", "--nopid"]);
    wait::until("firewalld", DEADLINE, || node.sh("firewall-cmd --state").ok()).expect("a running firewalld");
    [firewalld, bus]
}

/// Two hosts with this node between them as their router.
fn neighbours(node: &Node) {
    node.sh(
        "for n in client server; do ip netns add $n; done
         ip link add to-client type veth peer name eth0 netns client; ip link add to-server type veth peer name eth0 netns server
         ip addr add 10.50.0.1/24 dev to-client; ip addr add 10.60.0.1/24 dev to-server
         ip link set to-client up; ip link set to-server up; echo 1 > /proc/sys/net/ipv4/ip_forward
         ip -n client addr add 10.50.0.2/24 dev eth0; ip -n client link set eth0 up; ip -n client route add default via 10.50.0.1
         ip -n server addr add 10.60.0.2/24 dev eth0; ip -n server link set eth0 up; ip -n server route add default via 10.60.0.1",
    )
    .expect("two hosts");
}

fn send_dns(node: &Node) {
    let _ = node.sh("timeout 2 ip netns exec client bash -c 'echo query > /dev/udp/10.60.0.2/53'");
}

/// A program that prints traces until it is ended.
fn spawn(mut command: Command) -> (Daemon, std::sync::mpsc::Receiver<String>) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a monitor");
    let stdout = child.stdout.take().expect("piped");
    let (sender, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut lines = BufReader::new(stdout).lines();
        while let Some(Ok(line)) = lines.next() {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    (Daemon(child), lines)
}

/// Sends packets until the monitor prints a line that will do; the monitor needs a moment until it listens.
fn lines_until(node: &Node, lines: &std::sync::mpsc::Receiver<String>, is_last: impl Fn(&str) -> bool) -> Vec<String> {
    let mut seen = Vec::new();
    wait::until("a traced packet", DEADLINE, || {
        send_dns(node);
        while let Ok(line) = lines.recv_timeout(Duration::from_secs(1)) {
            let is_it = is_last(&line);
            seen.push(line);
            if is_it {
                return Some(());
            }
        }
        None
    })
    .unwrap_or_else(|failure| panic!("{failure}: {seen:#?}"));
    seen
}

/// Firewalld's rule is the sixteenth of FORWARD: Docker, CNI and kube-proxy put theirs before it.
fn build(node: &Node) {
    cni::install(node).expect("a network");
    cni::add(node, &cni::Pod::new("web-0", &[])).expect("a pod");
    kube_proxy::sync(node, 5).expect("kube-proxy's rules");
    let docker: String = (0..10)
        .map(|number| format!("iptables-nft -I FORWARD 2 -o br-{number} -m comment --comment docker -j ACCEPT\n"))
        .collect();
    node.run_as("dockerd", &docker).expect("docker's rules");
    let before = |what: &str| {
        let rules = node.sh("iptables-nft -S FORWARD").expect("rules");
        rules.lines().filter(|line| line.starts_with("-A")).position(|line| line.contains(what)).expect("a rule") + 1
    };
    let here = before("FORWARD_ZONES");
    let more: String = (here..16).map(|_| "iptables-nft -I FORWARD 2 -i br-0 -o br-1 -j DROP\n".to_owned()).collect();
    node.run_as("dockerd", &more).expect("docker's rules");
    node.sh("firewall-cmd --direct --passthrough ipv4 -I FORWARD 16 -p udp --dport 53 -j REJECT --reject-with icmp-host-prohibited")
        .expect("firewalld's rule");
    node.admin_sh("iptables-nft -t raw -I PREROUTING -p udp --dport 53 -j TRACE").expect("the trace");
}

fn check(trace: &Value) {
    let step = |chain: &str, verdict: &str| {
        let steps = trace["steps"].as_array().expect("steps").iter();
        let mut found =
            steps.filter(|step| step["chain"] == chain && step["verdict"] == verdict && step["kind"] == "rule");
        found.next().unwrap_or_else(|| panic!("no {verdict} in {chain}: {trace:#}")).clone()
    };
    assert_eq!(step("PREROUTING", "continue")["owner"], "admin/root", "{trace:#}");
    let rejected = step("FORWARD", "drop");
    assert_eq!((&rejected["position"], &rejected["owner"]), (&16.into(), &"firewalld".into()), "{trace:#}");
    assert_eq!(rejected["certainty"], "exact");
    let text = "-A FORWARD -p udp -m udp --dport 53 -j REJECT --reject-with icmp-host-prohibited";
    assert_eq!(rejected["text"], text);
    let outcome = trace["outcome"].as_str().expect("an outcome");
    assert!(outcome.starts_with("rejected by rule 16 of FORWARD, added by firewalld "), "{outcome}");
    let around: Vec<(u64, &str)> = trace["around"]
        .as_array()
        .expect("rules around")
        .iter()
        .map(|rule| (rule["position"].as_u64().expect("a place"), rule["owner"].as_str().expect("an owner")))
        .collect();
    let firewalld = "firewalld exact";
    assert_eq!(
        around,
        [(14, firewalld), (15, firewalld), (16, firewalld), (17, firewalld), (18, firewalld)],
        "{trace:#}"
    );
}

#[test]
fn the_rule_that_ate_a_packet_is_firewallds_sixteenth() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    let daemons = firewalld(&node);
    neighbours(&node);
    build(&node);

    // nft's own trace, run by netdeed
    let mut command = node.command(binary("netdeed").expect("built"));
    command.arg("--socket").arg(&files.socket).args(["-o", "json", "who", "trace", "--run"]);
    let (monitor, lines) = spawn(command);
    let seen = lines_until(&node, &lines, |line| line.contains("rejected by"));
    let last: Value = serde_json::from_str(seen.last().expect("a line")).expect("JSON");
    assert_eq!(last["kind"], "trace");
    check(&last["data"]);
    drop(monitor);

    // iptables' monitor, read from a file
    let mut command = node.command("xtables-monitor");
    command.arg("--trace");
    let (monitor, lines) = spawn(command);
    let mut seen = lines_until(&node, &lines, |line| line.contains(":DROP"));
    drop(monitor);
    seen.push(String::new());
    let saved = node.scratch().join("trace.txt");
    std::fs::write(&saved, seen.join("\n")).expect("written");
    let netdeed = format!("{} --socket {}", binary("netdeed").expect("built").display(), files.socket.display());
    let read = |input: &str| node.sh(&format!("{netdeed} -o json who trace < {input}")).expect("an answer");
    let traces = read(&saved.display().to_string());
    let rejected = traces.lines().find(|line| line.contains("rejected by")).unwrap_or_else(|| panic!("{traces}"));
    check(&serde_json::from_str::<Value>(rejected).expect("JSON")["data"]);

    // what the kernel logs of legacy tables has positions only, here of a moment ago
    let now = node.sh("date --utc +%Y-%m-%dT%H:%M:%S+0000").expect("a time");
    let packet = "IN=to-client OUT=to-server SRC=10.50.0.2 DST=10.60.0.2 LEN=34 ID=7 PROTO=UDP SPT=4000 DPT=53 LEN=14";
    let logged = node.scratch().join("kernel.txt");
    let lines = format!(
        "{0} node kernel: TRACE: raw:PREROUTING:rule:1 {packet}\n{0} node kernel: TRACE: filter:FORWARD:rule:16 {packet}\n",
        now.trim()
    );
    std::fs::write(&logged, lines).expect("written");
    let text = node.sh(&format!("{netdeed} who trace < {}", logged.display())).expect("an answer");
    assert!(text.contains("rejected by rule 16 of FORWARD, added by firewalld"), "{text}");
    assert_eq!(text.matches("packet ").count(), 1, "one packet: {text}");
    drop(daemons);
    tracker.stop().expect("a clean stop");
}
