//! `netdeed status`

use std::time::{Duration, Instant};

use netdeed_tracker::control::api::TrackerState;
use netdeed_tracker::control::client::Client;
use netdeed_tracker::query;

use crate::args::Global;
use crate::error::CliError;
use crate::output::{Output, write_status};
use crate::tracker::ask;

/// How often a tracker that is not ready is asked again.
const AGAIN: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {
    /// Wait until the tracker is ready, at most this long
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "30")]
    wait: Option<u64>,
}

pub(crate) async fn run(global: &Global, output: &Output, args: StatusArgs) -> Result<(), CliError> {
    if let Some(seconds) = args.wait {
        wait(&Client::new(&global.socket), seconds).await?;
    }
    let status = ask(
        global,
        async |client| client.status().await,
        |stopped| query::stopped_status(stopped.journal.as_ref(), &stopped.directory).map_err(stopped.failed()),
    )
    .await?;
    let is_stopped = status.state == TrackerState::Stopped;
    output.write(status, write_status)?;
    if is_stopped { Err(CliError::ShownStopped) } else { Ok(()) }
}

/// Waits until the tracker is ready.
async fn wait(client: &Client, seconds: u64) -> Result<(), CliError> {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        let why_not = match client.status().await {
            Ok(status) if status.is_ready() => return Ok(()),
            Ok(_) => CliError::NotReady { seconds },
            Err(error) if error.is_not_running() => error.into(),
            Err(error) => return Err(error.into()),
        };
        if Instant::now() >= deadline {
            return Err(why_not);
        }
        tokio::time::sleep(AGAIN).await;
    }
}
