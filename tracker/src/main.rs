//! `netdeedd`: arguments, logging, signals. Everything else is in the library.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use netdeed_tracker::capture::kept::Kept;
use netdeed_tracker::config::{Config, ConfigError};
use netdeed_tracker::control::socket::{self, SocketError};
use netdeed_tracker::pipeline::start::{self, StartError};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

/// Records which process created each firewall rule, link, route and directory of this node.
///
/// Runs in the foreground and watches the network namespace and the mount namespace it runs in. Needs root, or at least
/// CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH.
#[derive(Debug, Parser)]
#[command(name = "netdeedd", version)]
struct Arguments {
    /// Configuration file; the default one need not exist.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Journal directory.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/netdeed")]
    journal: PathBuf,
    /// Control socket.
    #[arg(long, value_name = "PATH", default_value = "/run/netdeed/netdeed.sock")]
    socket: PathBuf,
    /// How the log is written, to standard error.
    #[arg(long, value_enum, default_value_t = LogFormat::Human)]
    log_format: LogFormat,
    /// What is logged: a level (`info`) or a filter such as `netdeed_tracker=debug`.
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,
}

const DEFAULT_CONFIG: &str = "/etc/netdeed/netdeed.toml";

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    /// For people.
    Human,
    /// One JSON document a line.
    Json,
}

#[derive(Debug, thiserror::Error)]
enum MainError {
    #[error("log filter `{filter}` is not understood")]
    LogFilter { filter: String, source: tracing_subscriber::filter::ParseError },
    #[error("cannot be configured")]
    Config(#[from] ConfigError),
    #[error("cannot offer the control socket")]
    Socket(#[from] SocketError),
    #[error("cannot start")]
    Start(#[from] StartError),
    #[error("cannot {operation}")]
    Runtime { operation: &'static str, source: std::io::Error },
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("netdeedd: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  because {cause}");
                source = cause.source();
            }
            if !rustix::process::geteuid().is_root() {
                eprintln!("hint: run netdeedd as root, it needs to see the whole node");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), MainError> {
    log_to_stderr(&arguments)?;
    // before anything opens descriptors
    let kept = Kept::receive();
    let (path, must_exist) = match arguments.config {
        Some(path) => (path, true),
        None => (PathBuf::from(DEFAULT_CONFIG), false),
    };
    let config = Config::read(&path, must_exist)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|source| MainError::Runtime { operation: "start the runtime", source })?;
    // Bound before anything else: a second tracker stops here, before it touches the journal.
    let bound = runtime.block_on(async { socket::bind(&arguments.socket) })?;
    if let Some(notice) = &bound.notice {
        warn!("{notice}");
    }
    let tracker = start::start(&config, &arguments.journal, kept)?;
    let node = tracker.node();
    let served = runtime.block_on(async {
        tell_systemd(&[sd_notify::NotifyState::Ready]);
        netdeed_tracker::control::serve(bound.listener, node, stop_signal()?).await
    });
    tell_systemd(&[sd_notify::NotifyState::Stopping]);
    info!("stopping");
    tracker.stop();
    // answers that nobody waits for any more may still be on their way
    runtime.shutdown_timeout(Duration::from_secs(1));
    drop(bound.file);
    served.map_err(|source| MainError::Runtime { operation: "serve the control socket", source })
}

/// Becomes ready on SIGTERM or SIGINT.
fn stop_signal() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Without systemd there is nobody to tell.
fn tell_systemd(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(false, states) {
        warn!(%error, "systemd could not be told");
    }
}

fn log_to_stderr(arguments: &Arguments) -> Result<(), MainError> {
    let filter = EnvFilter::try_new(&arguments.log)
        .map_err(|source| MainError::LogFilter { filter: arguments.log.clone(), source })?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match arguments.log_format {
        LogFormat::Human => log.with_ansi(rustix::termios::isatty(rustix::stdio::stderr())).init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}
