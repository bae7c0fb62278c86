//! Who may know whom: `ARCHITECTURE.md`'s boundaries, read off the sources.
//!
//! Only shipped code counts: comments, `tests` modules and everything from a file's inline `#[cfg(test)]` module on are
//! left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What each stage may import of the others, and why where that is not the order of the flow.
const MAY_IMPORT: [(&str, &[&str]); 15] = [
    ("model", &[]),
    ("causes", &[]),
    ("decode", &["model"]),
    ("render", &["decode", "model"]),
    // a dump is decoded by the same pure functions as a notification
    ("capture", &["decode", "model"]),
    ("lineage", &["model"]),
    ("attribution", &["lineage", "model"]),
    ("journal", &["causes", "model"]),
    // reading before a removal is the same dump that capture takes; requests are built of what decode reads
    ("host", &["capture", "decode", "model"]),
    // the planner looks into stored netlink messages with decode's views
    ("rollback", &["causes", "decode", "host", "model", "render"]),
    // the documents it makes are defined beside the socket that carries them
    // which IP sets a rule uses stands in its expressions
    ("query", &["control", "decode", "journal", "model", "render", "rollback"]),
    ("control", &["causes", "journal", "model", "query"]),
    ("config", &["capture"]),
    (
        "pipeline",
        &[
            "attribution",
            "capture",
            "causes",
            "config",
            "control",
            "decode",
            "host",
            "journal",
            "lineage",
            "model",
            "query",
            "rollback",
        ],
    ),
    // what a former run left is received before anything else
    ("main", &["capture", "config", "control", "pipeline"]),
];

/// Imports of one file that its stage may not have otherwise.
const EXCEPTIONS: [(&str, &str); 1] = [
    // what the kernel removes together is the same fact for the planner and for the kernel it plans against in tests
    ("host/fake/net.rs", "rollback"),
];

/// A word that only some files may use, as a path prefix each.
const ONLY_IN: [(&str, &[&str], &str); 14] = [
    ("sled::", &["journal/sled.rs"], "one file knows sled"),
    ("aya::", &["capture/bpf/"], "one folder knows aya"),
    (
        "unsafe ",
        &["capture/bpf/", "capture/fanotify/sys.rs", "capture/kept.rs", "capture/legacy/sys.rs", "host/legacy/sys.rs"],
        "unsafe at the kernel boundary only",
    ),
    ("Command::new", &["capture/bpf/self_test/acts.rs"], "only the self-test starts a process: itself"),
    ("SystemTime::now", &["model/time.rs"], "one file reads the clock people use"),
    ("env::var", &[], "the library is configured by values"),
    (
        "crate::host",
        &[
            "host/",
            "pipeline/node.rs",
            "rollback/execution.rs",
            "rollback/executor.rs",
            "rollback/run.rs",
            "rollback/undo/",
            "pipeline/undo.rs",
            "pipeline/start.rs",
            // reads the live state
            "pipeline/swap.rs",
        ],
        "only a rollback acts",
    ),
    ("fs::write", WRITERS, "nothing left of the journal writes"),
    ("fs::remove", WRITERS, "nothing left of the journal writes"),
    ("fs::rename", WRITERS, "nothing left of the journal writes"),
    ("fs::create", WRITERS, "nothing left of the journal writes"),
    ("fs::set_permissions", WRITERS, "nothing left of the journal writes"),
    ("File::create", WRITERS, "nothing left of the journal writes"),
    ("unlinkat(", &["host/files.rs"], "paths are removed by the host"),
];

/// Who may write files: the journal its own, the socket its own, the host what a rollback removes.
const WRITERS: &[&str] = &["journal/", "control/socket.rs", "host/"];

/// Words that code which only computes may not use: no files, no clock, no sockets, no threads.
const PURE: &[&str] =
    &["decode/", "model/", "render/", "rollback/planner/", "attribution/classify/", "attribution/names/"];
const IMPURE_WORDS: [&str; 7] =
    ["std::fs", "std::io", "std::thread", "std::process", "Instant::now", "rustix::", "tracing::"];
/// The clocks are read here, and nowhere else in `model`.
const CLOCKS: &str = "model/time.rs";

struct SourceFile {
    /// Below `src`.
    path: String,
    code: String,
}

impl SourceFile {
    fn stage(&self) -> &str {
        let first = self.path.split('/').next().expect("a part");
        first.strip_suffix(".rs").unwrap_or(first)
    }
}

fn sources() -> Vec<SourceFile> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut folders = vec![top.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(source(&top, &path));
            }
        }
    }
    files.retain(|file| !is_for_tests(&file.path));
    assert!(files.len() > 150, "the sources are elsewhere: {} files found", files.len());
    files
}

fn source(top: &Path, path: &PathBuf) -> SourceFile {
    let text = std::fs::read_to_string(path).expect("text");
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    let is_inline = |(at, _): &(usize, &str)| text[*at..].lines().nth(2).is_some_and(|line| line.ends_with('{'));
    let tests = text.match_indices("\n#[cfg(test)]").find(is_inline).map_or(text.len(), |(at, _)| at);
    let code = text[..tests].lines().filter(is_code).map(|line| format!("{line}\n")).collect();
    SourceFile { path: path.strip_prefix(top).expect("below the top").display().to_string(), code }
}

fn is_for_tests(path: &str) -> bool {
    let mut parts = path.split('/');
    parts.any(|part| part == "tests" || part.ends_with("tests.rs") || part == "testing.rs" || part == "cases.rs")
}

/// The modules named in `crate::...` paths and in the binary's paths into the library.
fn imports(code: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for prefix in ["crate::", "netdeed_tracker::"] {
        for (at, _) in code.match_indices(prefix) {
            let rest = &code[at + prefix.len()..];
            let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(rest.len());
            assert_ne!(end, 0, "a grouped import hides what it names: `{}`", rest.lines().next().unwrap_or_default());
            found.insert(&rest[..end]);
        }
    }
    found
}

/// Whether a word is there; one that ends in `::` only as a crate, not as a module of that name.
fn uses(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| !word.ends_with("::") || !code[..at].ends_with([':', '_']))
}

#[test]
fn stages_import_only_what_they_may() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_IMPORT.into_iter().collect();
    let mut wrong = Vec::new();
    let mut used: BTreeSet<(&str, &str)> = BTreeSet::new();
    let files = sources();
    for file in files.iter().filter(|file| file.path != "lib.rs") {
        let stage = file.stage();
        let may = *allowed.get(stage).unwrap_or_else(|| panic!("`{stage}` has no row in MAY_IMPORT"));
        for module in imports(&file.code).into_iter().filter(|module| *module != stage) {
            used.insert((stage, module));
            if !may.contains(&module) && !EXCEPTIONS.contains(&(&file.path, module)) {
                wrong.push(format!("{} imports `{module}`", file.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let rows = MAY_IMPORT.iter().flat_map(|(stage, may)| may.iter().map(move |module| (*stage, *module)));
    let stale: Vec<_> = rows.filter(|row| !used.contains(row)).collect();
    assert!(stale.is_empty(), "allowed, and nobody needs it: {stale:?}");
}

#[test]
fn words_stay_where_they_belong() {
    let mut wrong = Vec::new();
    for file in sources() {
        for (word, places, why) in ONLY_IN {
            if uses(&file.code, word) && !places.iter().any(|place| file.path.starts_with(place)) {
                wrong.push(format!("{} uses `{word}`: {why}", file.path));
            }
        }
        let is_pure = file.path != CLOCKS && PURE.iter().any(|place| file.path.starts_with(place));
        for word in IMPURE_WORDS.iter().filter(|word| is_pure && file.code.contains(**word)) {
            wrong.push(format!("{} uses `{word}`, and is to compute only", file.path));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn places_that_are_named_exist() {
    let files = sources();
    let named = ONLY_IN.iter().flat_map(|(_, places, _)| places.iter()).chain(PURE).chain([&CLOCKS]);
    for place in named.chain(EXCEPTIONS.iter().map(|(path, _)| path)) {
        assert!(files.iter().any(|file| file.path.starts_with(place)), "nothing is at `{place}`");
    }
}

#[test]
fn files_stay_short() {
    let long: Vec<_> =
        sources().into_iter().filter(|file| file.code.lines().count() > 500).map(|file| file.path).collect();
    assert!(long.is_empty(), "more than 500 lines: {long:?}");
}
