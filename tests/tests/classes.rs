//! Links by every path, IPv6 addresses, traffic control and neighbours: several programs make them at once, and each is
//! its maker's.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};

use netdeed_tests::node::Node;
use netdeed_tests::tracker::{Files, Tracker};
use serde_json::Value;

/// Program, owner it stands for, tag in the names of what it makes.
const WRITERS: [(&str, &str, &str); 4] = [
    ("kube-proxy", "kubernetes/kube-proxy", "kp"),
    ("flanneld", "cni/flannel", "fl"),
    ("dockerd", "docker", "dk"),
    ("firewalld", "firewalld", "fw"),
];
const ROUNDS: usize = 6;

/// A shell under a program's name: its children's owner is that program's.
fn spawn(node: &Node, name: &str, script: &str) -> Child {
    let path = node.program(name).expect("a shell");
    let mut command = node.command(&path);
    command.args(["-ec", script]).stdout(Stdio::null()).stderr(Stdio::inherit());
    command.spawn().expect("spawned")
}

/// What one writer does beside the others, on links of its own and on those that all share.
fn work(tag: &str, number: usize) -> String {
    format!(
        r#"
i=0
while [ $i -lt {ROUNDS} ]; do
  busybox brctl addbr {tag}br$i
  ip tuntap add dev {tag}tun$i mode tap
  ip link add {tag}ve$i type veth peer name {tag}pe$i
  busybox brctl addif {tag}br$i {tag}ve$i
  ip link set {tag}br$i up
  ip link set {tag}ve$i up
  ip addr add fd00:{number}:$i::1/64 dev shared
  ip addr add fd00:{number}:$i::2/64 dev {tag}br$i nodad
  tc qdisc add dev {tag}br$i root handle {number}: htb
  tc class add dev {tag}br$i parent {number}: classid {number}:1 htb rate 1mbit
  tc filter add dev shared ingress protocol ip pref {number}$i u32 match ip src 10.{number}.$i.0/24 classid 1:1
  ip neigh add 10.{number}.$i.9 lladdr 02:00:00:00:00:{number} nud permanent dev shared
  ip neigh add fd00:{number}:$i::9 lladdr 02:00:00:00:00:{number} nud permanent dev shared
  bridge fdb add 02:{number}:00:00:00:0$i dev port master static
  ip link set {tag}pe$i down
  ip link set {tag}pe$i name {tag}re$i
  busybox nameif {tag}na$i $(ip -o link show {tag}re$i | sed -E 's/.*ether ([0-9a-f:]+).*/\1/') || true
  i=$((i+1))
done
"#
    )
}

fn objects(tracker: &Tracker<'_>) -> Vec<Value> {
    let list = tracker.json(&["ls", "--all"]).expect("a list");
    list["data"]["objects"].as_array().expect("objects").clone()
}

/// The owner by whose tag or number an object is called.
fn truth(object: &Value) -> Option<&'static str> {
    let name = object["name"].as_str().unwrap_or_default();
    let writer = WRITERS.iter().enumerate().find(|(number, (_, _, tag))| {
        let number = number + 20;
        ["br", "tun", "ve", "pe", "re", "na"].iter().any(|what| name.contains(&format!("{tag}{what}")))
            || name.contains(&format!("fd00:{number}:"))
            || name.contains(&format!("10.{number}."))
            || name.contains(&format!("pref {number}"))
            || name.contains(&format!("neighbour 02:{number}:"))
    });
    writer.map(|(_, (_, owner, _))| *owner)
}

/// Whether this kernel lets the tracker see in which task each datagram is sent.
fn sees_notifications(tracker: &Tracker<'_>) -> bool {
    let status = tracker.json(&["status"]).expect("a status");
    let programs = status["data"]["bpf"].as_array().expect("programs").clone();
    let program = programs.iter().find(|program| program.to_string().contains("nlmsg_notify")).expect("it is reported");
    program["attached"] == true
}

#[test]
fn links_by_ioctl_ipv6_addresses_traffic_control_and_neighbours_are_told_apart() {
    let node = Node::new().expect("a node");
    node.sh("ip link add shared type bridge; ip link set shared up; ip link add port type veth peer name far
        ip link set port master shared; tc qdisc add dev shared clsact")
        .expect("links");
    let tracker = Tracker::start(&node, &Files::named(&node, "tracker"), "").expect("a tracker");
    let spawned = WRITERS.iter().enumerate().map(|(at, (name, _, tag))| spawn(&node, name, &work(tag, at + 20)));
    for mut child in spawned.collect::<Vec<_>>() {
        assert!(child.wait().expect("an end").success());
    }
    let (mut counts, mut wrong): (BTreeMap<String, usize>, _) = (BTreeMap::new(), Vec::new());
    for object in objects(&tracker) {
        let Some(truth) = truth(&object) else { continue };
        let verdict = match object["owner"].as_str().unwrap_or_default() {
            "kernel" => "kernel's",
            said if said == truth => "right",
            _ if object["certainty"] == "unknown" => "unknown",
            _ => {
                wrong.push(format!("{truth}'s: {object}"));
                "wrong"
            }
        };
        let class = object["class"].as_str().unwrap_or_default();
        let certainty = object["certainty"].as_str().unwrap_or_default();
        *counts.entry(format!("{class} {certainty} {verdict}")).or_default() += 1;
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    let all = WRITERS.len() * ROUNDS;
    let expected: &[(&str, usize)] = if sees_notifications(&tracker) {
        // an IPv6 address is notified by the kernel itself when nobody else turned out to have it
        &[("link exact right", 4), ("address correlated right", 2), ("neighbour exact right", 2)]
    } else {
        &[
            ("link correlated right", 4),
            ("address correlated right", 2),
            ("neighbour exact right", 2),
            ("neighbour correlated right", 1),
        ]
    };
    let always = [("qdisc exact right", 1), ("tclass exact right", 1), ("filter exact right", 1)];
    for (what, each) in expected.iter().chain(&always) {
        assert_eq!(counts.get(*what), Some(&(each * all)), "{what}: {counts:#?}");
    }
    assert!(!counts.keys().any(|key| key.ends_with("unknown")), "{counts:#?}");
    tracker.stop().expect("a clean stop");
}

fn who(tracker: &Tracker<'_>, what: &[&str]) -> Value {
    let args: Vec<&str> = ["who"].into_iter().chain(what.iter().copied()).collect();
    tracker.json(&args).expect("an answer")["data"]["objects"][0].clone()
}

#[test]
fn each_is_found_by_the_name_people_give_it() {
    let node = Node::new().expect("a node");
    // with an address of its own: a bridge that takes its port's loses its neighbours when it changes
    let links = "ip link add shared address 02:00:00:00:00:01 type bridge; ip link set shared up
        ip link add port type veth peer name far; ip link set port master shared";
    node.sh(links).expect("links");
    let tracker = Tracker::start(&node, &Files::named(&node, "tracker"), "").expect("a tracker");
    let script = "tc qdisc add dev shared clsact; tc qdisc add dev port root handle 7: htb
        tc class add dev port parent 7: classid 7:5 htb rate 1mbit
        tc filter add dev shared egress protocol ip pref 9 u32 match ip src 10.9.9.0/24 classid 1:1
        ip neigh add 10.9.9.9 lladdr 02:00:00:00:00:09 nud permanent dev shared
        bridge fdb add 02:00:00:00:00:0a dev port master static";
    node.run_as("flanneld", script).expect("a script");
    let questions: [(&[&str], &str); 6] = [
        (&["qdisc", "shared"], "qdisc clsact ffff: dev shared ingress"),
        (&["qdisc", "port", "root"], "qdisc htb 7: dev port root"),
        (&["tclass", "port", "7:5"], "tclass htb 7:5 dev port"),
        (
            &["filter", "shared", "egress", "--pref", "9"],
            "filter u32 dev shared egress pref 9 protocol ip handle 0x80000800",
        ),
        (&["neighbour", "10.9.9.9"], "neighbour 10.9.9.9 dev shared"),
        (&["neighbour", "02:00:00:00:00:0A", "--dev", "port"], "neighbour 02:00:00:00:00:0a dev port master"),
    ];
    for (question, name) in questions {
        let found = who(&tracker, question);
        assert_eq!((found["name"].as_str(), found["owner"].as_str()), (Some(name), Some("cni/flannel")), "{found:#}");
    }
    // what hangs on a qdisc goes with it, and with a link all that is its
    node.run_as("dockerd", "tc qdisc del dev shared clsact; ip link del port").expect("a script");
    for (question, _) in questions.iter().filter(|(question, _)| question[1] != "10.9.9.9") {
        let found = who(&tracker, question);
        assert_eq!(found["live"], false, "{found:#}");
        assert!(found["removed"]["owner"] == "docker" || found["removed"]["owner"] == "kernel", "{found:#}");
    }
    assert_eq!(who(&tracker, &["neighbour", "10.9.9.9"])["live"], true);
    // no longer set by anybody
    node.run_as("dockerd", "ip neigh replace 10.9.9.9 lladdr 02:00:00:00:00:09 nud reachable dev shared")
        .expect("a script");
    let found = who(&tracker, &["neighbour", "10.9.9.9"]);
    assert_eq!((&found["live"], &found["removed"]["owner"]), (&false.into(), &"docker".into()), "{found:#}");
    tracker.stop().expect("a clean stop");
}

#[test]
fn traffic_makes_no_neighbours_and_a_tun_link_goes_with_its_program() {
    let node = Node::new().expect("a node");
    let tracker = Tracker::start(&node, &Files::named(&node, "tracker"), "").expect("a tracker");
    // learnt by ARP and by a bridge
    let script = "ip netns add pod; ip link add lan type bridge; ip link set lan up; ip addr add 10.7.0.1/24 dev lan
        ip link add ve type veth peer name eth0 netns pod; ip link set ve master lan up
        ip -n pod addr add 10.7.0.2/24 dev eth0; ip -n pod link set eth0 up; busybox ping -c 2 -W 5 10.7.0.2";
    node.run_as("flanneld", script).expect("a script");
    let learnt = node.sh("ip neigh show 10.7.0.2; bridge fdb show dev ve").expect("neighbours");
    assert!(learnt.contains("10.7.0.2") && learnt.lines().count() > 2, "{learnt}");
    let neighbours: Vec<Value> =
        objects(&tracker).into_iter().filter(|object| object["class"] == "neighbour").collect();
    assert!(neighbours.is_empty(), "{neighbours:#?}");
    // a tap link without persistence lives as long as its descriptor, which is this process's child's
    let open = "import fcntl,struct,sys\nf=open('/dev/net/tun','r+b',buffering=0)\n\
        fcntl.ioctl(f,0x400454ca,struct.pack('16sH22x',b'vpn0',0x1002))\nprint('made',flush=True)\nsys.stdin.read()";
    let path = node.scratch().join("vpn.py");
    std::fs::write(&path, open).expect("a program");
    let script = format!("python3 {} < /run/hold > /run/made", path.display());
    node.sh("mkfifo /run/hold").expect("a fifo");
    let mut vpn = spawn(&node, "flanneld", &script);
    let hold = spawn(&node, "sh", "exec sleep infinity > /run/hold");
    let made = node.outside("/run/made");
    netdeed_tests::wait::until("a tap link", std::time::Duration::from_secs(20), || {
        std::fs::read_to_string(&made).is_ok_and(|text| text.contains("made")).then_some(())
    })
    .expect("a tap link");
    let tap = who(&tracker, &["link", "vpn0"]);
    assert_eq!((&tap["owner"], &tap["live"]), (&"cni/flannel".into(), &true.into()), "{tap:#}");
    let mut hold = hold;
    hold.kill().expect("killed");
    hold.wait().expect("an end");
    vpn.wait().expect("an end");
    let tap = who(&tracker, &["link", "vpn0"]);
    assert_eq!((&tap["live"], &tap["removed"]["certainty"]), (&false.into(), &"unknown".into()), "{tap:#}");
    tracker.stop().expect("a clean stop");
}
