//! Endpoints that plan a reset and carry it out.

use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::response::Response;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::control::api::{
    Envelope, ErrorCode, ErrorEnvelope, OperationView, PlanRequest, PlanView, ProgressView, ResetRequest, SwapRequest,
    SwapView, UndoRequest,
};
use crate::control::failure::Failure;
use crate::control::node::Node;
use crate::control::peer::Peer;
use crate::control::server::Api;

use super::{Answer, answer, line, lines};

/// `POST /v1/plan`
pub(in crate::control) async fn plan(State(api): State<Api>, body: Bytes) -> Answer<PlanView> {
    let request: PlanRequest = parsed(&body)?;
    api.blocking(move |node| Ok(answer(node.plan(&request)?))).await
}

/// `POST /v1/swap`
pub(in crate::control) async fn swap(State(api): State<Api>, body: Bytes) -> Answer<SwapView> {
    let request: SwapRequest = parsed(&body)?;
    api.blocking(move |node| Ok(answer(node.swap(&request)?))).await
}

/// What a running reset reports.
enum Report {
    Progress(ProgressView),
    Ended(Box<Result<OperationView, Failure>>),
}

/// `POST /v1/reset`: lines of progress, then the operation. A reset that was begun goes on when the caller hangs up.
pub(in crate::control) async fn reset(
    State(api): State<Api>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Bytes,
) -> Result<Response, Failure> {
    let uid = root(peer)?;
    let request: ResetRequest = parsed(&body)?;
    carry_out(api, move |node, reports| run(node, &request, uid, reports)).await
}

/// `POST /v1/undo`: lines of progress, then the operation, as for a reset.
pub(in crate::control) async fn undo(
    State(api): State<Api>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Bytes,
) -> Result<Response, Failure> {
    let uid = root(peer)?;
    let request: UndoRequest = parsed(&body)?;
    let work = move |node: &dyn Node, reports: &mpsc::Sender<Report>| {
        let operation = node.undo(&request, uid, &mut |done, total| {
            let _ = reports.try_send(Report::Progress(ProgressView { done, total }));
        })?;
        Ok(operation)
    };
    carry_out(api, work).await
}

/// The caller's user id, if it may change things.
fn root(peer: Peer) -> Result<u32, Failure> {
    peer.may_change().ok_or_else(|| {
        tracing::warn!(uid = ?peer.uid, pid = ?peer.pid, "refused a change asked for by a user other than root");
        Failure::new(ErrorCode::Forbidden, "only root may change things").remedy("run it with sudo")
    })
}

/// Runs one operation at a time; it goes on when the caller hangs up.
async fn carry_out(
    api: Api,
    work: impl FnOnce(&dyn Node, &mpsc::Sender<Report>) -> Result<OperationView, Failure> + Send + 'static,
) -> Result<Response, Failure> {
    let Ok(guard) = api.resetting.clone().try_lock_owned() else {
        return Err(Failure::new(ErrorCode::Busy, "another reset is under way").remedy("wait for it: `netdeed log -f`"));
    };
    let (sender, mut reports) = mpsc::channel(64);
    tokio::spawn(async move {
        let progress = sender.clone();
        let ended = api.blocking(move |node| work(node, &progress)).await;
        drop(guard);
        let _ = sender.send(Report::Ended(Box::new(ended))).await;
    });
    // an error before anything was done is answered with its own status
    match reports.recv().await {
        Some(Report::Ended(ended)) => Ok(relay(Report::Ended(Box::new(Ok((*ended)?))), reports)),
        Some(first) => Ok(relay(first, reports)),
        None => Err(Failure::new(ErrorCode::Internal, "the reset ended without a result")),
    }
}

fn run(
    node: &dyn Node,
    request: &ResetRequest,
    uid: u32,
    reports: &mpsc::Sender<Report>,
) -> Result<OperationView, Failure> {
    if let Some(agreed) = &request.plan
        && node.plan(&request.plan_request())?.fingerprint != *agreed
    {
        return Err(Failure::new(ErrorCode::Conflict, "what would be removed changed since the plan was shown")
            .remedy("nothing was changed; look at the new plan and decide again"));
    }
    // a full queue means a slow reader, who can do without some progress
    let operation = node.reset(request, uid, &mut |done, total| {
        let _ = reports.try_send(Report::Progress(ProgressView { done, total }));
    })?;
    Ok(operation)
}

fn relay(first: Report, mut reports: mpsc::Receiver<Report>) -> Response {
    let (sender, receiver) = mpsc::channel(64);
    tokio::spawn(async move {
        let mut next = Some(first);
        while let Some(report) = next {
            let line = match report {
                Report::Progress(progress) => line(&Envelope::of(progress)),
                Report::Ended(ended) => match *ended {
                    Ok(operation) => line(&Envelope::of(operation)),
                    Err(failure) => line(&ErrorEnvelope::of(failure.0)),
                },
            };
            if sender.send(line).await.is_err() {
                return;
            }
            next = reports.recv().await;
        }
    });
    lines(receiver)
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body)
        .map_err(|error| Failure::new(ErrorCode::BadRequest, format!("the request body is not understood: {error}")))
}
