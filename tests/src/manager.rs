//! A service manager's descriptor store, as sd_notify(3) documents it: takes descriptors with their names from the program
//! under test, and passes them to the next run of it.

use std::collections::BTreeMap;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::io::FdFlags;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::node::Node;
use crate::{Failure, Result};

/// Descriptors by their names.
type Store = BTreeMap<String, Vec<OwnedFd>>;

/// Gives a program its kept descriptors from number 3 on: `$1` says which they are now, in their order.
const PASS: &str = r#"
n=3
for fd in $1; do eval "exec $n<&$fd"; n=$((n+1)); done
for fd in $1; do eval "exec $fd<&-"; done
shift
export LISTEN_PID=$$
exec "$@"
"#;

/// A running store.
#[derive(Debug)]
pub struct Manager {
    socket: PathBuf,
    store: Arc<Mutex<Store>>,
    is_over: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Manager {
    /// Listens on a socket in the node's scratch directory.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn start(node: &Node) -> Result<Self> {
        let path = node.scratch().join("notify");
        let socket = UnixDatagram::bind(&path)?;
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        let (store, is_over) = (Arc::new(Mutex::new(Store::new())), Arc::new(AtomicBool::new(false)));
        let reader = {
            let (store, is_over) = (Arc::clone(&store), Arc::clone(&is_over));
            std::thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    if let Some((text, descriptors)) = receive(&socket) {
                        obey(&mut store.lock().unwrap_or_else(PoisonError::into_inner), &text, descriptors);
                    }
                }
            })
        };
        Ok(Self { socket: path, store, is_over, reader: Some(reader) })
    }

    /// Names of what is kept; a name with two descriptors is there twice.
    pub fn names(&self) -> Vec<String> {
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.iter().flat_map(|(name, all)| all.iter().map(move |_| name.clone())).collect()
    }

    /// Forgets everything, as when the service was stopped.
    pub fn discard(&self) {
        self.store.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Forgets one name.
    pub fn forget(&self, name: &str) {
        self.store.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// A program to run in the node as a service: it is told where to notify, and gets what is kept.
    ///
    /// # Errors
    /// When a descriptor cannot be passed.
    pub fn command(&self, node: &Node, program: &Path) -> Result<Command> {
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut names, mut numbers) = (Vec::new(), Vec::new());
        for (name, descriptor) in store.iter().flat_map(|(name, all)| all.iter().map(move |one| (name, one))) {
            // a copy that is inherited, by this number, until the process ends
            let copy = rustix::io::fcntl_dupfd_cloexec(descriptor, 100)
                .and_then(|copy| rustix::io::fcntl_setfd(&copy, FdFlags::empty()).map(|()| copy))
                .map_err(|error| Failure::new(format!("cannot pass `{name}`"), error))?;
            names.push(name.clone());
            numbers.push(copy.as_raw_fd().to_string());
            std::mem::forget(copy);
        }
        let mut command = node.command("bash");
        command.args(["-ec", PASS, "service", &numbers.join(" ")]).arg(program);
        command.env("NOTIFY_SOCKET", &self.socket);
        if !names.is_empty() {
            command.env("LISTEN_FDS", names.len().to_string()).env("LISTEN_FDNAMES", names.join(":"));
        }
        Ok(command)
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// One message with its descriptors; nothing when none comes for a while.
fn receive(socket: &UnixDatagram) -> Option<(String, Vec<OwnedFd>)> {
    let mut bytes = [0; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        recvmsg(socket, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC).ok()?
    };
    let descriptors = ancillary.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect::<Vec<_>>(),
        _ => Vec::new(),
    });
    let descriptors = descriptors.collect();
    Some((String::from_utf8_lossy(&bytes[..received.bytes]).into_owned(), descriptors))
}

/// `FDSTORE=1` keeps the message's descriptors under `FDNAME`, `FDSTOREREMOVE=1` drops all of that name.
fn obey(store: &mut Store, text: &str, descriptors: Vec<OwnedFd>) {
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let name = value("FDNAME").unwrap_or("stored").to_owned();
    let is_allowed = name.len() <= 255 && !name.contains(':') && name.chars().all(|one| one.is_ascii() && one >= ' ');
    if value("FDSTOREREMOVE") == Some("1") {
        store.remove(&name);
    } else if value("FDSTORE") == Some("1") && is_allowed {
        store.entry(name).or_default().extend(descriptors);
    }
}
