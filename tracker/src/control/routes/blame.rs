//! The endpoint that lists the live ruleset with who made each line.

use std::ops::ControlFlow;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use tokio::sync::mpsc;

use crate::control::api::{BlameQuery, Envelope, ErrorCode, ErrorEnvelope};
use crate::control::failure::Failure;
use crate::control::server::Api;
use crate::query;

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
    let ruleset = api.blocking(|node| Ok(node.ruleset()?)).await?;
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        let parts = sender.clone();
        let listed = api.blocking(move |node| {
            let journal = node.journal();
            query::blame(journal.as_ref(), &ruleset, &query, &mut |part| match parts
                .blocking_send(line(&Envelope::of(part)))
            {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            })?;
            Ok(())
        });
        if let Err(failure) = listed.await {
            let _ = sender.send(line(&ErrorEnvelope::of(failure.0))).await;
        }
        drop(turn);
    });
    Ok(lines(receiver))
}
