//! Endpoints for what happened.

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use tokio::sync::mpsc;

use crate::control::api::{Envelope, ErrorEnvelope, FollowQuery, LogQuery, LogView};
use crate::control::failure::Failure;
use crate::control::server::Api;
use crate::model::ids::EntrySeq;
use crate::query::{self, EventFilter};

use super::{Answer, Asked, answer, line, lines, understood};

/// Entries shown when the caller names neither a limit nor a moment.
const DEFAULT_LIMIT: u64 = 100;

/// Entries shown at most; more are read by following from the journal's start.
const GREATEST_LIMIT: u64 = 100_000;

/// `GET /v1/log`
pub(in crate::control) async fn log(State(api): State<Api>, asked: Asked<LogQuery>) -> Answer<LogView> {
    let query = understood(asked)?;
    let default = if query.since.is_some() { GREATEST_LIMIT } else { DEFAULT_LIMIT };
    let limit = usize::try_from(query.limit.unwrap_or(default).min(GREATEST_LIMIT)).unwrap_or(usize::MAX);
    let filter = query.filter()?;
    api.blocking(move |node| Ok(answer(query::log(node.journal().as_ref(), &filter, limit)?))).await
}

/// `GET /v1/log/follow`: one line per entry, without an end.
pub(in crate::control) async fn follow(State(api): State<Api>, asked: Asked<FollowQuery>) -> Result<Response, Failure> {
    let query = understood(asked)?;
    let filter = query.filter()?;
    let from = match query.from {
        Some(from) => from,
        None => api.blocking(|node| Ok(query::log(node.journal().as_ref(), &EventFilter::default(), 0)?.next)).await?,
    };
    let (sender, receiver) = mpsc::channel(64);
    tokio::spawn(async move {
        // an error ends the stream, as its last line
        if let Err(failure) = send_entries(api, &filter, from, &sender).await {
            let _ = sender.send(line(&ErrorEnvelope::of(failure.0))).await;
        }
    });
    Ok(lines(receiver))
}

/// Sends entries as they are appended, until the caller hangs up or the server stops.
async fn send_entries(
    mut api: Api,
    filter: &EventFilter,
    mut from: EntrySeq,
    sender: &mpsc::Sender<Bytes>,
) -> Result<(), Failure> {
    let mut appended = api.node.appended();
    loop {
        // taken before reading: what is appended while reading marks it again
        appended.borrow_and_update();
        let asked = filter.clone();
        let read = api.blocking(move |node| Ok(query::follow(node.journal().as_ref(), &asked, from)?)).await?;
        let is_caught_up = read.next == from;
        from = read.next;
        for event in read.events {
            if sender.send(line(&Envelope::of(event))).await.is_err() {
                return Ok(());
            }
        }
        if *api.stopping.borrow() || sender.is_closed() {
            return Ok(());
        }
        if is_caught_up {
            tokio::select! {
                changed = appended.changed() => if changed.is_err() { return Ok(()) },
                _ = api.stopping.wait_for(|stopping| *stopping) => return Ok(()),
                () = sender.closed() => return Ok(()),
            }
        }
    }
}
