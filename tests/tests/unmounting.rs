//! A reset unmounts what its owner mounted, and with it nothing of anybody else's; an undo mounts again what it can.

use std::io::{BufRead, BufReader};
use std::process::{Child, Output, Stdio};

use netdeed_tests::node::Node;
use netdeed_tests::tracker::{Files, Tracker};

const POD: &str = "/var/lib/kubelet/pods/uid";
const DATA: &str = "/srv/data";
/// As container runtimes do it.
const NAMESPACE: &str = ": > /run/netns/cni-1; unshare --net sh -c 'mount --bind /proc/self/ns/net /run/netns/cni-1'";

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The mount points with what is mounted, by name.
fn mounts(node: &Node) -> String {
    node.sh("awk '{ for (i = 7; $i != \"-\"; i++); print $5, $4, $(i + 1) }' /proc/self/mountinfo | sort")
        .expect("mounts")
}

fn reset(tracker: &Tracker<'_>) -> (Option<i32>, String) {
    let output = tracker.cli(&["reset", "--owner", "kubernetes", "--yes"]).expect("run");
    (output.status.code(), said(&output) + &tracker.log())
}

fn arrange(node: &Node) -> Tracker<'_> {
    node.admin_sh(&format!("mkdir -p {DATA}/deep; echo precious > {DATA}/a; echo more > {DATA}/deep/b")).expect("data");
    Tracker::start(node, &Files::named(node, "tracker"), "").expect("a tracker")
}

/// A program that goes on in the node until it is dropped.
struct Going(Child);

impl Going {
    fn start(node: &Node, script: &str) -> Self {
        let mut command = node.command("sh");
        command.args(["-ec", &format!("{script}\necho ready\nexec sleep infinity")]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("run");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("read");
        assert_eq!(line, "ready\n");
        Self(child)
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_pods_mounts_go_with_its_directories_and_an_undo_mounts_them_again() {
    let node = Node::new().expect("a node");
    let tracker = arrange(&node);
    let before = mounts(&node);
    let volumes = format!("{POD}/volumes");
    node.run_as(
        "kubelet",
        &format!(
            "mkdir -p {volumes}/plugin/token {volumes}/plugin/sub {volumes}/one
             mount -t tmpfs -o size=64k,mode=750,nosuid tmpfs {volumes}/plugin/token
             mkdir {volumes}/plugin/token/in; mount --bind {DATA}/deep {volumes}/plugin/token/in
             mount --bind {DATA} {volumes}/plugin/sub; mount -o remount,bind,ro {volumes}/plugin/sub
             touch {volumes}/one/file; mount --bind {DATA}/a {volumes}/one/file"
        ),
    )
    .expect("mounts");
    node.run_as("kubelet", NAMESPACE).expect("a network namespace");
    let mounted = mounts(&node);
    let plan = tracker.text(&["plan", "--owner", "kubernetes"]).expect("a plan");
    assert!(plan.contains(&format!("mount {volumes}/plugin/token and the one file in it")), "{plan}");
    let (code, text) = reset(&tracker);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(mounts(&node), before, "{text}");
    let left = node
        .sh(&format!("cat {DATA}/a {DATA}/deep/b; test ! -e /run/netns/cni-1; test ! -e /var/lib/kubelet"))
        .expect("a listing");
    assert_eq!(left, "precious\nmore\n", "{text}");

    let undo = tracker.cli(&["undo", "--yes"]).expect("run");
    let text = said(&undo) + &tracker.log();
    assert_eq!(undo.status.code(), Some(3), "{text}");
    assert!(text.contains("the network namespace it gave a name to is gone"), "{text}");
    // what stood in memory only is not back, and so not what was mounted in it
    let expected: Vec<&str> =
        mounted.lines().filter(|line| !line.contains("cni-1") && !line.contains("token/in")).collect();
    assert_eq!(mounts(&node).lines().collect::<Vec<_>>(), expected, "{text}");
    let token =
        node.sh(&format!("stat -c %a {volumes}/plugin/token; grep token /proc/self/mounts; cat {volumes}/one/file"));
    let token = token.expect("it is back");
    assert!(token.starts_with("750\n") && token.contains("nosuid") && token.contains("size=64k"), "{token}");
    assert!(token.ends_with("precious\n"), "{token}");
    assert!(node.sh(&format!("touch {volumes}/plugin/sub/x")).is_err(), "it is read-only again");
    let who = tracker.text(&["who", "mount", &format!("{volumes}/plugin/token")]).expect("an answer");
    assert!(who.contains("kubernetes/kubelet"), "{who}");
    let (code, text) = reset(&tracker);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(mounts(&node), before, "{text}");
    tracker.stop().expect("a clean stop");
}

#[test]
fn what_others_mounted_on_top_or_put_in_keeps_a_mount() {
    let node = Node::new().expect("a node");
    let tracker = arrange(&node);
    let (a, b) = (format!("{POD}/volumes/plugin/a"), format!("{POD}/volumes/plugin/b"));
    node.run_as(
        "kubelet",
        &format!(
            "mkdir -p {a} {b} /run/flannel; mount -t tmpfs one {a}; mount -t tmpfs two /run/flannel; mkdir {a}/in"
        ),
    )
    .expect("mounts");
    // files are seen from when the new mount is
    tracker.text(&["status"]).expect("an answer");
    node.run_as("kubelet", "echo mine > /run/flannel/mine").expect("a file");
    node.run_as(
        "dockerd",
        &format!("mount --bind {DATA} {a}/in; echo x > /run/flannel/theirs; mount -t tmpfs top {b}"),
    )
    .expect("docker's");
    let before = mounts(&node);
    let (code, text) = reset(&tracker);
    assert_eq!(code, Some(3), "{text}");
    assert_eq!(mounts(&node), before, "{text}");
    assert!(text.contains(&format!("`mount {a}/in` (docker) is mounted there")), "{text}");
    assert!(text.contains("it holds `file /run/flannel/theirs` (docker)"), "{text}");
    assert_eq!(node.sh("ls /run/flannel").expect("a listing"), "theirs\n", "{text}");
    assert_eq!(node.sh(&format!("cat {a}/in/a")).expect("there"), "precious\n");
    // once they are gone the rest goes
    node.run_as("dockerd", &format!("umount {a}/in; umount {b}; rm /run/flannel/theirs")).expect("gone");
    let (code, text) = reset(&tracker);
    assert_eq!(code, Some(0), "{text}");
    assert!(!mounts(&node).contains("kubelet") && !mounts(&node).contains("flannel"), "{text}");
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_mount_or_namespace_that_somebody_works_in_stays_and_he_is_named() {
    let node = Node::new().expect("a node");
    let tracker = arrange(&node);
    node.run_as("kubelet", &format!("mkdir -p {POD}/a; mount -t tmpfs one {POD}/a; {NAMESPACE}")).expect("mounts");
    let working = Going::start(&node, &format!("cd {POD}/a; exec 3</"));
    let inside = Going::start(&node, "exec nsenter --net=/run/netns/cni-1 sh -c 'echo ready; exec sleep infinity'; :");
    let plan = tracker.cli(&["plan", "--owner", "kubernetes"]).expect("run");
    assert!(
        said(&plan).contains(&format!("process {} (sleep) run in its network namespace", inside.0.id())),
        "{}",
        said(&plan)
    );
    let (code, text) = reset(&tracker);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&format!("in use by process {} (sleep)", working.0.id())), "{text}");
    assert!(mounts(&node).contains(&format!("{POD}/a ")) && mounts(&node).contains("/run/netns/cni-1"), "{text}");
    drop((working, inside));
    let (code, text) = reset(&tracker);
    assert_eq!(code, Some(0), "{text}");
    assert!(!mounts(&node).contains("kubelet") && !mounts(&node).contains("cni-1"), "{text}");
    assert!(node.sh("test -e /run/netns/cni-1").is_err(), "{text}");
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_bound_tree_goes_when_it_is_private_and_stays_when_others_mounts_would_go_along() {
    let node = Node::new().expect("a node");
    node.sh("mkdir -p /srv/tree /srv/tree/in; mount -t tmpfs tree /srv/tree; mkdir /srv/tree/in; mount -t tmpfs in /srv/tree/in; echo kept > /srv/tree/in/file")
        .expect("a tree");
    let tracker = arrange(&node);
    let before = mounts(&node);
    let bind = format!("mkdir -p {POD}/volumes/plugin/root; mount --rbind /srv/tree {POD}/volumes/plugin/root");
    node.run_as("kubelet", &bind).expect("a private tree");
    let (code, text) = reset(&tracker);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(
        (mounts(&node), node.sh("cat /srv/tree/in/file").expect("there")),
        (before.clone(), "kept\n".to_owned()),
        "{text}"
    );

    node.sh("mount --make-rshared /srv/tree").expect("shared");
    node.run_as("kubelet", &bind).expect("a shared tree");
    let with = mounts(&node);
    let (code, text) = reset(&tracker);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("unmounting it would unmount `mount /srv/tree/in`"), "{text}");
    assert_eq!(mounts(&node), with, "{text}");
    node.sh(&format!("mount --make-rslave {POD}/volumes/plugin/root")).expect("it only receives now");
    let (code, text) = reset(&tracker);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(
        (mounts(&node), node.sh("cat /srv/tree/in/file").expect("there")),
        (before, "kept\n".to_owned()),
        "{text}"
    );
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_namespaces_name_in_a_shared_directory_goes_with_its_file() {
    let node = Node::new().expect("a node");
    node.sh("mount -t tmpfs run /run; mount --make-shared /run; mkdir /run/netns").expect("as systemd has it");
    let tracker = Tracker::start(&node, &Files::named(&node, "tracker"), "").expect("a tracker");
    let before = mounts(&node);
    node.run_as("kubelet", NAMESPACE).expect("a network namespace");
    let (code, text) = reset(&tracker);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(mounts(&node), before, "{text}");
    assert_eq!(node.sh("ls /run/netns").expect("a listing"), "", "{text}");
    tracker.stop().expect("a clean stop");
}
