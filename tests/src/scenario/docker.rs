//! A real `dockerd` with a container whose port is published.

use std::fs::File;
use std::process::Child;
use std::time::Duration;

use crate::node::Node;
use crate::{Failure, Result, wait};

/// The published port.
pub const PORT: u16 = 8080;
/// What the container answers.
pub const ANSWER: &str = "hello from the container";

/// A running Docker daemon.
#[derive(Debug)]
pub struct Docker<'a> {
    node: &'a Node,
    daemon: Child,
}

impl<'a> Docker<'a> {
    /// Starts the daemon and waits until it answers.
    ///
    /// # Errors
    /// When it does not, with its log.
    pub fn start(node: &'a Node) -> Result<Self> {
        Self::start_with(node, &[])
    }

    /// Starts the daemon without its proxy processes: a published port works by its rules alone.
    ///
    /// # Errors
    /// When it does not answer, with its log.
    pub fn start_without_proxy(node: &'a Node) -> Result<Self> {
        Self::start_with(node, &["--userland-proxy=false"])
    }

    fn start_with(node: &'a Node, more: &[&str]) -> Result<Self> {
        let log_path = node.scratch().join("dockerd.log");
        let log = File::create(&log_path)?;
        let daemon = node
            .command("dockerd")
            // `vfs` needs nothing from the filesystem below
            .args(["--storage-driver", "vfs", "--host", "unix:///run/docker.sock"])
            .args(more)
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| Failure::new("cannot run `dockerd`", error))?;
        let docker = Self { node, daemon };
        wait::until("an answer of dockerd", Duration::from_secs(60), || {
            docker.run("docker -H unix:///run/docker.sock info").ok()
        })
        .map_err(|failure| Failure(format!("{failure}\n{}", std::fs::read_to_string(&log_path).unwrap_or_default())))?;
        Ok(docker)
    }

    /// Runs a shell script whose `docker` speaks with this daemon, and gives what it prints.
    ///
    /// # Errors
    /// When it fails, with all it printed.
    pub fn run(&self, script: &str) -> Result<String> {
        self.node.sh(&format!("export DOCKER_HOST=unix:///run/docker.sock; {script}"))
    }

    /// Makes an image of the static busybox and runs a web server from it.
    ///
    /// # Errors
    /// When Docker refuses.
    pub fn publish(&self) -> Result<()> {
        self.run(&format!(
            "mkdir -p /run/image/bin /run/image/www
             cp /bin/busybox /run/image/bin/
             echo '{ANSWER}' > /run/image/www/index.html
             tar -C /run/image -c . | docker import - web:1
             docker run --detach --name web --publish {PORT}:80 web:1 /bin/busybox httpd -f -p 80 -h /www"
        ))?;
        wait::until("the container's answer", Duration::from_secs(20), || self.answers().then_some(()))
    }

    /// Whether the published port answers.
    pub fn answers(&self) -> bool {
        self.node
            .sh(&format!("timeout 5 busybox wget -q -O- http://127.0.0.1:{PORT}/"))
            .is_ok_and(|answer| answer.trim() == ANSWER)
    }

    /// Removes the container.
    ///
    /// # Errors
    /// When Docker refuses.
    pub fn unpublish(&self) -> Result<()> {
        self.run("docker rm --force web").map(drop)
    }
}

impl Drop for Docker<'_> {
    fn drop(&mut self) {
        // the daemon ends its containers and its containerd itself when asked nicely
        if let Some(pid) = rustix::process::Pid::from_raw(self.daemon.id().cast_signed()) {
            let _ = self.run("docker rm --force web");
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let daemon = &mut self.daemon;
            let ended = wait::until("dockerd's end", Duration::from_secs(20), || daemon.try_wait().ok().flatten());
            if ended.is_err() {
                let _ = self.daemon.kill();
                let _ = self.daemon.wait();
            }
        }
    }
}
