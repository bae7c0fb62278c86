//! `netdeed blame` without a tracker: the live ruleset against what the journal recorded.

use netdeed_tracker::capture;
use netdeed_tracker::control::api::{BlameQuery, BlameView};
use netdeed_tracker::query::{self, BlameIndex};

use crate::commands::who::is_here;
use crate::error::CliError;
use crate::tracker::Stopped;

use super::flow;

/// Lists the live ruleset. What was added since the tracker stopped has nobody's name; the outer error is ours, the
/// inner one that of `each`.
pub(super) fn blame(
    stopped: &Stopped,
    query: &BlameQuery,
    each: &mut dyn FnMut(BlameView) -> Result<(), CliError>,
) -> Result<Result<(), CliError>, CliError> {
    is_here(stopped)?;
    // links are listed by an event loop of their own
    let ruleset = std::thread::scope(|scope| scope.spawn(capture::ruleset).join());
    let ruleset =
        ruleset.map_err(|_| CliError::NotKnown { what: "the ruleset was not read".to_owned(), hint: None })?;
    let ruleset = ruleset.map_err(CliError::Ruleset)?;
    let index = BlameIndex::read(stopped.journal.as_ref(), ruleset.read).map_err(stopped.failed())?;
    let mut shown = Ok(());
    query::blame(&index, &ruleset, query, &mut |part| {
        shown = each(part);
        flow(&shown)
    });
    Ok(shown)
}
