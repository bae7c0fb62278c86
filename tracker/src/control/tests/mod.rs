//! Server and client over a real Unix socket.

pub(crate) mod fixture;

mod change;
mod peer;
mod read;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::client::Client;
use super::socket::{self, SocketFile};
use fixture::node::FixtureNode;

/// A server with its client.
struct Setup {
    node: Arc<FixtureNode>,
    client: Client,
    path: PathBuf,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
    _file: SocketFile,
    _directory: tempfile::TempDir,
}

fn setup() -> Setup {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("netdeed.sock");
    let bound = socket::bind(&path).expect("bind");
    let node = Arc::new(FixtureNode::new());
    let (stop, stopped) = oneshot::channel();
    let served = super::serve(bound.listener, Arc::clone(&node) as Arc<dyn super::Node>, async {
        let _ = stopped.await;
    });
    let server = tokio::spawn(served);
    Setup { node, client: Client::new(&path), path, stop, server, _file: bound.file, _directory: directory }
}

/// Waits for something that must happen soon.
async fn soon<T>(happening: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), happening).await.expect("happens within ten seconds")
}
