//! Who is at the other end of a connection, by the kernel's word.

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::net::{UnixListener, UnixStream};

/// The process that connected, as the kernel noted it at `connect(2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its effective user id; `None` when the kernel did not say, and then it may change nothing.
    pub uid: Option<u32>,
    /// Its process id, in the tracker's pid namespace; for log lines only.
    pub pid: Option<i32>,
}

impl Peer {
    fn of(stream: &UnixStream) -> Self {
        match stream.peer_cred() {
            Ok(credentials) => Self { uid: Some(credentials.uid()), pid: credentials.pid() },
            Err(error) => {
                tracing::warn!(%error, "cannot read the credentials of a control connection");
                Self { uid: None, pid: None }
            }
        }
    }

    /// The user id of a peer that may change things: 0. A user of another user namespace who is 0 only there is seen
    /// here with the id it is mapped to.
    pub fn may_change(self) -> Option<u32> {
        self.uid.filter(|uid| *uid == 0)
    }
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self::of(stream.io())
    }
}
