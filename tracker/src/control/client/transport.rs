//! Requests and answers as bytes.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST};
use hyper::{Method, Response};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::net::UnixStream;

use crate::control::api::{Document, Envelope, ErrorEnvelope, SCHEMA};

use super::ClientError;

/// One request, ready to be sent.
pub(super) struct Request(hyper::Request<Full<Bytes>>);

impl Request {
    /// `GET path` with the fields of `query` as its query string; fields that are null, false or absent are left out.
    pub(super) fn get(path: &str, query: &impl Serialize) -> Result<Self, ClientError> {
        let fields = serde_json::to_value(query).map_err(|error| bad_request(path, error))?;
        Self::new(Method::GET, &format!("{path}{}", query_string(&fields)), Bytes::new())
    }

    /// A request with a JSON body.
    pub(super) fn json(method: Method, path: &str, body: &impl Serialize) -> Result<Self, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| bad_request(path, error))?;
        Self::new(method, path, body.into())
    }

    fn new(method: Method, target: &str, body: Bytes) -> Result<Self, ClientError> {
        let request = hyper::Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, "netdeed")
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body));
        request.map(Self).map_err(|error| bad_request(target, error))
    }
}

fn bad_request(target: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ClientError {
    ClientError::Request { target: target.to_owned(), source: error.into() }
}

fn query_string(fields: &Value) -> String {
    let mut text = String::new();
    for (name, value) in fields.as_object().into_iter().flatten() {
        let value = match value {
            Value::String(value) => percent_encoded(value),
            Value::Number(value) => value.to_string(),
            Value::Bool(true) => "true".to_owned(),
            Value::Bool(false) | Value::Null | Value::Array(_) | Value::Object(_) => continue,
        };
        text.push(if text.is_empty() { '?' } else { '&' });
        text.push_str(&format!("{name}={value}"));
    }
    text
}

/// Everything but RFC 3986's unreserved characters as `%XX`.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Sends a request on a connection of its own; an answer that is an error becomes one.
pub(super) async fn send(path: &Path, request: Request) -> Result<Response<Incoming>, ClientError> {
    let http = |source| ClientError::Http { path: path.to_owned(), source };
    let stream = UnixStream::connect(path).await;
    let stream = stream.map_err(|source| ClientError::Connect { path: path.to_owned(), source })?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
    // ends by itself with the answer; an error of the connection also shows in the answer
    tokio::spawn(connection);
    let response = sender.send_request(request.0).await.map_err(http)?;
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status();
    let body = response.into_body().collect().await.map_err(http)?.to_bytes();
    Err(match serde_json::from_slice::<ErrorEnvelope>(&body) {
        Ok(envelope) => ClientError::Refused(envelope.error),
        Err(_) => ClientError::Answer { expected: "error", found: format!("HTTP status {status}") },
    })
}

/// Reads an answer of one document.
pub(super) async fn read_document<T: Document>(response: Response<Incoming>, path: &Path) -> Result<T, ClientError> {
    let body = response.into_body().collect().await;
    parse(&body.map_err(|source| ClientError::Http { path: path.to_owned(), source })?.to_bytes())
}

fn parse<T: Document>(bytes: &[u8]) -> Result<T, ClientError> {
    /// What is read first, to say what came when it is not what was expected.
    #[derive(Deserialize)]
    struct Header {
        schema: String,
        kind: String,
    }
    let wrong = |found: String| ClientError::Answer { expected: T::KIND, found };
    if let Ok(ErrorEnvelope { error, .. }) = serde_json::from_slice(bytes) {
        return Err(ClientError::Refused(error));
    }
    let Header { schema, kind } =
        serde_json::from_slice(bytes).map_err(|error| wrong(format!("something else: {error}")))?;
    if schema != SCHEMA || kind != T::KIND {
        return Err(wrong(format!("`{kind}` of schema `{schema}`")));
    }
    let envelope: Envelope<T> =
        serde_json::from_slice(bytes).map_err(|error| wrong(format!("a broken one: {error}")))?;
    Ok(envelope.data)
}

/// An answer of many documents, one a line.
#[derive(Debug)]
pub struct Lines<T> {
    body: Incoming,
    buffer: Vec<u8>,
    path: PathBuf,
    document: PhantomData<fn() -> T>,
}

impl<T: Document> Lines<T> {
    pub(super) fn new(response: Response<Incoming>, path: &Path) -> Self {
        Self { body: response.into_body(), buffer: Vec::new(), path: path.to_owned(), document: PhantomData }
    }

    /// The next document; `None` when the tracker ended the stream.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the error that ended the stream, or [`ClientError::Http`] when the connection broke.
    pub async fn next(&mut self) -> Result<Option<T>, ClientError> {
        match self.next_line().await? {
            Some(line) => self.parse(&line).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn parse<D: Document>(&self, line: &[u8]) -> Result<D, ClientError> {
        parse(line)
    }

    pub(super) async fn next_line(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                line.pop();
                return Ok(Some(line));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(source)) => return Err(ClientError::Http { path: self.path.clone(), source }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_strings_hold_what_is_set_and_escape_the_rest() {
        let fields = serde_json::json!({"owner": "cni/flannel", "removed": false, "limit": 3, "class": null, "path": "/a b&c=ä"});
        assert_eq!(query_string(&fields), "?limit=3&owner=cni%2Fflannel&path=%2Fa%20b%26c%3D%C3%A4");
        assert_eq!(query_string(&Value::Null), "");
    }
}
