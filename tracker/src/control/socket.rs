//! The socket file: where it is, who may connect, and what to do with one that was left behind.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::net::UnixListener;

/// Members of this group may ask; only user 0 may change anything.
pub const GROUP: &str = "netdeed";

/// Mode of the socket file: user and group may connect.
const SOCKET_MODE: u32 = 0o660;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// Another tracker answers there.
    #[error("another tracker is listening on `{path}`")]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is no socket has the name.
    #[error("`{path}` exists and is not a socket")]
    NotASocket {
        /// The file.
        path: PathBuf,
    },
    /// Everybody may write the directory, so anybody could put another socket in its place.
    #[error("directory `{path}` of the control socket is writable by everybody")]
    UnsafeDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// A system call failed.
    #[error("cannot {operation} `{path}`")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A listening socket with its file.
#[derive(Debug)]
pub struct BoundSocket {
    /// Give it to [`super::serve`].
    pub listener: UnixListener,
    /// Removes the file when dropped.
    pub file: SocketFile,
    /// Something the administrator should know, for the log.
    pub notice: Option<String>,
}

/// The socket's file; removed when dropped, unless somebody listens on it: drop it after the listener.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // not by inode number: a later tracker's socket can have the same one
        match remove_stale(&self.path) {
            Ok(()) | Err(SocketError::InUse { .. }) => {}
            Err(error) => tracing::warn!(%error, "the control socket stays behind"),
        }
    }
}

/// Listens on `path`: mode 0660, group `netdeed` if there is one. The directory is made (0750, same group) when it is
/// missing and left as it is otherwise. Must be called inside a tokio runtime.
///
/// # Errors
/// [`SocketError`]; in particular [`SocketError::InUse`] when another tracker answers. A socket file nobody listens on
/// is replaced.
pub fn bind(path: &Path) -> Result<BoundSocket, SocketError> {
    let group = fs::read_to_string("/etc/group").ok().and_then(|groups| group_id(&groups, GROUP));
    let notice = group
        .is_none()
        .then(|| format!("there is no group `{GROUP}`, so only root can use the control socket `{}`", path.display()));
    make_directory(path.parent().unwrap_or(Path::new("/")), group)?;
    remove_stale(path)?;
    let (listener, file) = listen(path, group)?;
    Ok(BoundSocket { listener, file, notice })
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SocketError {
    move |source| SocketError::Io { operation, path: path.to_owned(), source }
}

fn make_directory(path: &Path, group: Option<u32>) -> Result<(), SocketError> {
    if let Ok(directory) = fs::metadata(path) {
        let is_open = directory.mode() & 0o002 != 0 && directory.mode() & 0o1000 == 0;
        return if is_open { Err(SocketError::UnsafeDirectory { path: path.to_owned() }) } else { Ok(()) };
    }
    fs::DirBuilder::new().recursive(true).mode(0o750).create(path).map_err(failed("make directory", path))?;
    std::os::unix::fs::chown(path, None, group).map_err(failed("give a group to", path))
}

fn remove_stale(path: &Path) -> Result<(), SocketError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at", path)(error)),
        Ok(file) if !file.file_type().is_socket() => return Err(SocketError::NotASocket { path: path.to_owned() }),
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(SocketError::InUse { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed("remove the stale socket", path))
        }
        Err(error) => Err(failed("connect to", path)(error)),
    }
}

/// Binds, sets mode and group, and only then listens: nobody can connect in between.
fn listen(path: &Path, group: Option<u32>) -> Result<(UnixListener, SocketFile), SocketError> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let address = SocketAddrUnix::new(path).map_err(|errno| failed("use as a socket address", path)(errno.into()))?;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .map_err(|errno| failed("make a socket for", path)(errno.into()))?;
    rustix::net::bind(&socket, &address).map_err(|errno| failed("bind", path)(errno.into()))?;
    let file = SocketFile { path: path.to_owned() };
    std::os::unix::fs::chown(path, None, group).map_err(failed("give a group to", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE)).map_err(failed("set the mode of", path))?;
    rustix::net::listen(&socket, 128).map_err(|errno| failed("listen on", path)(errno.into()))?;
    let listener = UnixListener::from_std(socket.into()).map_err(failed("listen on", path))?;
    Ok((listener, file))
}

/// The number of a group in the text of `/etc/group`.
fn group_id(groups: &str, name: &str) -> Option<u32> {
    let mut fields = groups.lines().map(|line| line.split(':'));
    fields.find_map(|mut fields| (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_numbers_are_found_by_whole_names() {
        let groups = "root:x:0:\nnetdeedx:x:7:\nnetdeed:x:990:alice,bob\n";
        assert_eq!(group_id(groups, "netdeed"), Some(990));
        assert_eq!(group_id(groups, "deed"), None);
        assert_eq!(group_id("netdeed:x:not a number:\n", "netdeed"), None);
    }

    #[tokio::test]
    async fn a_left_behind_socket_is_replaced_and_a_live_one_is_not() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("run/netdeed.sock");
        let first = bind(&path).expect("first bind");
        assert_eq!(fs::metadata(&path).expect("socket").mode() & 0o777, 0o660);
        assert_eq!(fs::metadata(path.parent().expect("parent")).expect("directory").mode() & 0o777, 0o750);
        assert!(matches!(bind(&path), Err(SocketError::InUse { .. })));

        // as after a crash: the socket is closed but its file stays
        let BoundSocket { listener, file, notice: _ } = first;
        drop(listener);
        let second = bind(&path).expect("stale socket is replaced");
        drop(file);
        assert!(path.exists(), "the first tracker must not remove the second one's socket");
        drop(second);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn nothing_but_a_socket_is_ever_replaced() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("netdeed.sock");
        fs::write(&path, "precious").expect("file");
        assert!(matches!(bind(&path), Err(SocketError::NotASocket { .. })));
        assert_eq!(fs::read_to_string(&path).expect("still there"), "precious");
    }

    #[tokio::test]
    async fn a_directory_everybody_can_write_is_refused() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let open = directory.path().join("open");
        fs::create_dir(&open).expect("directory");
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("mode");
        assert!(matches!(bind(&open.join("netdeed.sock")), Err(SocketError::UnsafeDirectory { .. })));
    }
}
