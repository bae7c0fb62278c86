//! The tracker under test and its companion.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::Duration;

use serde_json::Value;

use crate::node::Node;
use crate::{Failure, Result, wait};

/// Longest time a tracker may take to be ready or to stop.
const DEADLINE: Duration = Duration::from_secs(60);

/// A tracker running in a node.
#[derive(Debug)]
pub struct Tracker<'a> {
    node: &'a Node,
    child: Child,
    files: Files,
}

/// Where a tracker keeps things.
#[derive(Debug, Clone)]
pub struct Files {
    /// Configuration; empty by default.
    pub config: PathBuf,
    /// Journal directory.
    pub journal: PathBuf,
    /// Control socket.
    pub socket: PathBuf,
    /// Its log.
    pub log: PathBuf,
}

impl Files {
    /// Files in the node's scratch directory, under a name.
    pub fn named(node: &Node, name: &str) -> Self {
        let at = |suffix: &str| node.scratch().join(format!("{name}.{suffix}"));
        Self { config: at("toml"), journal: at("journal"), socket: at("sock"), log: at("log") }
    }
}

impl<'a> Tracker<'a> {
    /// Starts a tracker with a configuration text and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready, with its log.
    pub fn start(node: &'a Node, files: &Files, config: &str) -> Result<Self> {
        Self::start_by(node, files, config, node.command(binary("netdeedd")?))
    }

    /// Starts a tracker by a command that ends with its program, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready, with its log.
    pub fn start_by(node: &'a Node, files: &Files, config: &str, command: Command) -> Result<Self> {
        let mut tracker = Self::spawn(node, files, config, command)?;
        let ready = tracker.wait_ready();
        ready.map_err(|failure| Failure(format!("{failure}\n{}", tracker.log())))?;
        Ok(tracker)
    }

    /// Starts a tracker by a command that ends with its program, without waiting.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn spawn(node: &'a Node, files: &Files, config: &str, mut command: Command) -> Result<Self> {
        std::fs::write(&files.config, config)?;
        let log = File::options().create(true).append(true).open(&files.log)?;
        let child = command
            .arg("--config")
            .arg(&files.config)
            .arg("--journal")
            .arg(&files.journal)
            .arg("--socket")
            .arg(&files.socket)
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| Failure::new("cannot run the tracker", error))?;
        Ok(Self { node, child, files: files.clone() })
    }

    fn wait_ready(&mut self) -> Result<()> {
        wait::until("the tracker's socket", DEADLINE, || {
            (self.files.socket.exists() || matches!(self.child.try_wait(), Ok(Some(_)))).then_some(())
        })?;
        if let Some(status) = self.child.try_wait()? {
            return Err(Failure(format!("the tracker ended with {status}")));
        }
        let output = self.cli(&["status", "--wait"])?;
        if output.status.success() { Ok(()) } else { Err(Failure::of_program("netdeed status --wait", &output)) }
    }

    /// Process id of the tracker.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the tracker logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.files.log).unwrap_or_default()
    }

    /// Runs the companion in the node.
    ///
    /// # Errors
    /// When it cannot be run; its own failure is in the output.
    pub fn cli(&self, args: &[&str]) -> Result<Output> {
        cli(self.node, &self.files, args)
    }

    /// Runs the companion and gives what it prints.
    ///
    /// # Errors
    /// When it fails.
    pub fn text(&self, args: &[&str]) -> Result<String> {
        let output = self.cli(args)?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(Failure::of_program(&format!("netdeed {}", args.join(" ")), &output))
        }
    }

    /// Runs the companion with `-o json` and parses what it prints.
    ///
    /// # Errors
    /// When it fails or prints no JSON.
    pub fn json(&self, args: &[&str]) -> Result<Value> {
        let mut all = vec!["-o", "json"];
        all.extend(args);
        let text = self.text(&all)?;
        serde_json::from_str(&text).map_err(|error| Failure::new(format!("no JSON: {text}"), error))
    }

    /// Asks the tracker to stop, and waits.
    ///
    /// # Errors
    /// When it does not stop cleanly in time.
    pub fn stop(mut self) -> Result<()> {
        self.signal(rustix::process::Signal::TERM);
        let child = &mut self.child;
        let status = wait::until("the tracker's end", DEADLINE, || child.try_wait().ok().flatten())?;
        if status.success() { Ok(()) } else { Err(Failure(format!("the tracker ended with {status}\n{}", self.log()))) }
    }

    /// Kills the tracker without warning.
    pub fn kill(mut self) {
        self.signal(rustix::process::Signal::KILL);
        let _ = self.child.wait();
    }

    /// Stops the tracker's clock while `act` runs, so that what the kernel queues for it must overflow.
    pub fn while_paused<T>(&self, act: impl FnOnce() -> T) -> T {
        self.signal(rustix::process::Signal::STOP);
        let value = act();
        self.signal(rustix::process::Signal::CONT);
        value
    }

    /// Waits for the tracker to end by itself and gives its exit code and log.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn wait_end(mut self) -> Result<(Option<i32>, String)> {
        let child = &mut self.child;
        let status = wait::until("the tracker's end", DEADLINE, || child.try_wait().ok().flatten())?;
        Ok((status.code(), self.log()))
    }

    fn signal(&self, signal: rustix::process::Signal) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }
}

impl Drop for Tracker<'_> {
    fn drop(&mut self) {
        self.signal(rustix::process::Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Runs the companion in a node, whether a tracker runs or not.
///
/// # Errors
/// When it cannot be run.
pub fn cli(node: &Node, files: &Files, args: &[&str]) -> Result<Output> {
    node.command(binary("netdeed")?)
        .arg("--socket")
        .arg(&files.socket)
        .arg("--journal")
        .arg(&files.journal)
        .args(args)
        .output()
        .map_err(|error| Failure::new("cannot run `netdeed`", error))
}

/// Where this workspace's programs are built: beside the running one.
///
/// # Errors
/// When it is not built.
pub fn binary(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let dirs = own.ancestors().skip(1).take(2);
    dirs.map(|dir: &Path| dir.join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| Failure(format!("`{name}` is not built: run `cargo build --workspace --bins` first")))
}
