//! `netdeed who trace`

mod parse;
mod resolve;
mod view;

use std::collections::HashMap;
use std::process::Stdio;
use std::time::Duration;

use netdeed_tracker::control::client::Client;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::args::Global;
use crate::error::{CliError, complain};
use crate::output::{Output, write_trace};

use parse::{Hit, Line};
use resolve::Resolver;

pub(crate) use view::{Around, Step, TraceView};

/// A packet of which nothing more came for so long has gone its way.
const QUIET: Duration = Duration::from_millis(300);
/// Packets and hits of one that are held at most.
const MOST_PACKETS: usize = 256;
const MOST_HITS: usize = 1024;
/// Longest line that is looked at, bytes.
const LONGEST: usize = 16 << 10;

#[derive(Debug, clap::Args)]
#[command(after_help = "A packet is traced where a rule says so, for example after
  iptables -t raw -A PREROUTING -p udp --dport 53 -j TRACE
and take that rule out again when done.

Examples:
  netdeed who trace --run
  nft -a monitor trace | netdeed who trace
  xtables-monitor --trace | netdeed who trace
  dmesg | netdeed who trace
  journalctl -k -o short-iso | netdeed who trace")]
pub(crate) struct TraceArgs {
    /// Run `nft -a monitor trace` itself instead of reading lines from standard input
    #[arg(long)]
    run: bool,
}

/// A packet with what it met so far.
#[derive(Debug, Default)]
struct Packet {
    text: Option<String>,
    hits: Vec<Hit>,
}

/// The packets that are under way, in the order they came.
#[derive(Debug, Default)]
struct Packets {
    order: Vec<String>,
    by_id: HashMap<String, Packet>,
    lines: u64,
}

impl Packets {
    fn take(&mut self, line: &str) {
        let (id, hit, text) = match parse::parse(line) {
            Line::Other => return,
            Line::Packet { packet, text } => (packet, None, Some(text)),
            Line::Hit { packet, hit } => {
                let logged = hit.is_logged.then(|| parse::logged_packet(line).unwrap_or_default().to_owned());
                (packet, Some(hit), logged)
            }
        };
        self.lines += 1;
        if !self.by_id.contains_key(&id) {
            self.order.push(id.clone());
        }
        let packet = self.by_id.entry(id).or_default();
        if packet.text.is_none() {
            packet.text = text;
        }
        if packet.hits.len() < MOST_HITS {
            packet.hits.extend(hit);
        }
    }

    fn drain(&mut self) -> Vec<(String, Packet)> {
        let mut by_id = std::mem::take(&mut self.by_id);
        std::mem::take(&mut self.order)
            .into_iter()
            .filter_map(|id| by_id.remove(&id).map(|packet| (id, packet)))
            .collect()
    }
}

pub(crate) async fn run(global: &Global, output: &Output, args: &TraceArgs) -> Result<(), CliError> {
    let client = Client::new(&global.socket);
    // before anything is read, so that nobody waits for an answer that cannot come
    client.status().await.map_err(|source| match source.is_not_running() {
        true => CliError::NeedsTracker { what: "naming the rules of a trace", source },
        false => source.into(),
    })?;
    let mut resolver = Resolver::new(client);
    if !args.run {
        let seen = follow(output, &mut resolver, tokio::io::stdin()).await?;
        if seen == 0 {
            complain("note", "no line of a packet trace was read");
        }
        return Ok(());
    }
    let mut monitor = monitor()?;
    complain("note", "waiting for traced packets; end with ctrl-c");
    if let Some(stdout) = monitor.stdout.take() {
        follow(output, &mut resolver, stdout).await?;
    }
    let status = monitor.wait().await.map_err(|source| CliError::Run { program: "nft", source })?;
    match status.success() {
        true => Ok(()),
        false => Err(CliError::NotKnown { what: format!("`nft -a monitor trace` ended with {status}"), hint: None }),
    }
}

fn monitor() -> Result<Child, CliError> {
    Command::new("nft")
        .args(["-a", "monitor", "trace"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| CliError::Run { program: "nft", source })
}

/// Shows packets as they have gone their way, until the input ends; tells how many lines were understood.
async fn follow(output: &Output, resolver: &mut Resolver, input: impl AsyncRead + Unpin) -> Result<u64, CliError> {
    let mut reader = BufReader::with_capacity(LONGEST, input);
    let (mut packets, mut bytes) = (Packets::default(), Vec::new());
    loop {
        // what was read of a line stays in `bytes` when nothing more comes for now
        let mut rest = (&mut reader).take((LONGEST - bytes.len()) as u64);
        let read = tokio::time::timeout(QUIET, rest.read_until(b'\n', &mut bytes)).await;
        let is_quiet = read.is_err();
        let is_end = match read {
            Ok(read) => read.map_err(|source| CliError::Read { path: "-".into(), source })? == 0,
            Err(_) => false,
        };
        if bytes.ends_with(b"\n") || is_end || bytes.len() >= LONGEST {
            packets.take(&String::from_utf8_lossy(&bytes));
            bytes.clear();
        }
        if is_end || is_quiet || packets.order.len() > MOST_PACKETS {
            for (id, packet) in packets.drain() {
                let view = view::view(resolver, id, packet.text.unwrap_or_default(), &packet.hits).await?;
                output.write_next(view, write_trace)?;
            }
            resolver.forget();
        }
        if is_end {
            return Ok(packets.lines);
        }
    }
}
