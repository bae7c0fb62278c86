//! IPVS: nobody is notified of what happens to services and destinations, and yet each has its maker.
//!
//! With kernels that have the subsystem only: `cargo xtask test --tier vm --step IPVS`.

use std::process::{Child, Stdio};
use std::time::Duration;

use netdeed_tests::canonical::Canonical;
use netdeed_tests::node::Node;
use netdeed_tests::scenario::kubernetes::{self, ApiServer, KubeProxy, Mode};
use netdeed_tests::tracker::{Files, Tracker};
use netdeed_tests::wait;
use serde_json::Value;

const KUBE: &str = "kubernetes/kube-proxy";

fn start<'a>(node: &'a Node, files: &Files) -> Tracker<'a> {
    Tracker::start(node, files, "").expect("a tracker")
}

/// Living services and destinations with their owners, sorted; `?` marks an unknown one.
fn owners(tracker: &Tracker<'_>) -> Vec<String> {
    let list = tracker.json(&["ls", "--class", "ipvs,destination"]).expect("a list");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let row = |it: &Value| {
        let owner = if it["certainty"] == "unknown" { "?".to_owned() } else { text(&it["owner"]) };
        assert_ne!(it["certainty"], "exact", "nothing proves it: {it}");
        format!("{} {owner}", text(&it["name"]))
    };
    let mut rows: Vec<String> = list["data"]["objects"].as_array().expect("objects").iter().map(row).collect();
    rows.sort();
    rows
}

fn run(node: &Node, program: &str, script: &str) {
    node.run_as(program, script).expect("a script that works");
}

fn services(node: &Node) -> String {
    node.sh("ipvsadm -Sn").expect("a list")
}

#[test]
#[ignore = "needs ip_vs: cargo xtask test --tier vm"]
fn services_and_destinations_have_their_makers() {
    let node = Node::new().expect("a node");
    node.sh("ipvsadm -A -t 10.0.0.1:80 -s rr; ipvsadm -a -t 10.0.0.1:80 -r 10.1.0.1:80 -m")
        .expect("before the tracker");
    let files = Files::named(&node, "tracker");
    let tracker = start(&node, &files);
    run(&node, "kube-proxy", "ipvsadm -A -t 10.96.0.1:443 -s rr; ipvsadm -a -t 10.96.0.1:443 -r 10.244.0.5:8443 -m");
    run(
        &node,
        "keepalived",
        "ipvsadm -A -f 7 -s wlc; ipvsadm -a -f 7 -r 10.2.0.1 -g; ipvsadm -A -u [fd00::a]:53 -s rr",
    );
    run(&node, "dockerd", "ipvsadm -a -t 10.96.0.1:443 -r 10.244.0.6:8443 -m -w 5");
    assert_eq!(
        owners(&tracker),
        [
            "destination fwmark 7 10.2.0.1:0 keepalived",
            "destination tcp 10.0.0.1:80 10.1.0.1:80 ?",
            "destination tcp 10.96.0.1:443 10.244.0.5:8443 kubernetes/kube-proxy",
            "destination tcp 10.96.0.1:443 10.244.0.6:8443 docker",
            "ipvs fwmark 7 keepalived",
            "ipvs tcp 10.0.0.1:80 ?",
            "ipvs tcp 10.96.0.1:443 kubernetes/kube-proxy",
            "ipvs udp [fd00::a]:53 keepalived",
        ]
    );
    // edited by another, deleted by a third
    run(&node, "firewalld", "ipvsadm -e -t 10.96.0.1:443 -r 10.244.0.5:8443 -m -w 9; ipvsadm -D -f 7");
    let text = tracker.text(&["who", "ipvs", "tcp", "10.96.0.1:443", "10.244.0.5:8443"]).expect("an answer");
    assert!(text.contains("-m -w 9") && text.contains(KUBE) && text.contains("firewalld"), "{text}");
    let gone = tracker.json(&["who", "ipvs", "fwmark", "7"]).expect("an answer");
    let service = &gone["data"]["objects"][0];
    assert_eq!(
        (&service["live"], &service["removed"]["owner"]),
        (&Value::Bool(false), &"firewalld".into()),
        "{service}"
    );
    // all at once, and made again by another: its own
    run(&node, "dockerd", "ipvsadm -C; ipvsadm -A -t 10.96.0.1:443 -s rr");
    assert_eq!(owners(&tracker), ["ipvs tcp 10.96.0.1:443 docker"]);
    // by the way that older tools go
    let old = "import socket,struct; s=socket.socket(socket.AF_INET,socket.SOCK_RAW,socket.IPPROTO_RAW); \
               v=struct.pack('=HxxI',6,0)[:4]+bytes([10,9,9,9])+struct.pack('>H',80)+b'\\0\\0'+struct.pack('=I',0)+\
               b'rr'.ljust(16,b'\\0')+struct.pack('=III',0,0,0xffffffff); s.setsockopt(0,1154,v)";
    run(&node, "kube-proxy", &format!("python3 -c \"{old}\""));
    assert_eq!(owners(&tracker), ["ipvs tcp 10.9.9.9:80 kubernetes/kube-proxy", "ipvs tcp 10.96.0.1:443 docker"]);
    tracker.stop().expect("a clean stop");
}

#[test]
#[ignore = "needs ip_vs: cargo xtask test --tier vm"]
fn a_reset_leaves_others_destinations_and_an_undo_brings_the_owners_back() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = start(&node, &files);
    let mine = "ipvsadm -A -t 10.96.0.1:443 -s rr -p 300 -M 255.255.255.0
                ipvsadm -a -t 10.96.0.1:443 -r 10.244.0.5:8443 -m -w 3 -x 100 -y 50
                ipvsadm -A -u [fd00::a]:53 -s wlc; ipvsadm -a -u [fd00::a]:53 -r [fd00::b]:53 -i -w 1
                ipvsadm -A -t 10.96.0.2:80 -s rr; ipvsadm -a -t 10.96.0.2:80 -r 10.244.0.7:80 -m";
    run(&node, "kube-proxy", mine);
    run(&node, "keepalived", "ipvsadm -a -t 10.96.0.2:80 -r 10.1.1.1:80 -m -w 2; ipvsadm -A -t 10.5.0.1:25 -s wlc");
    let before = services(&node);
    let reset = tracker.cli(&["reset", "--owner", "kubernetes", "--yes"]).expect("the companion runs");
    let text = String::from_utf8_lossy(&reset.stdout).into_owned();
    // the service with a destination of somebody else stays
    assert_eq!(reset.status.code(), Some(3), "{text}{}", String::from_utf8_lossy(&reset.stderr));
    let after = services(&node);
    let mut left: Vec<&str> = after.lines().collect();
    left.sort_unstable();
    assert_eq!(
        left,
        ["-A -t 10.5.0.1:25 -s wlc", "-A -t 10.96.0.2:80 -s rr", "-a -t 10.96.0.2:80 -r 10.1.1.1:80 -m -w 2",],
        "{text}"
    );
    tracker.text(&["undo", "--yes"]).expect("an undo");
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    assert_eq!(sorted(&services(&node)), sorted(&before));
    let who = tracker.json(&["who", "ipvs", "tcp", "10.96.0.1:443", "10.244.0.5:8443"]).expect("an answer");
    assert_eq!(who["data"]["objects"][0]["owner"], KUBE, "{who:#}");
    tracker.stop().expect("a clean stop");
}

/// A running keepalived with one virtual server.
struct Keepalived(Child);

impl Keepalived {
    fn start(node: &Node) -> Self {
        let at = |name: &str| node.scratch().join(name);
        let config = at("keepalived.conf");
        let text = "virtual_server 192.0.2.10 80 {\n lb_algo wlc\n lb_kind NAT\n protocol TCP\n \
                    real_server 10.9.0.2 80 { weight 3 }\n real_server 10.9.0.3 80 { weight 1 }\n}\n";
        std::fs::write(&config, text).expect("a configuration");
        let log = std::fs::File::create(at("keepalived.log")).expect("a log");
        let mut command = node.command("/usr/sbin/keepalived");
        command.args(["--dont-fork", "--log-console", "--check", "--use-file"]).arg(&config);
        command.arg("--pid").arg(at("keepalived.pid")).arg("--checkers_pid").arg(at("checkers.pid"));
        let child = command
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .expect("keepalived runs");
        let keepalived = Self(child);
        wait::until("keepalived's destinations", Duration::from_secs(30), || {
            services(node).contains("10.9.0.3:80").then_some(())
        })
        .unwrap_or_else(|failure| {
            panic!("{failure}: {}", std::fs::read_to_string(at("keepalived.log")).unwrap_or_default())
        });
        keepalived
    }
}

impl Drop for Keepalived {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A node with keepalived, and with kube-proxy in between if it `has_kube_proxy`; then reset. What is left.
fn story(has_kube_proxy: bool) -> Canonical {
    let node = Node::new().expect("a node");
    kubernetes::attach(&node).expect("an address");
    let server = ApiServer::start(&node).expect("an API server");
    server.put_node();
    let files = Files::named(&node, "tracker");
    let tracker = start(&node, &files);
    let proxy = has_kube_proxy.then(|| {
        (0..5).for_each(|number| server.put_service(number, 3));
        let proxy = KubeProxy::start(&node, &server, Mode::Ipvs).expect("kube-proxy");
        proxy.wait_for("-a -t 10.96.0.5:").expect("its services");
        proxy
    });
    let _keepalived = Keepalived::start(&node);
    let keepalived_alone = |listing: &str| -> Vec<String> {
        listing.lines().filter(|line| line.contains("192.0.2.10:80")).map(str::to_owned).collect()
    };
    let before = services(&node);
    assert_eq!(keepalived_alone(&before).len(), 3, "{before}");
    if let Some(proxy) = proxy {
        server.put_service(5, 2);
        proxy.wait_for("-a -t 10.96.0.6:").expect("watched");
        server.delete_service(2);
        proxy.wait_for_end_of("-A -t 10.96.0.3:").expect("watched");
        let rows = owners(&tracker);
        let is_right = |row: &&String| {
            let owner = if row.contains("192.0.2.10:80") { "keepalived" } else { KUBE };
            !row.ends_with(&format!(" {owner}"))
        };
        let wrong: Vec<&String> = rows.iter().filter(is_right).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        let listed = services(&node);
        assert_eq!(rows.len(), listed.lines().count(), "{rows:#?} of\n{listed}");
        for class in ["ipset", "member", "link", "address"] {
            let list = tracker.json(&["ls", "--owner", KUBE, "--class", class]).expect("a list");
            assert_ne!(list["data"]["total"], 0, "no {class} of kube-proxy");
        }
        drop(proxy);
        let reset = tracker.cli(&["reset", "--owner", "kubernetes", "--yes"]).expect("the companion runs");
        let text = [reset.stdout, reset.stderr].concat();
        assert!(reset.status.success(), "{}", String::from_utf8_lossy(&text));
        assert_eq!(keepalived_alone(&services(&node)), keepalived_alone(&before), "byte by byte");
        assert_eq!(services(&node).lines().count(), 3, "{}", services(&node));
    }
    let canonical = Canonical::of(&node, &[]).expect("a dump").neutral();
    tracker.stop().expect("a clean stop");
    canonical
}

#[test]
#[ignore = "needs ip_vs: cargo xtask test --tier vm"]
fn kube_proxys_services_go_and_keepaliveds_stay() {
    let (with, without) = (story(true), story(false));
    for (name, text) in &without.0 {
        assert_eq!(&with.0[name], text, "{name} differs");
    }
}
