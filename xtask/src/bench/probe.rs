//! The probes: each measures one thing in a process of its own inside the node and prints a line of nanoseconds a sample.

use std::fs::File;
use std::hint::black_box;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use netdeed_tests::Failure;
use netdeed_tests::node::{self, Node};

use netdeed_tracker::capture;
use netdeed_tracker::model::live::Ruleset;
use netdeed_tracker::model::nft::{NftItem, NftSnapshot, NftSubject};
use netdeed_tracker::model::subject::{Snapshot, Subject};
use netdeed_tracker::render;

use crate::error::XtaskError;

/// The table and the chain single rules go into.
const CHAIN: [&str; 3] = ["-t", "mangle", "BENCH"];
/// Processes of one sample.
const PROCESSES: u32 = 500;
/// System calls of one sample.
const CALLS: u32 = 100_000;
/// Directories of one sample.
const DIRECTORIES: u32 = 500;

/// Makes the chain single rules go into.
pub(super) fn make_chain(node: &Node) -> Result<(), XtaskError> {
    let [flag, table, chain] = CHAIN;
    node.sh(&format!("iptables-nft {flag} {table} -N {chain}"))?;
    Ok(())
}

/// What a probe measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Probe {
    /// `iptables-nft -A` of one rule, which is deleted again untimed.
    AddRule,
    /// `iptables-nft-restore --noflush` of the file at the path; its tables are deleted again untimed.
    Restore,
    /// Fork, exec and end of `/bin/true`, a process.
    Spawn,
    /// `getpid`, a call.
    Getpid,
    /// `sendto` of a UDP datagram with its destination, a call.
    Sendto,
    /// `sendto` of a UDP datagram on a connected socket, a call.
    Send,
    /// `mkdir` and `rmdir` in the directory at the path, a pair.
    Mkdir,
    /// Reading and decoding the ruleset, a rule.
    ReadRules,
    /// Putting the rules of the ruleset into words, a rule.
    RenderRules,
}

impl Probe {
    /// Takes samples and prints them, after some that only warm up.
    pub(super) fn run(self, samples: usize, path: &Path) -> Result<(), XtaskError> {
        let mut take = self.prepare(path)?;
        for _ in 0..self.warm_up() {
            take()?;
        }
        for _ in 0..samples {
            println!("{:.1}", take()?);
        }
        Ok(())
    }

    /// Runs the probe in a node and gives what it prints: nanoseconds.
    pub(super) fn run_in(
        self,
        node: &Node,
        programs: &Path,
        samples: usize,
        path: &Path,
    ) -> Result<Vec<f64>, XtaskError> {
        let name = self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let mut command = node.command(programs.join("xtask"));
        command.args(["bench", "--probe", &name, "--samples", &samples.to_string(), "--path"]).arg(path);
        let text = node::output_of(&mut command, &name)?;
        let parse = |line: &str| line.parse().map_err(|error| Failure::new(format!("probe printed `{line}`"), error));
        Ok(text.lines().map(parse).collect::<Result<_, Failure>>()?)
    }

    /// Samples that are not counted: caches, and the first page faults of this process.
    pub(super) fn warm_up(self) -> usize {
        match self {
            Self::AddRule => 5,
            Self::Restore => 0,
            Self::Spawn | Self::Getpid | Self::Sendto | Self::Send | Self::Mkdir => 1,
            Self::ReadRules | Self::RenderRules => 1,
        }
    }

    /// The closure that takes one sample, nanoseconds.
    fn prepare(self, path: &Path) -> Result<Box<dyn FnMut() -> Result<f64, XtaskError>>, XtaskError> {
        let path = path.to_owned();
        Ok(match self {
            Self::AddRule => Box::new(add_rule),
            Self::Restore => Box::new(move || restore(&path)),
            Self::Spawn => Box::new(|| repeat(PROCESSES, || run(&mut Command::new("/bin/true")).map(|_| ()))),
            Self::Getpid => Box::new(|| {
                repeat(CALLS, || {
                    black_box(rustix::process::getpid());
                    Ok(())
                })
            }),
            Self::Sendto => {
                let (receiver, sender) = sockets()?;
                let address = receiver.local_addr().map_err(network("name"))?;
                Box::new(move || {
                    let _ = &receiver;
                    repeat(CALLS, || sender.send_to(&[7; 64], address).map(|_| ()).map_err(network("send on")))
                })
            }
            Self::Send => {
                let (receiver, sender) = sockets()?;
                sender.connect(receiver.local_addr().map_err(network("name"))?).map_err(network("connect"))?;
                Box::new(move || {
                    let _ = &receiver;
                    repeat(CALLS, || sender.send(&[7; 64]).map(|_| ()).map_err(network("send on")))
                })
            }
            Self::Mkdir => Box::new(move || make_directories(&path)),
            Self::ReadRules => Box::new(|| read_rules().map(|(time, _)| time)),
            Self::RenderRules => Box::new(render_rules),
        })
    }
}

/// Nanoseconds of one of `times` calls.
fn repeat(times: u32, mut call: impl FnMut() -> Result<(), XtaskError>) -> Result<f64, XtaskError> {
    let began = Instant::now();
    for _ in 0..times {
        call()?;
    }
    Ok(nanoseconds(began.elapsed()) / f64::from(times))
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

/// Runs a program to its end and says how long that took.
fn run(command: &mut Command) -> Result<f64, XtaskError> {
    command.stdout(Stdio::null());
    let began = Instant::now();
    let status = command.status();
    let time = nanoseconds(began.elapsed());
    let program = || command.get_program().to_string_lossy().into_owned();
    let status = status.map_err(|source| XtaskError::Spawn { program: program(), source })?;
    if status.success() { Ok(time) } else { Err(XtaskError::Failed { command: format!("{command:?}"), status }) }
}

fn iptables(operation: &str) -> Command {
    let [flag, table, chain] = CHAIN;
    let mut command = Command::new("iptables-nft");
    command.args([flag, table, operation, chain]);
    command
}

fn add_rule() -> Result<f64, XtaskError> {
    let time = run(iptables("-A").args(["-s", "192.0.2.7/32", "-p", "tcp", "--dport", "443", "-j", "ACCEPT"]))?;
    run(iptables("-D").arg("1"))?;
    Ok(time)
}

fn restore(path: &Path) -> Result<f64, XtaskError> {
    let ruleset =
        File::open(path).map_err(|source| XtaskError::File { operation: "open", path: path.to_owned(), source })?;
    let time = run(Command::new("iptables-nft-restore").args(["--noflush", "--counters"]).stdin(ruleset))?;
    run(Command::new("nft").arg("delete table ip nat; delete table ip filter"))?;
    Ok(time)
}

fn make_directories(parent: &Path) -> Result<f64, XtaskError> {
    let path: PathBuf = parent.join("bench");
    let failed = |operation| {
        let path = path.clone();
        move |source| XtaskError::File { operation, path, source }
    };
    repeat(DIRECTORIES, || {
        std::fs::create_dir(&path).map_err(failed("make directory"))?;
        std::fs::remove_dir(&path).map_err(failed("remove directory"))
    })
}

/// The ruleset, and the nanoseconds it took for each of its rules.
fn read_rules() -> Result<(f64, Ruleset), XtaskError> {
    let began = Instant::now();
    let ruleset = capture::ruleset().map_err(|error| Failure::new("cannot read the ruleset", error))?;
    Ok((nanoseconds(began.elapsed()) / count(&ruleset), ruleset))
}

fn count(ruleset: &Ruleset) -> f64 {
    let is_rule = |item: &NftItem| matches!(item, NftItem::Rule { .. });
    let rules =
        ruleset.objects.iter().filter(|(subject, _)| matches!(subject, Subject::Nft(nft) if is_rule(&nft.item)));
    rules.count().max(1) as f64
}

fn render_rules() -> Result<f64, XtaskError> {
    let (_, ruleset) = read_rules()?;
    let began = Instant::now();
    for (subject, snapshot) in &ruleset.objects {
        if let (
            Subject::Nft(NftSubject { table, item: NftItem::Rule { chain, .. } }),
            Snapshot::Nft(NftSnapshot::Rule(rule)),
        ) = (subject, snapshot)
        {
            black_box(render::rule(table, chain, rule, &()));
        }
    }
    Ok(nanoseconds(began.elapsed()) / count(&ruleset))
}

/// A socket nobody reads (its queue is full soon, and what comes then is dropped at little cost) and one to send with.
fn sockets() -> Result<(UdpSocket, UdpSocket), XtaskError> {
    let bind = || UdpSocket::bind("127.0.0.1:0").map_err(network("bind"));
    Ok((bind()?, bind()?))
}

fn network(operation: &'static str) -> impl Fn(std::io::Error) -> XtaskError {
    move |error| XtaskError::Wrong(format!("cannot {operation} a UDP socket: {error}"))
}
