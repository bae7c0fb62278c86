//! Nobody's data goes with a reset: what is mounted below, bound in from elsewhere, linked to, or put in place of a file
//! while the reset runs; and a filesystem that never answers does not stop it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::time::Duration;

use netdeed_tests::node::Node;
use netdeed_tests::tracker::{Files, Tracker, binary};
use netdeed_tests::wait;

/// Longest that a command may take when nothing hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory of everybody's, in the node.
const PRECIOUS: &str = "/var/lib/precious";

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Every file below the node's directories with its bytes; mounts included, sockets and the like by name only.
fn bytes(node: &Node, below: &[&str]) -> BTreeMap<String, Vec<u8>> {
    fn walk(path: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        let Ok(kind) = std::fs::symlink_metadata(path).map(|it| it.file_type()) else { return };
        let name = path.display().to_string();
        if kind.is_dir() {
            found.insert(name, Vec::new());
            let entries = std::fs::read_dir(path).expect("readable");
            entries.for_each(|entry| walk(&entry.expect("readable").path(), found));
        } else if kind.is_file() {
            found.insert(name, std::fs::read(path).expect("readable"));
        } else {
            found.insert(name, Vec::new());
        }
    }
    let mut found = BTreeMap::new();
    below.iter().for_each(|path| walk(&node.outside(path), &mut found));
    found
}

/// Runs the companion, which must come to an end.
fn in_time(node: &Node, files: &Files, args: &[&str]) -> Output {
    let mut command = node.command(binary("netdeed").expect("built"));
    command.arg("--socket").arg(&files.socket).arg("--journal").arg(&files.journal).args(args);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("run");
    let status = wait::until(&format!("an end of {args:?}"), PATIENCE, || child.try_wait().expect("asked"));
    let status = status.unwrap_or_else(|failure| {
        let _ = child.kill();
        panic!("{failure}")
    });
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    child.stdout.take().expect("piped").read_to_end(&mut stdout).expect("read");
    child.stderr.take().expect("piped").read_to_end(&mut stderr).expect("read");
    Output { status, stdout, stderr }
}

/// A shell in the node that has done its script and goes on until it is dropped.
struct Holding(Child);

impl Holding {
    fn start(node: &Node, program: &[&str], script: &str) -> Self {
        let mut command = node.command(program[0]);
        command.args(&program[1..]).args(["-ec", &format!("{script}\necho ready\nexec sleep infinity")]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("run");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("read");
        assert_eq!(line, "ready\n", "{script}");
        Self(child)
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A tracker on a node with the kubelet's tree and with data that is nobody's business.
fn arrange(node: &Node) -> Tracker<'_> {
    node.admin_sh(&format!("mkdir -p {PRECIOUS}/deep; echo data > {PRECIOUS}/a; echo more > {PRECIOUS}/deep/b"))
        .expect("data");
    let tracker = Tracker::start(node, &Files::named(node, "tracker"), "").expect("a tracker");
    let tree = "mkdir -p /var/lib/kubelet/pods/uid/volumes/data /var/lib/kubelet/pods/uid/volumes/root /var/lib/kubelet/plugins
        echo x > /var/lib/kubelet/config.yaml; echo y > /var/lib/kubelet/plugins/a; echo z > /var/lib/kubelet/plugins/b";
    node.run_as("kubelet", tree).expect("a tree");
    tracker
}

#[test]
fn a_mounted_volume_keeps_its_bytes_and_all_above_it() {
    let node = Node::new().expect("a node");
    let tracker = arrange(&node);
    let volume = "/var/lib/kubelet/pods/uid/volumes/data";
    node.sh(&format!("mount -t tmpfs volume {volume}; echo database > {volume}/db; mkdir {volume}/wal"))
        .expect("a mount");
    let before = bytes(&node, &[PRECIOUS, volume]);
    let reset = in_time(&node, &Files::named(&node, "tracker"), &["reset", "--owner", "kubernetes", "--yes"]);
    let text = said(&reset);
    assert_eq!(reset.status.code(), Some(3), "{text}");
    assert!(text.contains("is mounted there"), "{text}");
    assert_eq!(bytes(&node, &[PRECIOUS, volume]), before, "{text}");
    let left = node.sh("find /var/lib/kubelet -xdev -type f; test ! -e /var/lib/kubelet/plugins").expect("a listing");
    assert_eq!(left, "", "the rest went");
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_tree_bound_in_in_another_mount_namespace_loses_its_mount_point_at_most() {
    let node = Node::new().expect("a node");
    let tracker = arrange(&node);
    let script = "mount --make-rprivate /; mount --rbind / /var/lib/kubelet/pods/uid/volumes/root";
    let _holding = Holding::start(
        &node,
        &["unshare", "--mount", "sh"],
        &format!("{script}\ntest -e /var/lib/kubelet/pods/uid/volumes/root{PRECIOUS}/a"),
    );
    let before = bytes(&node, &[PRECIOUS, "/etc"]);
    let reset = in_time(&node, &Files::named(&node, "tracker"), &["reset", "--owner", "kubernetes", "--yes"]);
    assert!(matches!(reset.status.code(), Some(0 | 1 | 3)), "{}", said(&reset));
    assert_eq!(bytes(&node, &[PRECIOUS, "/etc"]), before, "{}", said(&reset));
    tracker.stop().expect("a clean stop");
}

#[test]
fn what_links_lead_to_stays_and_so_does_what_has_another_name() {
    let node = Node::new().expect("a node");
    let tracker = arrange(&node);
    let links = format!(
        "ln -s {PRECIOUS} /var/lib/kubelet/out; ln -s ../precious/a /var/lib/kubelet/plugins/up; ln -s / /var/lib/kubelet/all"
    );
    node.run_as("kubelet", &links).expect("links");
    node.sh(&format!("ln /var/lib/kubelet/config.yaml {PRECIOUS}/kept")).expect("a further name");
    let before = bytes(&node, &[PRECIOUS]);
    let reset = in_time(&node, &Files::named(&node, "tracker"), &["reset", "--owner", "kubernetes", "--yes"]);
    let text = said(&reset);
    assert_eq!(reset.status.code(), Some(3), "{text}");
    assert!(text.contains("2 names (hard links)"), "{text}");
    assert_eq!(bytes(&node, &[PRECIOUS]), before, "{text}");
    let left = node.sh("find /var/lib/kubelet -mindepth 1").expect("a listing");
    assert_eq!(left, "/var/lib/kubelet/config.yaml\n", "{text}");
    tracker.stop().expect("a clean stop");
}

#[test]
fn files_and_directories_swapped_for_links_while_a_reset_runs_lead_nowhere() {
    let node = Node::new().expect("a node");
    let tracker = arrange(&node);
    let files = Files::named(&node, "tracker");
    let racer = format!(
        "(while :; do
          mv -T /var/lib/kubelet/plugins /var/lib/kubelet/hidden; ln -sfn {PRECIOUS} /var/lib/kubelet/plugins
          rm -f /var/lib/kubelet/plugins; mv -T /var/lib/kubelet/hidden /var/lib/kubelet/plugins
          ln -sfn {PRECIOUS}/a /var/lib/kubelet/config.yaml
        done) 2>/dev/null &"
    );
    let before = bytes(&node, &[PRECIOUS]);
    let racing = Holding::start(&node, &["sh"], &racer);
    for _ in 0..5 {
        node.run_as("kubelet", "mkdir -p /var/lib/kubelet/plugins; for i in 1 2 3 4 5 6 7 8; do echo $i > /var/lib/kubelet/plugins/a$i || true; done")
            .unwrap_or_default();
        let reset = in_time(&node, &files, &["reset", "--owner", "kubernetes", "--yes"]);
        assert!(reset.status.code().is_some(), "{}", said(&reset));
        assert_eq!(bytes(&node, &[PRECIOUS]), before_and_written(&before, &node), "{}", said(&reset));
    }
    drop(racing);
    tracker.stop().expect("a clean stop");
}

/// The kubelet of the test writes through the link it is raced with: that is not the reset's doing.
fn before_and_written(before: &BTreeMap<String, Vec<u8>>, node: &Node) -> BTreeMap<String, Vec<u8>> {
    let mut expected = before.clone();
    for (name, content) in bytes(node, &[PRECIOUS]) {
        let is_kubelets = name.rsplit('/').next().is_some_and(|name| name.len() == 2 && name.starts_with('a'));
        if is_kubelets {
            expected.insert(name, content);
        }
    }
    expected
}

#[test]
fn a_filesystem_that_never_answers_stops_nothing() {
    let node = Node::new().expect("a node");
    let tracker = arrange(&node);
    let files = Files::named(&node, "tracker");
    let hung = "/var/lib/kubelet/pods/uid/volumes/data";
    // the kernel asks whoever has the device open, who never reads
    let mount = format!("exec 3<>/dev/fuse; mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 hung {hung}");
    let holding = Holding::start(&node, &["sh"], &mount);
    node.admin_sh("iptables-nft -A FORWARD -p icmp -j ACCEPT").expect("a rule");
    node.run_as("kube-proxy", "iptables-nft -N KUBE-A; iptables-nft -A FORWARD -j KUBE-A").expect("a chain");
    let plan = in_time(&node, &files, &["plan", "--owner", "kubernetes"]);
    assert_eq!(plan.status.code(), Some(3), "{}", said(&plan));
    let reset = in_time(&node, &files, &["reset", "--owner", "kubernetes", "--yes"]);
    let text = said(&reset);
    assert_eq!(reset.status.code(), Some(3), "{text}\n{}", tracker.log());
    assert!(text.contains("is mounted there"), "{text}");
    assert!(node.sh("nft list chain ip filter KUBE-A").is_err(), "the rules went");
    // listing the tree would hang
    node.sh("test ! -e /var/lib/kubelet/config.yaml; test ! -e /var/lib/kubelet/plugins").expect("the files went");
    node.sh(&format!("umount -l {hung}")).expect("gone");
    drop(holding);
    let again = in_time(&node, &files, &["reset", "--owner", "kubernetes", "--yes"]);
    assert_eq!(again.status.code(), Some(0), "{}", said(&again));
    tracker.stop().expect("a clean stop");
}
