//! One file per family of endpoints.

pub(super) mod blame;
pub(super) mod change;
pub(super) mod log;
pub(super) mod read;
pub(super) mod who;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use super::api::{Document, Envelope, ErrorCode};
use super::failure::Failure;

/// A query string, if it could be read.
type Asked<T> = Result<Query<T>, QueryRejection>;

/// What an endpoint answers.
type Answer<T> = Result<Json<Envelope<T>>, Failure>;

fn understood<T>(asked: Asked<T>) -> Result<T, Failure> {
    match asked {
        Ok(Query(query)) => Ok(query),
        Err(rejection) => Err(Failure::new(ErrorCode::BadRequest, rejection.body_text())),
    }
}

fn answer<T: Document>(document: T) -> Json<Envelope<T>> {
    Json(Envelope::of(document))
}

/// One document as a line of newline-delimited JSON.
fn line(document: &impl Serialize) -> Bytes {
    match serde_json::to_vec(document) {
        Ok(mut line) => {
            line.push(b'\n');
            line.into()
        }
        Err(error) => {
            tracing::error!(%error, "cannot write a document as JSON");
            Bytes::new()
        }
    }
}

/// A response that ends when the sender of its lines is dropped.
fn lines(receiver: mpsc::Receiver<Bytes>) -> Response {
    let body = Body::from_stream(ReceiverStream::new(receiver).map(Ok::<_, std::convert::Infallible>));
    ([(CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}
