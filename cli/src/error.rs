//! Every error of the program, and the one place that turns them into exit codes and hints.

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use netdeed_tracker::capture::CaptureError;
use netdeed_tracker::causes::causes;
use netdeed_tracker::control::api::{BadRequest, ErrorCode, ErrorView};
use netdeed_tracker::control::client::ClientError;
use netdeed_tracker::journal::JournalError;

/// Why a command did not end well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The tracker was asked.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The command needs a tracker.
    #[error("{what} needs a running tracker")]
    NeedsTracker {
        /// What was to be done.
        what: &'static str,
        /// Why there is none.
        source: ClientError,
    },
    /// Neither a tracker nor a journal is there.
    #[error("no tracker is running, and there is no journal at `{journal}`")]
    NothingToRead {
        /// Where the journal should be.
        journal: PathBuf,
        /// Why the tracker could not be asked.
        source: ClientError,
    },
    /// The tracker did not become ready in time.
    #[error("the tracker is still starting after {seconds} s")]
    NotReady {
        /// How long it was waited for.
        seconds: u64,
    },
    /// The tracker stopped while its entries were followed.
    #[error("the tracker stopped")]
    TrackerStopped,
    /// No tracker runs; all that its journal says was shown.
    #[error("")]
    ShownStopped,
    /// The journal was read without a tracker.
    #[error("cannot read the journal at `{path}`")]
    Journal {
        /// Where.
        path: PathBuf,
        /// Why.
        source: JournalError,
    },
    /// The live ruleset was read without a tracker.
    #[error("cannot read the live ruleset")]
    Ruleset(#[source] CaptureError),
    /// The journal and the machine do not fit together.
    #[error("{what}")]
    NotKnown {
        /// What does not fit.
        what: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// Something was refused; it was shown.
    #[error("")]
    Refused,
    /// A step failed; it was shown.
    #[error("")]
    StepsFailed,
    /// The user said no.
    #[error("nothing was changed")]
    Declined,
    /// Output could not be written.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
    /// A file could not be written.
    #[error("cannot write `{path}`")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file could not be read.
    #[error("cannot read `{path}`")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program could not be run.
    #[error("cannot run `{program}`")]
    Run {
        /// Which.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A document could not be written in the format asked for.
    #[error("cannot write the answer as {format}")]
    Format {
        /// `json` or `yaml`.
        format: &'static str,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The program could not start.
    #[error("cannot start")]
    Start {
        /// Why.
        source: io::Error,
    },
}

impl From<BadRequest> for CliError {
    fn from(BadRequest(message): BadRequest) -> Self {
        Self::Usage(message)
    }
}

/// The exit codes: 1 failed, 2 usage, 3 something was refused, 4 tracker not reachable.
fn exit_code(error: &CliError) -> u8 {
    match error {
        CliError::Usage(_) | CliError::Client(ClientError::Refused(ErrorView { code: ErrorCode::BadRequest, .. })) => 2,
        CliError::Refused | CliError::Client(ClientError::Refused(ErrorView { code: ErrorCode::OwnerRuns, .. })) => 3,
        CliError::NeedsTracker { .. }
        | CliError::NothingToRead { .. }
        | CliError::TrackerStopped
        | CliError::ShownStopped
        | CliError::Journal { source: JournalError::InUse { .. }, .. }
        | CliError::Client(
            ClientError::Connect { .. }
            | ClientError::TimedOut { .. }
            | ClientError::Interrupted { .. }
            | ClientError::Http { .. },
        ) => 4,
        _ => 1,
    }
}

/// What the user can do about it.
fn hint(error: &CliError) -> Option<String> {
    const START: &str = "start it with `systemctl start netdeedd`, or name its socket with --socket";
    match error {
        CliError::Client(ClientError::Refused(view)) => view.remedy.clone(),
        CliError::Client(error @ ClientError::Connect { source, .. }) => {
            if error.is_not_running() {
                Some(START.to_owned())
            } else if source.kind() == io::ErrorKind::PermissionDenied {
                Some("run it with sudo, or become a member of group `netdeed`".to_owned())
            } else {
                None
            }
        }
        CliError::Client(ClientError::Interrupted { .. }) => {
            Some("the tracker goes on or says how far it came: see `netdeed log`".to_owned())
        }
        CliError::Client(ClientError::Answer { .. }) => {
            Some("tracker and command line tool are of different versions; update both".to_owned())
        }
        CliError::NeedsTracker { .. } => Some(START.to_owned()),
        CliError::NothingToRead { .. } => Some(format!("{START}; another journal can be named with --journal")),
        CliError::NotReady { .. } => Some("`netdeed status` shows what it is waiting for".to_owned()),
        CliError::Journal { source: JournalError::InUse { .. }, .. } => {
            Some("a tracker is running that listens elsewhere: name its socket with --socket".to_owned())
        }
        CliError::Journal { source: JournalError::NotWritable { .. } | JournalError::Directory { .. }, .. } => {
            Some("the journal belongs to root: run it with sudo".to_owned())
        }
        CliError::Journal { source: JournalError::Damaged { .. } | JournalError::OpenTimedOut { .. }, .. } => {
            Some("start the tracker: it sets a damaged journal aside and begins a new one".to_owned())
        }
        CliError::Ruleset(_) => Some("reading the live ruleset without a tracker needs root".to_owned()),
        CliError::NotKnown { hint, .. } => hint.clone(),
        _ => None,
    }
}

/// An answer whose reader went away counts as given.
pub(crate) fn unless_closed(written: Result<(), CliError>) -> Result<(), CliError> {
    match written {
        Err(CliError::Output(source)) if source.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Says something on standard error. When even that has no reader there is nobody left to tell.
pub(crate) fn complain(kind: &str, text: &str) {
    let _ = writeln!(io::stderr(), "{kind}: {}", crate::output::printable(text));
}

/// Tells the user, and gives the exit status. A reader that went away is no error.
pub(crate) fn report(error: &CliError) -> ExitCode {
    if matches!(error, CliError::Output(source) if source.kind() == io::ErrorKind::BrokenPipe) {
        return ExitCode::SUCCESS;
    }
    let message = causes(error);
    if !message.is_empty() {
        complain("error", &message);
    }
    if let Some(hint) = hint(error) {
        complain("hint", &hint);
    }
    ExitCode::from(exit_code(error))
}
