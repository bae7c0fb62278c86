//! Attribution under adversity: many writers at once, names that change hands, lost records. The tracker may say that it
//! does not know; it may not name somebody else.

use std::path::PathBuf;
use std::process::{Child, Stdio};

use netdeed_tests::node::Node;
use netdeed_tests::tracker::{Files, Tracker};
use serde_json::Value;

/// Program and owner it stands for.
const WRITERS: [(&str, &str); 4] = [
    ("kube-proxy", "kubernetes/kube-proxy"),
    ("flanneld", "cni/flannel"),
    ("dockerd", "docker"),
    ("firewalld", "firewalld"),
];

fn program(node: &Node, name: &str) -> PathBuf {
    node.program(name).expect("a shell")
}

fn spawn(node: &Node, name: &str, script: &str) -> Child {
    let mut command = node.command(program(node, name));
    command.args(["-c", script]).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("spawned")
}

/// Runs a script in a shell of that name, to its end.
fn act(node: &Node, name: &str, script: &str) {
    let output = node.command(program(node, name)).args(["-ec", script]).output().expect("run");
    assert!(output.status.success(), "{name}: {script}\n{}", String::from_utf8_lossy(&output.stderr));
}

fn objects(tracker: &Tracker<'_>, all: bool) -> Vec<Value> {
    let args: &[&str] = if all { &["ls", "--all"] } else { &["ls"] };
    let list = tracker.json(args).expect("a list");
    list["data"]["objects"].as_array().expect("objects").clone()
}

fn certainty(object: &Value) -> &str {
    object["certainty"].as_str().unwrap_or_default()
}

fn all_at_once(node: &Node, script: impl Fn(usize) -> String) {
    let spawned = WRITERS.iter().enumerate().map(|(at, (name, _))| spawn(node, name, &script(at + 20)));
    for mut child in spawned.collect::<Vec<_>>() {
        child.wait().expect("an end");
    }
}

fn who(tracker: &Tracker<'_>, what: &[&str]) -> Value {
    let mut args = vec!["who"];
    args.extend(what);
    tracker.json(&args).expect("an answer")["data"]["objects"][0].clone()
}

#[test]
fn one_name_in_many_hands_is_never_given_to_the_wrong_one() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    // an alias would do, but the hardware address is in the text: it says who really made the link
    all_at_once(&node, |number| {
        format!(
            "i=0; while [ $i -lt 25 ]; do ip link add shared address 02:00:00:00:00:{number} type bridge; \
             ip link del shared; nft add table ip shared '{{ comment \"10.{number}.\"; }}'; nft delete table ip shared; \
             i=$((i+1)); done"
        )
    });
    let mut seen = 0;
    let mut unknown = 0;
    for object in objects(&tracker, true) {
        if object["class"] != "link" {
            continue;
        }
        let text = object["text"].to_string();
        let Some(truth) = (20..24).zip(WRITERS).find(|(n, _)| text.contains(&format!(":{n}"))) else { continue };
        seen += 1;
        if certainty(&object) == "unknown" {
            unknown += 1;
        } else {
            assert_eq!(object["owner"], truth.1.1, "{object:#}");
        }
    }
    assert!(seen > 2 * unknown, "{seen} links, {unknown} of unknown owners");
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_moved_directory_keeps_its_makers() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    node.sh("mkdir -p /var/lib/cni").expect("a directory");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    let [maker, mover] = ["flanneld", "dockerd"].map(|name| program(&node, name).display().to_string());
    // without a pause: the tracker may hear of all of it at once
    node.sh(&format!(
        "cd /var/lib/cni; {maker} -c 'mkdir -p a/b; touch a/b/one a/two'; \
         {mover} -c 'mv a z; touch z/three; mv z/two z/b/moved'"
    ))
    .expect("moves");
    let said = |path: &str| {
        let kind = if ["z", "b"].iter().any(|dir| path.ends_with(dir)) { "dir" } else { "file" };
        who(&tracker, &[kind, &format!("/var/lib/cni/{path}")])["owner"].clone()
    };
    for path in ["z", "z/b", "z/b/one", "z/b/moved"] {
        assert_eq!(said(path), "cni/flannel", "{path}");
    }
    assert_eq!(said("z/three"), "docker");
    // written by one, taken over by another
    act(&node, "firewalld", "cd /var/lib/cni; cp /etc/passwd z/b/one; touch new; mv new z/three");
    let one = who(&tracker, &["file", "/var/lib/cni/z/b/one"]);
    assert_eq!((&one["owner"], &one["changed"]["owner"]), (&"cni/flannel".into(), &"firewalld".into()), "{one:#}");
    assert_eq!(said("z/three"), "firewalld", "another file under the name");
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_name_used_again_and_again_for_moves_ends_nothing_twice() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    node.sh("mkdir -p /var/lib/cni").expect("a directory");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    act(&node, "flanneld", "echo 1 > /var/lib/cni/new");
    assert_eq!(who(&tracker, &["file", "/var/lib/cni/new"])["owner"], "cni/flannel");
    // all of it is read in one turn, when only the last files are left to look at
    tracker.while_paused(|| {
        act(&node, "flanneld", "cd /var/lib/cni; mv new x; echo 2 > new; mv new x; echo 3 > new");
    });
    assert_eq!(who(&tracker, &["file", "/var/lib/cni/x"])["owner"], "cni/flannel");
    let status = tracker.json(&["status"]).expect("a status");
    assert_eq!(status["data"]["gaps"], 0, "{}", tracker.log());
    tracker.stop().expect("a clean stop");
}

#[test]
fn what_a_process_made_before_it_executed_another_program_is_not_that_ones() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    node.sh("mkdir -p /var/lib/cni").expect("a directory");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    let next = program(&node, "dockerd").display().to_string();
    for number in 0..20 {
        act(&node, "flanneld", &format!("echo 1 > /var/lib/cni/f{number}; exec {next} -c 'exit 0'"));
    }
    for number in 0..20 {
        let file = who(&tracker, &["file", &format!("/var/lib/cni/f{number}")]);
        assert!(file["owner"] == "cni/flannel" || certainty(&file) == "unknown", "{file:#}");
    }
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_route_that_went_silently_and_came_back_is_the_second_ones() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    let add = "ip route add 10.8.0.0/16 dev br7";
    act(
        &node,
        "flanneld",
        &format!("ip link add br7 type bridge; ip link set br7 up; {add}; ip route add 10.9.0.0/16 dev br7"),
    );
    let route = |what: &str| who(&tracker, &["route", what]);
    assert_eq!(route("10.8.0.0/16")["owner"], "cni/flannel");
    // without a pause: the tracker may find the route where it was
    act(&node, "dockerd", &format!("ip link set br7 down; ip link set br7 up; {add}"));
    assert_eq!(route("10.8.0.0/16")["owner"], "docker", "{:#}", route("10.8.0.0/16"));
    let gone = route("10.9.0.0/16");
    assert_eq!(gone["live"], false, "{gone:#}");
    assert_ne!(gone["removed"]["owner"], "cni/flannel", "{gone:#}");
    // replaced: the old one is not named
    act(&node, "firewalld", "ip link add br8 type bridge; ip link set br8 up; ip route replace 10.8.0.0/16 dev br8");
    let live: Vec<Value> = objects(&tracker, false);
    let live: Vec<&Value> = live.iter().filter(|object| object["name"].to_string().contains("10.8.0.0/16")).collect();
    assert_eq!(live.len(), 1, "{live:#?}");
    assert_eq!(live[0]["owner"], "firewalld");
    tracker.stop().expect("a clean stop");
}

#[test]
fn what_vanished_silently_from_nf_tables_is_not_inherited() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    // a table with the owner flag goes with the socket of the program that made it
    act(&node, "flanneld", "nft 'table ip private { flags owner; chain c { }; }'");
    act(&node, "dockerd", "nft add table ip private; nft add chain ip private c");
    let table = who(&tracker, &["table", "private"]);
    assert_eq!(table["owner"], "docker", "{table:#}");
    let chain = who(&tracker, &["chain", "--table", "private", "c"]);
    assert_eq!(chain["owner"], "docker", "{chain:#}");
    // an element that times out
    act(
        &node,
        "flanneld",
        "nft 'table ip t { set s { type ipv4_addr; flags timeout; }; }'; nft 'add element ip t s { 10.1.1.1 timeout 1s }'",
    );
    let has_element = || node.sh("nft list set ip t s").expect("a set").contains("10.1.1.1");
    netdeed_tests::wait::until("the element's end", std::time::Duration::from_secs(10), || {
        (!has_element()).then_some(())
    })
    .expect("gone");
    act(&node, "dockerd", "nft 'add element ip t s { 10.1.1.1 timeout 1h }'");
    let elements: Vec<Value> =
        objects(&tracker, false).into_iter().filter(|object| object["class"] == "element").collect();
    assert_eq!(elements.len(), 1, "{elements:#?}");
    assert_eq!(elements[0]["owner"], "docker", "{elements:#?}");
    tracker.stop().expect("a clean stop");
}

#[test]
fn what_was_made_anew_while_the_tracker_was_down_is_nobodys() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    node.sh("mkdir -p /var/lib/cni").expect("a directory");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    act(
        &node,
        "flanneld",
        "nft 'table ip t { chain c { counter; }; chain kept { }; set s { type ipv4_addr; elements = { 10.1.1.1 }; }; }'; nft add table ip u; nft add chain ip u c",
    );
    act(&node, "flanneld", "touch /var/lib/cni/file /var/lib/cni/kept");
    assert_eq!(who(&tracker, &["chain", "--table", "t", "c"])["owner"], "cni/flannel");
    tracker.kill();
    act(
        &node,
        "dockerd",
        "nft flush chain ip t c; nft delete chain ip t c; nft add chain ip t c; nft add rule ip t c counter; nft delete table ip u; nft add table ip u; nft add chain ip u c",
    );
    act(&node, "dockerd", "nft delete set ip t s; nft 'add set ip t s { type ipv4_addr; elements = { 10.1.1.1 }; }'");
    act(&node, "dockerd", "cd /var/lib/cni; touch new; mv new file");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker again");
    let anew = [["chain", "--table", "t", "c"], ["chain", "--table", "u", "c"]];
    for what in anew {
        let object = who(&tracker, &what);
        assert_eq!(certainty(&object), "unknown", "{object:#}");
    }
    let elements =
        objects(&tracker, false).into_iter().filter(|object| object["class"] == "element" || object["class"] == "set");
    for object in elements {
        assert_eq!(certainty(&object), "unknown", "{object:#}");
    }
    assert_ne!(who(&tracker, &["file", "/var/lib/cni/file"])["certainty"], "exact");
    assert_eq!(who(&tracker, &["file", "/var/lib/cni/kept"])["owner"], "cni/flannel");
    assert_eq!(who(&tracker, &["chain", "--table", "t", "kept"])["owner"], "cni/flannel");
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_full_disk_is_survived_told_and_recovered_from() {
    let node = Node::new().expect("a node");
    node.sh("mkdir /run/small; mount -t tmpfs -o size=24m small /run/small").expect("a small filesystem");
    let files = Files { journal: "/run/small/journal".into(), ..Files::named(&node, "tracker") };
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    act(&node, "flanneld", "nft add table ip before; nft add chain ip before c");
    assert_eq!(who(&tracker, &["chain", "--table", "before", "c"])["owner"], "cni/flannel");
    node.sh("dd if=/dev/zero of=/run/small/filler bs=64k 2>/dev/null || dd if=/dev/zero of=/run/small/filler2 bs=4k 2>/dev/null || true").expect("filled");
    let mut rounds = 0;
    let deadline = std::time::Duration::from_secs(30);
    netdeed_tests::wait::until("a failing journal", deadline, || {
        rounds += 1;
        act(&node, "dockerd", &format!("nft add table ip full{rounds}; nft add chain ip full{rounds} c"));
        let status = tracker.json(&["status"]).expect("a status");
        status["data"]["sources"].to_string().contains("cannot").then_some(())
    })
    .expect("it says so");
    act(&node, "dockerd", "nft add table ip during; nft add chain ip during c");
    let plan = tracker.cli(&["plan", "--owner", "docker"]).expect("run");
    assert_ne!(
        plan.status.code(),
        Some(0),
        "no plan on a record that is behind: {}",
        String::from_utf8_lossy(&plan.stdout)
    );
    node.sh("rm /run/small/filler /run/small/filler2").expect("room");
    netdeed_tests::wait::until("a working journal", deadline, || {
        let status = tracker.json(&["status"]).expect("a status");
        (status["data"]["state"] == "ready").then_some(())
    })
    .unwrap_or_else(|error| panic!("{error}\n{}", tracker.log()));
    let during = who(&tracker, &["chain", "--table", "during", "c"]);
    assert!(during["owner"] == "docker" || certainty(&during) == "unknown", "{during:#}");
    assert_eq!(who(&tracker, &["chain", "--table", "before", "c"])["owner"], "cni/flannel");
    act(&node, "firewalld", "nft add table ip after; nft add chain ip after c");
    assert_eq!(who(&tracker, &["chain", "--table", "after", "c"])["owner"], "firewalld");
    tracker.stop().expect("a clean stop");
}
