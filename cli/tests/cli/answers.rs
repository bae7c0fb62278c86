//! What people and programs read.

use serde_json::Value;

use crate::fixture::world;
use crate::journal::Entry;
use crate::support::{Tracker, golden, on_a_terminal_of, run_alone};

#[test]
fn help_is_as_recorded() {
    for (name, arguments) in [
        ("help", &["--help"][..]),
        ("help-who", &["who", "--help"]),
        ("help-who-rule", &["who", "rule", "--help"]),
        ("help-ls", &["ls", "--help"]),
        ("help-log", &["log", "--help"]),
        ("help-reset", &["reset", "--help"]),
    ] {
        let ran = run_alone(arguments);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        golden(name, &ran.stdout);
    }
}

#[test]
fn answers_for_people_are_as_recorded() {
    let tracker = Tracker::start();
    for (name, arguments) in [
        ("who-rule", &["who", "rule", "filter", "FORWARD", "3"][..]),
        ("who-rule-hostile", &["who", "rule", "filter", "FORWARD", "--handle", "18"]),
        ("who-chain", &["who", "chain", "FORWARD"]),
        ("who-link", &["who", "link", "cni0"]),
        ("who-link-removed", &["who", "link", "flannel.1"]),
        ("who-dir", &["who", "dir", "/etc/cni/net.d"]),
        ("who-route", &["who", "route", "10.244.0.0/24"]),
        ("ls", &["ls"]),
        ("ls-long", &["ls", "--owner", "kubernetes", "--class", "rule,chain,link", "--all", "--long"]),
        ("ls-summary", &["ls", "--summary"]),
        ("log", &["log"]),
        ("log-object", &["log", "--object", "3"]),
        ("status", &["status"]),
    ] {
        let ran = tracker.run(arguments);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{arguments:?}");
        assert!(!ran.stdout.contains('\u{1b}'), "no escape sequence gets through: {:?}", ran.stdout);
        golden(name, &ran.stdout);
    }
}

#[test]
fn json_and_yaml_are_the_documents_of_the_api() {
    let tracker = Tracker::start();
    for (kind, arguments) in [
        ("who", &["who", "rule", "filter", "FORWARD", "3"][..]),
        ("objects", &["ls"]),
        ("owners", &["ls", "--summary"]),
        ("log", &["log"]),
        ("status", &["status"]),
    ] {
        let json = tracker.run(&[arguments, &["-o", "json"]].concat());
        assert_eq!(json.code, Some(0));
        let document: Value = serde_json::from_str(&json.stdout).expect("JSON");
        assert_eq!((&document["schema"], &document["kind"]), (&"netdeed.v1".into(), &kind.into()));
        let yaml = tracker.run(&[arguments, &["-o", "yaml"]].concat());
        assert_eq!(serde_yaml_ng::from_str::<Value>(&yaml.stdout).expect("YAML"), document);
    }
    let who = tracker.run(&["who", "rule", "filter", "FORWARD", "3", "-o", "json"]);
    golden("who-rule-json", &who.stdout);
}

#[test]
fn colours_are_for_terminals_and_for_those_who_ask() {
    let tracker = Tracker::start();
    let is_colored = |arguments: &[&str], no_color: &str| {
        let output = tracker.command(arguments).env("NO_COLOR", no_color).output().expect("the binary runs");
        output.stdout.contains(&0x1b)
    };
    for verb in [&["ls"][..], &["log"], &["status"], &["who", "link", "cni0"]] {
        assert!(!is_colored(verb, ""), "{verb:?} into a pipe");
        assert!(is_colored(&[verb, &["--color", "always"]].concat(), ""), "{verb:?} with --color always");
        assert!(is_colored(&[verb, &["--color", "always"]].concat(), "1"), "the option is nearer than the variable");
        let terminal = crate::support::on_a_terminal(&tracker, verb, "");
        assert!(terminal.stdout.contains("\u{1b}["), "{verb:?} on a terminal: {}", terminal.stdout);
        let plain = crate::support::on_a_terminal(&tracker, &[verb, &["--color", "never"]].concat(), "");
        assert!(!plain.stdout.contains("\u{1b}["), "{verb:?} with --color never: {}", plain.stdout);
    }
}

#[test]
fn lines_fit_the_terminal() {
    let tracker = Tracker::start();
    for columns in [80, 100, 200] {
        for arguments in [
            &["ls"][..],
            &["ls", "--all", "--long"],
            &["log"],
            &["who", "link", "flannel.1"],
            &["plan", "--owner", "kubernetes"],
        ] {
            let ran = on_a_terminal_of(columns, &tracker, &[arguments, &["--color", "never"]].concat(), "");
            for line in ran.stdout.lines() {
                let length = line.trim_end().chars().count();
                assert!(length <= usize::from(columns), "{arguments:?} in {columns} columns: {}", ran.stdout);
            }
        }
    }
    // a column for each class needs some room
    for arguments in [&["ls", "--summary"][..], &["status"]] {
        let wide = on_a_terminal_of(100, &tracker, &[arguments, &["--color", "never"]].concat(), "").stdout;
        assert!(wide.lines().all(|line| line.trim_end().chars().count() <= 100), "{wide}");
    }
    // names are broken at spaces only
    let narrow = on_a_terminal_of(80, &tracker, &["ls", "--color", "never"], "").stdout;
    for word in ["kubernetes/kube-proxy", "10.244.0.1/24", "KUBE-SERVICES", "2026-05-04 03:02:01"] {
        assert!(narrow.contains(word), "{word} is whole: {narrow}");
    }
}

#[test]
fn a_followed_log_goes_on_until_the_tracker_stops() {
    use std::io::{BufRead, BufReader, Read};
    let mut tracker = Tracker::start();
    let mut command = tracker.command(&["log", "-f", "-n", "1", "-o", "json"]);
    let mut child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().expect("runs");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().expect("a line").expect("text")).expect("JSON") };
    let shown = next();
    assert_eq!((&shown["kind"], &shown["data"]["change"]), (&"event".into(), &"removed".into()));
    tracker.node.append(Entry::Started { scope: world::scope(), time: world::at(80) });
    let came = next();
    assert_eq!(came["data"]["event"], "started");
    assert_eq!(came["data"]["seq"].as_u64(), shown["data"]["seq"].as_u64().map(|seq| seq + 1));

    tracker.stop();
    let mut stderr = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut stderr).expect("text");
    assert_eq!((child.wait().expect("ends").code(), stderr.as_str()), (Some(4), "error: the tracker stopped\n"));
}

#[test]
fn manual_pages_and_completions_are_written() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("man1");
    assert_eq!(run_alone(&["man", path.to_str().expect("text")]).code, Some(0));
    for page in ["netdeed.1", "netdeed-who-rule.1", "netdeed-reset.1"] {
        let page = std::fs::read_to_string(path.join(page)).expect("page");
        assert!(page.contains(".TH"), "{page}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let ran = run_alone(&["completions", shell]);
        assert!(ran.code == Some(0) && ran.stdout.contains("netdeed") && ran.stdout.contains("include-inferred"));
    }
}
