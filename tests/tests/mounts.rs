//! Mounts: who made each, who took it away, and what becomes of one that is unmounted and made again between two looks.

use netdeed_tests::node::Node;
use netdeed_tests::tracker::{Files, Tracker};
use serde_json::Value;

fn all(tracker: &Tracker<'_>, path: &str) -> Vec<Value> {
    let answer = tracker.json(&["who", "mount", path]).expect("an answer");
    answer["data"]["objects"].as_array().expect("objects").clone()
}

fn who(tracker: &Tracker<'_>, path: &str) -> Value {
    all(tracker, path)[0].clone()
}

fn assert_made(mount: &Value, owner: &str) {
    let said = (&mount["owner"], &mount["certainty"], &mount["live"]);
    assert_eq!(said, (&owner.into(), &"correlated".into(), &true.into()), "{mount:#}");
}

#[test]
fn each_mount_is_its_makers_and_its_end_is_whoever_unmounted_it() {
    let node = Node::new().expect("a node");
    node.sh("mkdir -p /run/a /run/b /run/c /run/deep/x /run/target").expect("directories");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    node.run_as("flanneld", "mount -t tmpfs -o nosuid flannel /run/a").expect("a tmpfs");
    node.run_as("dockerd", "cd /run; mount --bind a b").expect("a bind mount by a relative path");
    node.run_as("containerd", "ip netns add cni-1").expect("a network namespace");
    node.run_as("flanneld", "mount -t tmpfs x /run/deep; mkdir /run/deep/y; mount -t tmpfs y /run/deep/y; mount --rbind /run/deep /run/target")
        .expect("mounts with mounts below");
    node.admin_sh("mount -t tmpfs admin /run/c").expect("a tmpfs");
    let a = who(&tracker, "/run/a");
    assert_made(&a, "cni/flannel");
    assert_eq!((&a["content"]["filesystem"], &a["content"]["source"]), (&"tmpfs".into(), &"flannel".into()), "{a:#}");
    assert!(a["content"]["options"].as_str().is_some_and(|options| options.contains("nosuid")), "{a:#}");
    assert_made(&who(&tracker, "/run/b"), "docker");
    let named = who(&tracker, "/run/netns/cni-1");
    assert_eq!((&named["content"]["filesystem"], &named["live"]), (&"nsfs".into(), &true.into()), "{named:#}");
    assert_eq!(named["created"]["actor"]["program"], "ip", "{named:#}");
    assert_made(&who(&tracker, "/run/target/y"), "cni/flannel");
    assert_made(&who(&tracker, "/run/c"), "admin/root");
    // somebody changes one, somebody else takes it away
    node.admin_sh("mount -o remount,bind,ro /run/a").expect("read-only");
    let changed = who(&tracker, "/run/a");
    assert_eq!(
        (&changed["owner"], &changed["changed"]["owner"]),
        (&"cni/flannel".into(), &"admin/root".into()),
        "{changed:#}"
    );
    node.admin_sh("umount /run/a; umount -l /run/target").expect("unmounted");
    for path in ["/run/a", "/run/target", "/run/target/y"] {
        let gone = who(&tracker, path);
        assert_eq!((&gone["owner"], &gone["live"]), (&"cni/flannel".into(), &false.into()), "{gone:#}");
        assert_eq!(gone["removed"]["owner"], "admin/root", "{gone:#}");
    }
    let list = tracker.text(&["ls", "--class", "mount", "--owner", "admin/root"]).expect("a list");
    assert!(list.contains("mount /run/c") && !list.contains("/run/b"), "{list}");
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_mount_through_a_descriptor_is_its_makers_unless_there_is_another_nobody_named() {
    let node = Node::new().expect("a node");
    node.sh("mkdir -p /run/one /run/two /run/three").expect("directories");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    let through = |dir: &str| {
        format!(
            "python3 -c \"import ctypes, os; fd = os.open('{dir}', os.O_PATH); assert ctypes.CDLL(None).mount(b't', b'/proc/self/fd/%d' % fd, b'tmpfs', 0, None) == 0\""
        )
    };
    node.run_as("flanneld", &through("/run/one")).expect("a mount");
    assert_made(&who(&tracker, "/run/one"), "cni/flannel");
    tracker.while_paused(|| {
        node.run_as("flanneld", &through("/run/two")).expect("a mount");
        node.run_as("dockerd", &through("/run/three")).expect("a mount");
    });
    for path in ["/run/two", "/run/three"] {
        let mount = who(&tracker, path);
        assert_eq!(mount["certainty"], "unknown", "{mount:#}");
    }
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_mount_made_anew_between_two_looks_is_not_the_first_makers() {
    let node = Node::new().expect("a node");
    node.sh("mkdir -p /run/x /run/stack").expect("directories");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    node.run_as("flanneld", "mount -t tmpfs same /run/x; mount -t tmpfs one /run/stack").expect("mounts");
    assert_made(&who(&tracker, "/run/x"), "cni/flannel");
    tracker.while_paused(|| {
        // the kernel gives the number, and the filesystem's, to the next one: it looks the same
        node.admin_sh("umount /run/x; mount -t tmpfs same /run/x").expect("made anew");
    });
    let now = who(&tracker, "/run/x");
    assert!(now["owner"] != "cni/flannel", "{now:#}");
    // what was there at another place, and stays, keeps its maker
    assert_made(&who(&tracker, "/run/stack"), "cni/flannel");
    // of two that come and go at one place the one that stays is nobody else's
    tracker.while_paused(|| {
        node.admin_sh("mount -t tmpfs two /run/stack; umount /run/stack").expect("came and went");
    });
    let stack = who(&tracker, "/run/stack");
    assert!(stack["owner"] == "cni/flannel" || stack["certainty"] == "unknown", "{stack:#}");
    tracker.stop().expect("a clean stop");
}

#[test]
fn what_was_mounted_while_the_tracker_was_away_is_found_and_nobody_is_named() {
    let node = Node::new().expect("a node");
    node.sh("mkdir -p /run/before /run/meanwhile").expect("directories");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    node.run_as("flanneld", "mount -t tmpfs before /run/before").expect("a mount");
    assert_made(&who(&tracker, "/run/before"), "cni/flannel");
    tracker.stop().expect("a clean stop");
    node.run_as("flanneld", "mount -t tmpfs meanwhile /run/meanwhile").expect("a mount");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    assert_made(&who(&tracker, "/run/before"), "cni/flannel");
    let found = who(&tracker, "/run/meanwhile");
    assert_eq!((&found["certainty"], &found["live"]), (&"unknown".into(), &true.into()), "{found:#}");
    tracker.stop().expect("a clean stop");
}
