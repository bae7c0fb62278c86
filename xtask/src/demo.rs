//! The demo: the whole path on a node made for it.

use std::time::Instant;

use netdeed_tests::canonical::Canonical;
use netdeed_tests::node::Node;
use netdeed_tests::scenario::{admin, cni, docker::Docker, kube_proxy};
use netdeed_tests::tracker::{Files, Tracker};

use crate::error::XtaskError;
use crate::{provision, shell};

/// Services of the kube-proxy ruleset.
const SERVICES: usize = 200;
/// Directories whose tree is compared.
const DIRS: [&str; 5] = ["/etc/cni", "/var/lib/cni", "/opt/cni", "/etc/kubernetes", "/var/lib/kubelet"];

/// Runs the demo.
pub(crate) fn run() -> Result<(), XtaskError> {
    let began = Instant::now();
    provision::run()?;
    shell::build_programs(false)?;
    heading("A node of its own: a network and a mount namespace");
    let node = Node::new()?;
    let files = Files::named(&node, "demo");
    let tracker = Tracker::start(&node, &files, "")?;
    println!("netdeedd runs in it, process {}", tracker.pid());
    show(&tracker, &["status"])?;

    heading("Real programs act, interleaved");
    let docker = Docker::start(&node)?;
    said("dockerd is up");
    docker.publish()?;
    said("Docker runs a web server and publishes its port 80 as 8080");
    let untouched = Canonical::of(&node, &DIRS)?;
    cni::install(&node)?;
    let pods = [cni::Pod::new("web-0", &[(30080, 80)]), cni::Pod::new("web-1", &[(30081, 80)])];
    for pod in &pods {
        cni::add(&node, pod)?;
        said(&format!("CNI plugins bridge, portmap and firewall attach pod {}/{}", pod.namespace, pod.name));
    }
    kube_proxy::sync(&node, SERVICES)?;
    said(&format!("kube-proxy's ruleset of {SERVICES} services goes in by iptables-restore --noflush"));
    admin::allow_vpn(&node, 3)?;
    said("an administrator inserts a rule by hand as rule 3 of FORWARD");
    println!("\n{}", node.sh("iptables-nft -S FORWARD | tail -n +2 | cat -n")?);

    ask(&node, &tracker)?;
    rollback(&node, &tracker, &docker, &untouched)?;
    tracker.stop()?;
    said("netdeedd stopped");
    drop(docker);
    drop(node);
    said(&format!("nothing is left of the node; all of it took {} s", began.elapsed().as_secs()));
    Ok(())
}

/// Who owns what, and who added these rules.
fn ask(node: &Node, tracker: &Tracker<'_>) -> Result<(), XtaskError> {
    heading("Who owns what");
    show(tracker, &["ls", "--summary"])?;
    heading("Who added these rules of FORWARD");
    let rules = node.sh("iptables-nft -S FORWARD | tail -n +2")?;
    let position = |what: &str| rules.lines().position(|rule| rule.contains(what)).map(|index| (index + 1).to_string());
    for (what, whose) in [
        ("DOCKER-USER", "Docker's"),
        (admin::COMMENT, "the administrator's"),
        ("KUBE-FORWARD", "kube-proxy's"),
        ("CNI-FORWARD", "a CNI plugin's"),
    ] {
        let position = position(what).ok_or_else(|| XtaskError::Wrong(format!("{whose} rule is not in FORWARD")))?;
        show(tracker, &["who", "rule", "filter", "FORWARD", &position])?;
    }
    show(tracker, &["who", "link", "cni0"])?;
    show(tracker, &["who", "dir", "/etc/cni/net.d"])
}

/// The plan, the reset, and the proof.
fn rollback(node: &Node, tracker: &Tracker<'_>, docker: &Docker<'_>, untouched: &Canonical) -> Result<(), XtaskError> {
    heading("What a reset of Kubernetes would do");
    let plan = tracker.text(&["plan", "--owner", "kubernetes"])?;
    abridged(&plan, 24);
    let admins_rule =
        |node: &Node| node.sh(&format!("iptables-nft-save | grep -n '{}' | cut -d: -f2-", admin::COMMENT));
    let rule_before = admins_rule(node)?;
    require(docker.answers(), "the container's published port answers before the reset")?;

    heading("The reset");
    let reset = tracker.text(&["reset", "--owner", "kubernetes", "--yes"])?;
    abridged(&reset, 40);

    heading("The proof");
    let after = Canonical::of(node, &DIRS)?;
    require(admins_rule(node)? == rule_before, "the administrator's rule is byte-identical to before")?;
    require(docker.answers(), "the container's published port answers after the reset")?;
    // The counterfactual: what was there before Kubernetes came, and what the administrator added since.
    node.admin_sh(&format!(
        "iptables-nft -D FORWARD -s 10.99.0.0/16 -m comment --comment '{}' -j ACCEPT",
        admin::COMMENT
    ))?;
    let without_admin = Canonical::of(node, &DIRS)?;
    let diff = untouched.diff(&without_admin);
    println!(
        "diff of the node before Kubernetes came and now (the administrator's rule taken out for the comparison):"
    );
    println!("{}", if diff.is_empty() { "(none)" } else { &diff });
    require(diff.is_empty(), "nothing of Kubernetes is left, everything of Docker's is byte-identical")?;
    require(!after.0["iptables-save"].contains("KUBE-"), "no KUBE- chain is left")?;
    show(tracker, &["ls", "--owner", "kubernetes"])
}

fn heading(text: &str) {
    println!("\n=== {text}\n");
}

fn said(text: &str) {
    println!("- {text}");
}

fn require(holds: bool, what: &str) -> Result<(), XtaskError> {
    println!("[{}] {what}", if holds { "ok" } else { "NOT SO" });
    if holds { Ok(()) } else { Err(XtaskError::Wrong(format!("not so: {what}"))) }
}

fn show(tracker: &Tracker<'_>, args: &[&str]) -> Result<(), XtaskError> {
    println!("$ netdeed {}", args.join(" "));
    println!("{}", tracker.text(args)?);
    Ok(())
}

/// Long texts by their head and their tail.
fn abridged(text: &str, most: usize) {
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() <= most {
        println!("{text}");
        return;
    }
    let half = most / 2;
    for line in &lines[..half] {
        println!("{line}");
    }
    println!("  ... {} lines ...", lines.len() - 2 * half);
    for line in &lines[lines.len() - half..] {
        println!("{line}");
    }
}
