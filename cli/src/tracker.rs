//! Where answers come from: a running tracker, or its journal when none runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use netdeed_tracker::control::api::TimeView;
use netdeed_tracker::control::client::{Client, ClientError};
use netdeed_tracker::journal::open::open_read_only;
use netdeed_tracker::journal::{JournalError, Read};

use crate::args::Global;
use crate::error::{CliError, complain};
use crate::output::format_time;

/// The journal of a tracker that does not run.
pub(crate) struct Stopped {
    pub(crate) journal: Arc<dyn Read>,
    pub(crate) directory: PathBuf,
}

impl Stopped {
    /// Turns a journal error into one that says where the journal is.
    pub(crate) fn failed(&self) -> impl FnOnce(JournalError) -> CliError {
        let path = self.directory.clone();
        move |source| CliError::Journal { path, source }
    }
}

/// The tracker's answer; when none runs, the answer of `stopped` from its journal, with a note that says so.
pub(crate) async fn ask<T>(
    global: &Global,
    live: impl AsyncFnOnce(&Client) -> Result<T, ClientError>,
    stopped: impl FnOnce(&Stopped) -> Result<T, CliError>,
) -> Result<T, CliError> {
    match live(&Client::new(&global.socket)).await {
        Err(error) if error.is_not_running() => stopped(&open(&global.journal, error)?),
        answer => Ok(answer?),
    }
}

/// Opens the journal of a tracker that does not run.
pub(crate) fn open(directory: &Path, source: ClientError) -> Result<Stopped, CliError> {
    let failed = |source| CliError::Journal { path: directory.to_owned(), source };
    let journal = match open_read_only(directory) {
        Err(JournalError::Absent { .. }) => {
            return Err(CliError::NothingToRead { journal: directory.to_owned(), source });
        }
        opened => opened.map_err(failed)?,
    };
    let alive = journal.last_alive().map_err(failed)?;
    let as_of = alive.map_or_else(|| "empty".to_owned(), |time| format!("as of {}", format_time(TimeView(time))));
    complain("note", &format!("tracker is not running; reading journal `{}`, {as_of}", directory.display()));
    Ok(Stopped { journal, directory: directory.to_owned() })
}
