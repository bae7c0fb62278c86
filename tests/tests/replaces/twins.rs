//! Three nodes on which the same happens, without Kubernetes on one of them, and what is made of the other two.

use netdeed_tests::canonical::Canonical;
use netdeed_tests::node::Node;
use netdeed_tests::oracle::{Stage, Step};
use netdeed_tests::tracker::{Files, Tracker};

use super::said;

/// What happens on the nodes.
pub(crate) struct Case<'a> {
    pub(crate) steps: &'a [Step],
    /// The cleanup, run by an administrator's shell that goes on when a command fails.
    pub(crate) script: &'a str,
    /// The tracker's configuration.
    pub(crate) config: &'a str,
    /// Directories whose trees are compared, with the digests of their files.
    pub(crate) dirs: &'a [&'static str],
    /// What has to work as on the node without Kubernetes.
    pub(crate) works: fn(&Node) -> bool,
}

/// A node at the end.
pub(crate) struct End {
    pub(crate) dump: Canonical,
    pub(crate) works: bool,
    /// Exit code and what was printed.
    pub(crate) exit: Option<i32>,
    pub(crate) said: String,
}

/// The three of them.
pub(crate) struct Twins {
    pub(crate) never: End,
    pub(crate) reset: End,
    pub(crate) cleaned: End,
}

/// Everything there is to compare, by names that two nodes share.
pub(crate) fn dump(node: &Node, dirs: &[&str]) -> Canonical {
    let mut dump = Canonical::of(node, dirs).expect("dumps").neutral();
    let digests = format!("find {} -type f -exec sha256sum {{}} + 2>/dev/null | sort -k2 || true", dirs.join(" "));
    dump.0.insert("contents", if dirs.is_empty() { String::new() } else { node.sh(&digests).expect("digests") });
    dump
}

impl Case<'_> {
    /// Lets it happen.
    pub(crate) fn run(&self) -> Twins {
        std::thread::scope(|scope| {
            let never = scope.spawn(|| self.never());
            let cleaned = scope.spawn(|| self.cleaned());
            let reset = self.reset();
            let joined = |end: std::thread::ScopedJoinHandle<'_, End>| {
                end.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            Twins { never: joined(never), reset, cleaned: joined(cleaned) }
        })
    }

    fn never(&self) -> End {
        let node = Node::new().expect("a node");
        let _stage =
            Stage::run(&node, self.steps.iter().filter(|step| !step.is_kubernetes())).expect("the others' steps");
        End { dump: dump(&node, self.dirs), works: (self.works)(&node), exit: None, said: String::new() }
    }

    fn cleaned(&self) -> End {
        let node = Node::new().expect("a node");
        let mut stage = Stage::run(&node, self.steps.iter()).expect("all steps");
        assert!((self.works)(&node), "it works before the cleanup");
        stage.stop_kubernetes();
        let output = node.admin("sh").args(["-c", self.script]).output().expect("run");
        End {
            dump: dump(&node, self.dirs),
            works: (self.works)(&node),
            exit: output.status.code(),
            said: said(&output),
        }
    }

    /// Resets, brings everything back once, and resets again.
    fn reset(&self) -> End {
        let node = Node::new().expect("a node");
        let tracker = Tracker::start(&node, &Files::named(&node, "tracker"), self.config).expect("a tracker");
        let mut stage = Stage::run(&node, self.steps.iter()).expect("all steps");
        assert!((self.works)(&node), "it works before the reset");
        stage.stop_kubernetes();
        let before = dump(&node, self.dirs);
        let reset = || tracker.cli(&["reset", "--owner", "kubernetes", "--yes"]).expect("run");
        let first = said(&reset());
        let undo = tracker.cli(&["undo", "--yes"]).expect("run");
        let back = dump(&node, self.dirs);
        for name in ["directories", "contents"] {
            assert_eq!(back.0[name], before.0[name], "{name} come back\n{first}\n{}", said(&undo));
        }
        let output = reset();
        let text = format!("{}\n{first}\n{}\n{}", said(&output), said(&undo), tracker.log());
        let end =
            End { dump: dump(&node, self.dirs), works: (self.works)(&node), exit: output.status.code(), said: text };
        drop(stage);
        tracker.stop().expect("a clean stop");
        end
    }
}

impl Twins {
    /// Fails unless the reset left what is there where Kubernetes never ran, and said that it refused nothing.
    pub(crate) fn assert_reset(&self) {
        let diff = self.never.dump.diff(&self.reset.dump);
        assert!(diff.is_empty(), "{diff}\n{}", self.reset.said);
        assert_eq!(self.reset.exit, Some(0), "{}", self.reset.said);
        assert!(self.never.works && self.reset.works, "what others run goes on\n{}", self.reset.said);
    }

    /// Fails unless the cleanup took each of these from others, and left each of those of Kubernetes.
    pub(crate) fn assert_cleanup(&self, broken: &[&str], left: &[&str]) {
        let diff = self.never.dump.diff(&self.cleaned.dump);
        let has = |sign: char, text: &str| diff.lines().any(|line| line.starts_with(sign) && line.contains(text));
        let missing: Vec<&&str> =
            (broken.iter().filter(|text| !has('-', text))).chain(left.iter().filter(|text| !has('+', text))).collect();
        assert!(missing.is_empty(), "{missing:?} not in\n{diff}\n{}", self.cleaned.said);
    }
}
