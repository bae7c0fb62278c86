//! The other side of the socket: typed calls, shared by the command line tool and the tests.

mod error;
mod transport;

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::Method;
use serde::Serialize;
use tokio::time::timeout;

use crate::model::ids::ObjectId;

use super::api::{
    BlameQuery, BlameView, Document, EventView, FollowQuery, GapList, LogQuery, LogView, ObjectList, ObjectView,
    ObjectsQuery, OperationView, OwnerList, PlanRequest, PlanView, ProgressView, ResetRequest, StatusView, SwapRequest,
    SwapView, UndoRequest, WhoQuery, WhoView,
};

pub use error::ClientError;
pub use transport::Lines;

use transport::{Request, read_document, send};

/// How long an answer may take that is not a stream. Planning the removal of tens of thousands of rules takes seconds.
const DEADLINE: Duration = Duration::from_secs(120);

/// Asks a tracker. Each call makes its own connection.
#[derive(Debug, Clone)]
pub struct Client {
    path: PathBuf,
}

impl Client {
    /// A client of the tracker that listens on `path`. Does not connect yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How the tracker is.
    ///
    /// # Errors
    /// [`ClientError`], here and in every other call: [`ClientError::Connect`] when no tracker answers,
    /// [`ClientError::Refused`] with the tracker's own words when it says no.
    pub async fn status(&self) -> Result<StatusView, ClientError> {
        self.get("/v1/status", &()).await
    }

    /// Objects that pass a filter.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn objects(&self, query: &ObjectsQuery) -> Result<ObjectList, ClientError> {
        self.get("/v1/objects", query).await
    }

    /// What each owner has of the objects that pass a filter.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn owners(&self, query: &ObjectsQuery) -> Result<OwnerList, ClientError> {
        self.get("/v1/owners", query).await
    }

    /// One object.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn object(&self, id: ObjectId) -> Result<ObjectView, ClientError> {
        self.get(&format!("/v1/objects/{id}"), &()).await
    }

    /// Who made a thing.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn who(&self, query: &WhoQuery) -> Result<WhoView, ClientError> {
        self.get("/v1/who", query).await
    }

    /// The newest entries.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn log(&self, query: &LogQuery) -> Result<LogView, ClientError> {
        self.get("/v1/log", query).await
    }

    /// Entries as they come.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn follow(&self, query: &FollowQuery) -> Result<Lines<EventView>, ClientError> {
        let request = Request::get("/v1/log/follow", query)?;
        let response = timeout(DEADLINE, send(&self.path, request)).await.map_err(|_| self.timed_out())??;
        Ok(Lines::new(response, &self.path))
    }

    /// The live ruleset with who made each line, part by part.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn blame(&self, query: &BlameQuery) -> Result<Lines<BlameView>, ClientError> {
        let request = Request::get("/v1/blame", query)?;
        let response = timeout(DEADLINE, send(&self.path, request)).await.map_err(|_| self.timed_out())??;
        Ok(Lines::new(response, &self.path))
    }

    /// Every gap kept.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn gaps(&self) -> Result<GapList, ClientError> {
        self.get("/v1/gaps", &()).await
    }

    /// What a reset would do.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn plan(&self, request: &PlanRequest) -> Result<PlanView, ClientError> {
        self.call(Request::json(Method::POST, "/v1/plan", request)?).await
    }

    /// What to know before one CNI is swapped for another, or what is left after.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn swap(&self, request: &SwapRequest) -> Result<SwapView, ClientError> {
        self.call(Request::json(Method::POST, "/v1/swap", request)?).await
    }

    /// Takes back what one owner made, telling `progress` how far it is. Has no deadline: a reset that was begun goes
    /// on in the tracker whether or not anybody waits for it.
    ///
    /// # Errors
    /// See [`Client::status`]. [`ClientError::Interrupted`] means that the outcome is unknown here; it is in the log.
    pub async fn reset(
        &self,
        request: &ResetRequest,
        progress: impl FnMut(ProgressView),
    ) -> Result<OperationView, ClientError> {
        self.carry_out(Request::json(Method::POST, "/v1/reset", request)?, progress).await
    }

    /// Puts back what an operation took away; otherwise as [`Client::reset`].
    ///
    /// # Errors
    /// See [`Client::reset`].
    pub async fn undo(
        &self,
        request: &UndoRequest,
        progress: impl FnMut(ProgressView),
    ) -> Result<OperationView, ClientError> {
        self.carry_out(Request::json(Method::POST, "/v1/undo", request)?, progress).await
    }

    async fn carry_out(
        &self,
        request: Request,
        mut progress: impl FnMut(ProgressView),
    ) -> Result<OperationView, ClientError> {
        let mut lines = Lines::<OperationView>::new(send(&self.path, request).await?, &self.path);
        while let Some(line) = lines.next_line().await? {
            match lines.parse::<ProgressView>(&line) {
                Ok(view) => progress(view),
                Err(_) => return lines.parse(&line),
            }
        }
        Err(ClientError::Interrupted { path: self.path.clone() })
    }

    async fn get<T: Document>(&self, path: &str, query: &impl Serialize) -> Result<T, ClientError> {
        self.call(Request::get(path, query)?).await
    }

    async fn call<T: Document>(&self, request: Request) -> Result<T, ClientError> {
        let answered = async { read_document(send(&self.path, request).await?, &self.path).await };
        timeout(DEADLINE, answered).await.map_err(|_| self.timed_out())?
    }

    fn timed_out(&self) -> ClientError {
        ClientError::TimedOut { path: self.path.clone(), deadline: DEADLINE }
    }
}
