//! As much of a Kubernetes API server as components on a node need to come up: lists, watches and patches of objects that
//! a test puts in, over plain HTTP/1.1 on the node's loopback, without authentication and without looking at labels.
//!
//! What is asked for and not known here is answered with 404, and fails the test: a client that gets by without its answer
//! would be another one than in a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::http::{Request, begin_stream, chunk, respond};
use crate::node::Node;
use crate::{Failure, Result};

/// Where it listens.
pub const ADDRESS: &str = "127.0.0.1:8001";

/// A kind of object: where it is asked for, and what it is called there and in itself.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Resource {
    group: &'static str,
    plural: &'static str,
    kind: &'static str,
}

const fn resource(group: &'static str, plural: &'static str, kind: &'static str) -> Resource {
    Resource { group, plural, kind }
}

const RESOURCES: [Resource; 7] = [
    resource("v1", "nodes", "Node"),
    resource("v1", "services", "Service"),
    resource("v1", "pods", "Pod"),
    resource("v1", "namespaces", "Namespace"),
    resource("discovery.k8s.io/v1", "endpointslices", "EndpointSlice"),
    resource("networking.k8s.io/v1", "servicecidrs", "ServiceCIDR"),
    resource("events.k8s.io/v1", "events", "Event"),
];

/// What a path means.
#[derive(Debug)]
struct Target {
    resource: &'static Resource,
    /// Namespace and name, as far as given.
    name: Option<(String, String)>,
}

impl Target {
    /// `/api/v1/...` or `/apis/GROUP/VERSION/...`, with or without a namespace, a name, and `status`.
    fn of(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("/api/").or_else(|| path.strip_prefix("/apis/"))?;
        let mut found = RESOURCES.iter().filter_map(|resource| {
            let rest = rest.strip_prefix(resource.group)?.strip_prefix('/')?;
            let (namespace, rest) = match rest.strip_prefix("namespaces/").and_then(|rest| rest.split_once('/')) {
                Some((namespace, rest)) => (namespace, rest),
                None => ("", rest),
            };
            let rest = rest.strip_prefix(resource.plural)?;
            let name = match rest.strip_prefix('/') {
                Some(name) => Some((namespace.to_owned(), name.trim_end_matches("/status").to_owned())),
                None if rest.is_empty() => None,
                None => return None,
            };
            Some(Self { resource, name })
        });
        found.next()
    }
}

/// A running server. Dropping it ends it, and fails the test when something was asked for that it does not know.
#[derive(Debug)]
pub struct ApiServer {
    state: Arc<Mutex<State>>,
    listener: TcpListener,
}

#[derive(Debug, Default)]
struct State {
    version: u64,
    /// Objects by kind, then namespace and name.
    objects: BTreeMap<&'static str, BTreeMap<(String, String), Value>>,
    /// What happened to them: version, kind, event.
    events: Vec<(u64, &'static str, Value)>,
    watchers: Vec<Watcher>,
    unknown: BTreeSet<String>,
    is_ended: bool,
}

#[derive(Debug)]
struct Watcher {
    kind: &'static str,
    /// Only the object of this name.
    only: Option<String>,
    stream: TcpStream,
}

impl Watcher {
    fn tell(&mut self, event: &Value) -> std::io::Result<()> {
        let is_wanted = self.only.as_ref().is_none_or(|only| event["object"]["metadata"]["name"] == only.as_str());
        if is_wanted { self.stream.write_all(&chunk(event)) } else { Ok(()) }
    }
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
        let server = Self { state: Arc::default(), listener };
        let (accepting, state) = (server.listener.try_clone()?, Arc::clone(&server.state));
        std::thread::spawn(move || {
            for connection in accepting.incoming().map_while(std::result::Result::ok) {
                let state = Arc::clone(&state);
                std::thread::spawn(move || serve(&state, connection));
            }
        });
        Ok(server)
    }

    /// Adds an object, or changes the one of its kind and name; watchers are told.
    ///
    /// # Panics
    /// When its kind is not one that is known here.
    pub fn put(&self, object: Value) {
        let resource = RESOURCES.iter().find(|resource| object["kind"] == resource.kind);
        let resource = resource.unwrap_or_else(|| panic!("a kind that the API server does not have: {object}"));
        lock(&self.state).put(resource, object);
    }

    /// Removes an object; watchers are told. Says whether it was there.
    pub fn delete(&self, kind: &str, namespace: &str, name: &str) -> bool {
        let mut state = lock(&self.state);
        let Some(resource) = RESOURCES.iter().find(|resource| resource.kind == kind) else { return false };
        let objects = state.objects.get_mut(resource.kind);
        let removed = objects.and_then(|objects| objects.remove(&(namespace.to_owned(), name.to_owned())));
        let Some(mut object) = removed else { return false };
        state.version += 1;
        object["metadata"]["resourceVersion"] = json!(state.version.to_string());
        state.tell(resource.kind, &json!({"type": "DELETED", "object": object}));
        true
    }

    /// An object as it is now.
    pub fn object(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        lock(&self.state).objects.get(kind)?.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// What was asked for that is not known here: `METHOD path`.
    pub fn unknown(&self) -> Vec<String> {
        lock(&self.state).unknown.iter().cloned().collect()
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        // accepting fails from now on
        let _ = rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both);
        let mut state = lock(&self.state);
        state.is_ended = true;
        for watcher in state.watchers.drain(..) {
            let _ = watcher.stream.shutdown(std::net::Shutdown::Both);
        }
        let unknown = state.unknown.clone();
        drop(state);
        assert!(std::thread::panicking() || unknown.is_empty(), "asked of the API server, and not known: {unknown:#?}");
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers the requests of one connection until it is closed.
fn serve(state: &Mutex<State>, mut connection: TcpStream) {
    let Ok(copy) = connection.try_clone() else { return };
    let mut reader = BufReader::new(copy);
    while let Some(request) = Request::read(&mut reader) {
        let target = Target::of(&request.path);
        let result = match (request.method.as_str(), target) {
            ("GET", Some(Target { resource, name: None })) if request.has("watch") => {
                let told = lock(state).watch(&connection, resource, &request);
                // the rest is told by who changes objects: wait for the other side to close
                let _ = told.and_then(|()| std::io::copy(&mut reader, &mut std::io::sink()));
                return;
            }
            ("GET", Some(target)) => match lock(state).get(&target, &request) {
                Some(body) => respond(&mut connection, "200 OK", &body),
                None => respond(&mut connection, "404 Not Found", &failure(404, "NotFound")),
            },
            ("PATCH", Some(Target { resource, name: Some(name) })) => {
                match lock(state).patch(resource, &name, &request.body) {
                    Some(body) => respond(&mut connection, "200 OK", &body),
                    None => respond(&mut connection, "404 Not Found", &failure(404, "NotFound")),
                }
            }
            // taken, and forgotten
            ("POST", Some(Target { resource: Resource { kind: "Event", .. }, .. })) => {
                respond(&mut connection, "201 Created", &request.body)
            }
            (method, _) => {
                let line = format!("{method} {}", request.path);
                eprintln!("the API server does not know: {line}");
                lock(state).unknown.insert(line);
                respond(&mut connection, "404 Not Found", &failure(404, "NotFound"))
            }
        };
        if result.is_err() {
            return;
        }
    }
}

fn failure(code: u16, reason: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": reason})
}

/// The name that a request is limited to.
fn only(request: &Request) -> Option<String> {
    Some(request.value("fieldSelector")?.strip_prefix("metadata.name=")?.to_owned())
}

impl State {
    fn put(&mut self, resource: &'static Resource, mut object: Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let part = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
        let key = (part("namespace"), part("name"));
        let before = self.objects.entry(resource.kind).or_default().insert(key, object.clone());
        let change = if before.is_some() { "MODIFIED" } else { "ADDED" };
        self.tell(resource.kind, &json!({"type": change, "object": object}));
    }

    fn tell(&mut self, kind: &'static str, event: &Value) {
        self.events.push((self.version, kind, event.clone()));
        self.watchers.retain_mut(|watcher| watcher.kind != kind || watcher.tell(event).is_ok());
    }

    fn get(&self, target: &Target, request: &Request) -> Option<Value> {
        let Target { resource, name } = target;
        let objects = self.objects.get(resource.kind);
        if let Some(name) = name {
            return objects?.get(name).cloned();
        }
        let only = only(request);
        let objects = objects.into_iter().flatten();
        let wanted = objects.filter(|((_, name), _)| only.as_ref().is_none_or(|only| only == name));
        let items: Vec<Value> = wanted.map(|(_, object)| object.clone()).collect();
        Some(json!({
            "apiVersion": resource.group,
            "kind": format!("{}List", resource.kind),
            "metadata": {"resourceVersion": self.version.to_string()},
            "items": items,
        }))
    }

    fn watch(&mut self, stream: &TcpStream, resource: &'static Resource, request: &Request) -> std::io::Result<()> {
        let mut stream = stream.try_clone()?;
        begin_stream(&mut stream)?;
        let mut watcher = Watcher { kind: resource.kind, only: only(request), stream };
        if request.has("sendInitialEvents") {
            for object in self.objects.get(resource.kind).into_iter().flat_map(BTreeMap::values) {
                watcher.tell(&json!({"type": "ADDED", "object": object}))?;
            }
            let metadata = json!({
                "resourceVersion": self.version.to_string(),
                "annotations": {"k8s.io/initial-events-end": "true"},
            });
            let end = json!({"apiVersion": resource.group, "kind": resource.kind, "metadata": metadata});
            watcher.stream.write_all(&chunk(&json!({"type": "BOOKMARK", "object": end})))?;
        } else {
            let since = request.value("resourceVersion").and_then(|version| version.parse().ok()).unwrap_or(0);
            let mut missed = self.events.iter().filter(|(version, kind, _)| *version > since && *kind == resource.kind);
            missed.try_for_each(|(_, _, event)| watcher.tell(event))?;
        }
        if !self.is_ended {
            self.watchers.push(watcher);
        }
        Ok(())
    }

    /// Patches an object: a list in it is replaced as a whole.
    fn patch(&mut self, resource: &'static Resource, name: &(String, String), patch: &Value) -> Option<Value> {
        let mut object = self.objects.get(resource.kind)?.get(name)?.clone();
        merge(&mut object, patch);
        self.put(resource, object);
        self.objects.get(resource.kind)?.get(name).cloned()
    }
}

/// RFC 7396; what begins with `$` directs merges of another kind, and means nothing in this one.
fn merge(object: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else { return object.clone_from(patch) };
    if !object.is_object() {
        *object = json!({});
    }
    for (name, value) in patch.iter().filter(|(name, _)| !name.starts_with('$')) {
        match value {
            Value::Null => drop(object.as_object_mut().map(|fields| fields.remove(name))),
            value => merge(&mut object[name], value),
        }
    }
}
