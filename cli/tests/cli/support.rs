//! Runs the binary, with a tracker of the fixture's behind it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::control::{Node, serve, socket};
use crate::fixture::node::FixtureNode;

/// A tracker that answers in this process until dropped.
pub(crate) struct Tracker {
    pub(crate) node: Arc<FixtureNode>,
    pub(crate) directory: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    runtime: Option<Runtime>,
    _file: socket::SocketFile,
}

impl Tracker {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("runtime");
        let node = Arc::new(FixtureNode::new());
        let (stop, stopped) = oneshot::channel();
        let guard = runtime.enter();
        let bound = socket::bind(&directory.path().join("netdeed.sock")).expect("bind");
        runtime.spawn(serve(bound.listener, Arc::clone(&node) as Arc<dyn Node>, async {
            let _ = stopped.await;
        }));
        drop(guard);
        Self { node, directory, stop: Some(stop), runtime: Some(runtime), _file: bound.file }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("netdeed.sock")
    }

    /// The binary, told where this tracker is.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        netdeed(&self.socket(), arguments)
    }

    /// What the binary answers.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        ran(self.command(arguments).output().expect("the binary runs"))
    }

    /// Stops answering; streams end.
    pub(crate) fn stop(&mut self) {
        self.stop.take().map(|stop| stop.send(()));
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        self.stop();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// How the binary ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// What a process that ended answered.
pub(crate) fn ran(output: Output) -> Ran {
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// The binary with a socket, no journal, and an environment of its own.
pub(crate) fn netdeed(socket: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netdeed"));
    command.env_remove("NO_COLOR").env_remove("NETDEED_SOCKET").env_remove("COLUMNS").stdin(Stdio::null());
    command.arg("--socket").arg(socket).args(["--journal", "/nonexistent/journal"]).args(arguments);
    command
}

/// What the binary answers where no tracker runs.
pub(crate) fn run_alone(arguments: &[&str]) -> Ran {
    ran(netdeed(Path::new("/nonexistent/netdeed.sock"), arguments).output().expect("the binary runs"))
}

/// The binary on a terminal of its own (`script` makes one), with `typed` as what the user types.
pub(crate) fn on_a_terminal(tracker: &Tracker, arguments: &[&str], typed: &str) -> Ran {
    on_a_terminal_of(100, tracker, arguments, typed)
}

/// The same on a terminal so many columns wide.
pub(crate) fn on_a_terminal_of(columns: u16, tracker: &Tracker, arguments: &[&str], typed: &str) -> Ran {
    let command = tracker.command(arguments);
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line: Vec<String> = words.map(|word| format!("'{}'", word.to_str().expect("text"))).collect();
    let mut script = Command::new("script");
    let line = format!("stty cols {columns}; {}", line.join(" "));
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    script.env("TERM", "xterm").env_remove("NO_COLOR");
    let mut script =
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("script runs");
    script.stdin.take().expect("piped").write_all(typed.as_bytes()).expect("typed");
    ran(script.wait_with_output().expect("script ends"))
}

/// Compares with `tests/golden/NAME.txt`, or writes it when `NETDEED_BLESS` is set.
pub(crate) fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.txt"));
    let text = mask(text);
    if std::env::var_os("NETDEED_BLESS").is_some() {
        std::fs::write(&path, text).expect("golden file is written");
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "differs from {}; NETDEED_BLESS=1 writes it anew", path.display());
}

/// What depends on when and where the test runs.
fn mask(text: &str) -> String {
    let mut masked = String::new();
    for line in text.lines() {
        let line = line.trim_end();
        match (line.find(" UTC ("), line.find(" ago)")) {
            (Some(start), Some(end)) if start < end => {
                masked.push_str(&format!("{} UTC (LONG{}", &line[..start], &line[end..]));
            }
            _ => masked.push_str(line),
        }
        masked.push('\n');
    }
    masked
}
