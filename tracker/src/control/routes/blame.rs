//! The endpoint that lists the live ruleset with who made each line.

use std::ops::ControlFlow;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use tokio::sync::mpsc;

use crate::control::api::{BlameQuery, Envelope, ErrorCode, ErrorEnvelope};
use crate::control::failure::Failure;
use crate::control::server::Api;
use crate::model::live::Ruleset;
use crate::model::time::BootTime;
use crate::query::{self, BlameIndex};

use super::{Asked, line, lines, understood};

/// Parts that may wait for a slow reader.
const WAITING: usize = 4;
/// How long a listing may have to wait for another one.
const PATIENCE: Duration = Duration::from_secs(60);

/// `GET /v1/blame`: a line of JSON for each part of the listing. One listing at a time: each holds the whole ruleset.
pub(in crate::control) async fn blame(State(api): State<Api>, asked: Asked<BlameQuery>) -> Result<Response, Failure> {
    let query = understood(asked)?;
    let Ok(turn) = tokio::time::timeout(PATIENCE, api.listing.clone().lock_owned()).await else {
        return Err(Failure::new(ErrorCode::Busy, "another listing of the ruleset is under way").remedy("try again"));
    };
    let (ruleset, index) = read(&api).await?;
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        let parts = sender.clone();
        let listed = api.blocking(move |_| {
            query::blame(&index, &ruleset, &query, &mut |part| match parts.blocking_send(line(&Envelope::of(part))) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            });
            Ok(())
        });
        if let Err(failure) = listed.await {
            let _ = sender.send(line(&ErrorEnvelope::of(failure.0))).await;
        }
        drop(turn);
    });
    Ok(lines(receiver))
}

/// Reads the ruleset and the journal at once: each takes its time. Where the journal went on meanwhile, it is read again,
/// as it may know more of the ruleset then.
async fn read(api: &Api) -> Result<(Ruleset, BlameIndex), Failure> {
    let mut appended = api.node.appended();
    appended.mark_unchanged();
    let since = BootTime::now();
    let index = |since| api.blocking(move |node| Ok(BlameIndex::read(node.journal().as_ref(), since)?));
    let (ruleset, early) = tokio::join!(api.blocking(|node| Ok(node.ruleset()?)), index(since));
    let ruleset = ruleset?;
    let index = if appended.has_changed().unwrap_or(true) { index(ruleset.read).await? } else { early? };
    Ok((ruleset, index))
}
