//! `netdeed log`

use netdeed_tracker::control::api::{FollowQuery, LogQuery};
use netdeed_tracker::control::client::Client;
use netdeed_tracker::model::ids::ObjectId;
use netdeed_tracker::model::owner::Owner;
use netdeed_tracker::model::time::WallTime;
use netdeed_tracker::query::{self, EventFilter};

use crate::args::{Format, Global};
use crate::error::{CliError, complain};
use crate::output::{Output, write_event, write_log};
use crate::tracker::ask;

use super::since::Since;

/// Entries shown when nothing else is said.
const SHOWN: u64 = 50;

#[derive(Debug, clap::Args)]
pub(crate) struct LogArgs {
    /// Go on with entries as they come
    #[arg(short, long)]
    follow: bool,
    /// Only from this time on: `10m`, `2h`, `3d`, or `2026-05-04T03:02:01Z`
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,
    /// Only what this owner did, or what was done to its objects
    #[arg(long, value_name = "OWNER")]
    owner: Option<Owner>,
    /// Only changes of this object
    #[arg(long, value_name = "ID")]
    object: Option<u64>,
    /// At most this many, the newest [default: 50, without --since]
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<u64>,
}

pub(crate) async fn run(global: &Global, output: &Output, args: LogArgs) -> Result<(), CliError> {
    let LogArgs { follow, since, owner, object, limit } = args;
    let query = LogQuery {
        owner,
        object: object.map(ObjectId),
        since: since.map(|since| since.moment(WallTime::now())),
        limit: limit.or_else(|| since.is_none().then_some(SHOWN)),
    };
    if follow {
        return follow_log(global, output, &query).await;
    }
    let log = ask(
        global,
        async |client| client.log(&query).await,
        |stopped| {
            let filter = EventFilter {
                owner: query.owner.clone(),
                object: query.object,
                since: query.since.map(|since| since.0),
            };
            let limit = query.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
            query::log(stopped.journal.as_ref(), &filter, limit).map_err(stopped.failed())
        },
    )
    .await?;
    if output.format == Format::Table && log.events.is_empty() {
        complain("note", "nothing recorded fits");
    }
    output.write(log, write_log)
}

/// Shows what is there, then goes on where that ended.
async fn follow_log(global: &Global, output: &Output, query: &LogQuery) -> Result<(), CliError> {
    let client = Client::new(&global.socket);
    let log = client.log(query).await.map_err(|source| match source.is_not_running() {
        true => CliError::NeedsTracker { what: "following the log", source },
        false => source.into(),
    })?;
    let from = FollowQuery { owner: query.owner.clone(), object: query.object, from: Some(log.next) };
    for event in log.events {
        output.write_next(event, write_event)?;
    }
    let mut lines = client.follow(&from).await?;
    while let Some(event) = lines.next().await? {
        output.write_next(event, write_event)?;
    }
    Err(CliError::TrackerStopped)
}
