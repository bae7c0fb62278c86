//! As much of a Kubernetes API server as components on a node need to come up: lists and watches of objects that a test
//! puts in, over plain HTTP/1.1 on the node's loopback, without authentication and without looking at selectors.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::node::Node;
use crate::{Failure, Result};

/// Where it listens.
pub const ADDRESS: &str = "127.0.0.1:8001";

/// A running server. It ends with its node's network namespace at the latest.
#[derive(Debug, Clone)]
pub struct ApiServer {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    version: u64,
    /// Objects by resource (`services`) and name.
    objects: BTreeMap<String, BTreeMap<String, Value>>,
    /// Who watches which resource.
    watchers: Vec<(String, TcpStream)>,
    is_ended: bool,
}

impl ApiServer {
    /// Listens in a node.
    ///
    /// # Errors
    /// When the address is taken.
    pub fn start(node: &Node) -> Result<Self> {
        let mut listener = None;
        node.on_its_network(|| listener = Some(TcpListener::bind(ADDRESS)));
        let listener = match listener {
            Some(Ok(listener)) => listener,
            Some(Err(error)) => return Err(Failure::new(format!("cannot listen on {ADDRESS}"), error)),
            None => return Err(Failure("nothing was bound".to_owned())),
        };
        let server = Self { state: Arc::default() };
        let accepting = server.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(std::result::Result::ok) {
                let server = accepting.clone();
                std::thread::spawn(move || server.serve(connection));
            }
        });
        Ok(server)
    }

    /// Adds an object of a resource (`services`, `endpointslices`, `nodes`, ...), or changes the one of its name;
    /// watchers are told.
    pub fn put(&self, resource: &str, mut object: Value) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.version += 1;
        object["metadata"]["resourceVersion"] = json!(state.version.to_string());
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let before = state.objects.entry(resource.to_owned()).or_default().insert(name, object.clone());
        let kind = if before.is_some() { "MODIFIED" } else { "ADDED" };
        state.tell(resource, &json!({"type": kind, "object": object}));
    }

    /// Removes an object; watchers are told.
    pub fn delete(&self, resource: &str, name: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.version += 1;
        let version = state.version;
        let removed = state.objects.get_mut(resource).and_then(|objects| objects.remove(name));
        if let Some(mut object) = removed {
            object["metadata"]["resourceVersion"] = json!(version.to_string());
            state.tell(resource, &json!({"type": "DELETED", "object": object}));
        }
    }

    /// Answers the requests of one connection until it is closed.
    fn serve(&self, mut connection: TcpStream) {
        let Ok(copy) = connection.try_clone() else { return };
        let mut reader = BufReader::new(copy);
        while let Some((method, target, body)) = request(&mut reader) {
            let (path, query) = target.split_once('?').unwrap_or((&target, ""));
            let resource = path.rsplit('/').next().unwrap_or_default().to_owned();
            let has = |wanted: &str| query.split('&').any(|pair| pair == wanted);
            let result = match method.as_str() {
                "GET" if has("watch=true") || has("watch=1") => {
                    let answer = self.watch(&mut connection, &resource, has("sendInitialEvents=true"));
                    // what is told from now on is not an answer to a request: wait for the other side to close
                    let _ = answer.and_then(|()| std::io::copy(&mut reader, &mut std::io::sink()));
                    return;
                }
                "GET" => respond(&mut connection, "200 OK", &self.list(path, &resource)),
                // events, leases and the like are taken and forgotten
                _ => respond(&mut connection, "201 Created", &body),
            };
            if result.is_err() {
                return;
            }
        }
    }

    fn list(&self, path: &str, resource: &str) -> Value {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // a single object is asked for by its name below its resource
        let parent = path.rsplit('/').nth(1).unwrap_or_default();
        if let Some(object) = state.objects.get(parent).and_then(|objects| objects.get(resource)) {
            return object.clone();
        }
        let (version, kind) = api(path, resource);
        let items: Vec<Value> =
            state.objects.get(resource).into_iter().flat_map(|objects| objects.values().cloned()).collect();
        json!({
            "apiVersion": version,
            "kind": format!("{kind}List"),
            "metadata": {"resourceVersion": state.version.to_string()},
            "items": items,
        })
    }

    fn watch(&self, connection: &mut TcpStream, resource: &str, with_initial: bool) -> std::io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        connection
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        if with_initial {
            let objects = state.objects.get(resource).into_iter().flat_map(BTreeMap::values);
            for object in objects {
                connection.write_all(&chunk(&json!({"type": "ADDED", "object": object})))?;
            }
            let (version, kind) = api("", resource);
            let bookmark = json!({"type": "BOOKMARK", "object": {
                "apiVersion": version,
                "kind": kind,
                "metadata": {
                    "resourceVersion": state.version.to_string(),
                    "annotations": {"k8s.io/initial-events-end": "true"},
                },
            }});
            connection.write_all(&chunk(&bookmark))?;
        }
        if !state.is_ended {
            state.watchers.push((resource.to_owned(), connection.try_clone()?));
        }
        Ok(())
    }

    /// Closes what is open to watchers.
    pub fn end(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_ended = true;
        for (_, watcher) in state.watchers.drain(..) {
            let _ = watcher.shutdown(std::net::Shutdown::Both);
        }
    }
}

impl State {
    fn tell(&mut self, resource: &str, event: &Value) {
        let bytes = chunk(event);
        self.watchers.retain_mut(|(watched, stream)| watched != resource || stream.write_all(&bytes).is_ok());
    }
}

/// `apiVersion` and kind of a resource.
fn api(path: &str, resource: &str) -> (&'static str, &'static str) {
    match resource {
        "services" => ("v1", "Service"),
        "nodes" => ("v1", "Node"),
        "pods" => ("v1", "Pod"),
        "namespaces" => ("v1", "Namespace"),
        "endpointslices" => ("discovery.k8s.io/v1", "EndpointSlice"),
        "servicecidrs" => ("networking.k8s.io/v1", "ServiceCIDR"),
        "networkpolicies" => ("networking.k8s.io/v1", "NetworkPolicy"),
        _ if path.contains("/apis/") => ("meta.k8s.io/v1", "Unknown"),
        _ => ("v1", "Unknown"),
    }
}

/// One event as a chunk.
fn chunk(event: &Value) -> Vec<u8> {
    let text = format!("{event}\n");
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}

/// Method, target and body of the next request; `None` when there is none.
fn request(reader: &mut BufReader<TcpStream>) -> Option<(String, String, Value)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok().filter(|length| *length > 0)?;
        let header = header.trim();
        if header.is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body).ok()?;
    Some((method, target, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}

fn respond(connection: &mut TcpStream, status: &str, body: &Value) -> std::io::Result<()> {
    let body = body.to_string();
    let length = body.len();
    connection.write_all(
        format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
            .as_bytes(),
    )
}
