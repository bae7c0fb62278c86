//! The server: endpoints and what they share.

use std::future::{Future, IntoFuture};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{Method, Uri};
use axum::routing::{get, post};
use tokio::net::UnixListener;
use tokio::sync::{Mutex, watch};

use super::api::ErrorCode;
use super::failure::Failure;
use super::node::Node;
use super::peer::Peer;
use super::routes;

/// What every endpoint can reach.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) node: Arc<dyn Node>,
    /// Becomes true when the server is asked to stop; streams without an end then end.
    pub(super) stopping: watch::Receiver<bool>,
    /// Held while a reset runs.
    pub(super) resetting: Arc<Mutex<()>>,
    /// Held while the ruleset is listed, which takes memory.
    pub(super) listing: Arc<Mutex<()>>,
}

impl Api {
    /// Runs something that may block on a thread made for that.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Node) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let node = Arc::clone(&self.node);
        let done = tokio::task::spawn_blocking(move || work(node.as_ref())).await;
        done.unwrap_or_else(|error| {
            Err(Failure::new(ErrorCode::Internal, format!("the tracker failed while it answered: {error}")))
        })
    }
}

/// How long connections may take to end after a stop, once no reset is under way.
const GRACE: Duration = Duration::from_secs(2);

/// Answers on `listener` until `shutdown` is done; then lets requests under way end, followers at once. A reset is waited
/// for however long it takes, also when its caller hung up; a caller who is only slow is not.
///
/// # Errors
/// What the listener reports when it can no longer accept; single connections that fail do not end the server.
pub async fn serve(
    listener: UnixListener,
    node: Arc<dyn Node>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (stop, stopping) = watch::channel(false);
    let resetting = Arc::<Mutex<()>>::default();
    let mut stopped = stopping.clone();
    let api = Api { node, stopping, resetting: Arc::clone(&resetting), listing: Arc::default() };
    let service = router(api).into_make_service_with_connect_info::<Peer>();
    let server = axum::serve(listener, service).with_graceful_shutdown(async move {
        shutdown.await;
        stop.send_replace(true);
    });
    let out_of_patience = async {
        // the sender is in the server, which is polled beside this
        let _ = stopped.wait_for(|is_stopping| *is_stopping).await;
        drop(resetting.lock().await);
        tokio::time::sleep(GRACE).await;
    };
    let served = tokio::select! {
        served = server.into_future() => served,
        () = out_of_patience => Ok(()),
    };
    drop(resetting.lock().await);
    served
}

fn router(api: Api) -> Router {
    Router::new()
        .route("/v1/status", get(routes::read::status))
        .route("/v1/objects", get(routes::read::objects))
        .route("/v1/objects/{id}", get(routes::read::object))
        .route("/v1/owners", get(routes::read::owners))
        .route("/v1/who", get(routes::who::who))
        .route("/v1/blame", get(routes::blame::blame))
        .route("/v1/log", get(routes::log::log))
        .route("/v1/log/follow", get(routes::log::follow))
        .route("/v1/gaps", get(routes::read::gaps))
        .route("/v1/plan", post(routes::change::plan))
        .route("/v1/swap", post(routes::change::swap))
        .route("/v1/reset", post(routes::change::reset))
        .route("/v1/undo", post(routes::change::undo))
        .fallback(unknown_endpoint)
        .method_not_allowed_fallback(wrong_method)
        .with_state(api)
}

async fn unknown_endpoint(uri: Uri) -> Failure {
    Failure::new(ErrorCode::NotFound, format!("there is no endpoint `{}`", uri.path()))
        .remedy("endpoints are listed in docs/api.md; all begin with /v1/")
}

async fn wrong_method(method: Method, uri: Uri) -> Failure {
    Failure::new(ErrorCode::MethodNotAllowed, format!("`{}` does not answer {method}", uri.path()))
        .remedy("/v1/plan, /v1/reset and /v1/undo want POST, all others GET")
}
