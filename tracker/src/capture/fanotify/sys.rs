//! The fanotify and file handle system calls, for which there is no safe wrapper.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// `MAX_HANDLE_SZ`.
const MAX_HANDLE: usize = 128;
/// Bytes before the handle proper: its length (`u32`) and its type (`i32`).
const HEAD: usize = size_of::<libc::file_handle>();

/// A `struct file_handle` with room for the longest handle.
#[repr(C)]
struct Handle {
    head: libc::file_handle,
    data: [u8; MAX_HANDLE],
}

const _: () = assert!(HEAD == 8 && size_of::<Handle>() == HEAD + MAX_HANDLE);

/// Makes a notification group.
pub(super) fn init(flags: libc::c_uint) -> io::Result<OwnedFd> {
    let event_flags = libc::O_RDONLY | libc::O_CLOEXEC | libc::O_LARGEFILE;
    // SAFETY: takes two numbers and touches no memory of ours.
    let fd = unsafe { libc::fanotify_init(flags, event_flags.unsigned_abs()) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Adds events to the mark of the whole filesystem that `dir` is on. `dir` must not be `O_PATH`.
pub(super) fn mark_filesystem(group: BorrowedFd<'_>, mask: u64, dir: BorrowedFd<'_>) -> io::Result<()> {
    let flags = libc::FAN_MARK_ADD | libc::FAN_MARK_FILESYSTEM;
    // SAFETY: both descriptors are open for the call; a null path is allowed and means `dir` itself.
    let result = unsafe { libc::fanotify_mark(group.as_raw_fd(), flags, mask, dir.as_raw_fd(), std::ptr::null()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Takes over the descriptor of an event; `None` for an event without one.
pub(super) fn adopt(fd: i32) -> Option<OwnedFd> {
    // SAFETY: the kernel made this descriptor for the reader of the event, who hands it over here once.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Opens an object by its handle, as a place only (`O_PATH`). `mount` is any directory on the handle's filesystem, not
/// `O_PATH`; its mount is the one the object is seen through.
///
/// `handle` is a `struct file_handle` as bytes. `ESTALE`: it is gone.
pub(super) fn open_by_handle(mount: BorrowedFd<'_>, handle: &[u8]) -> io::Result<OwnedFd> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
    let (head, data) = handle.split_at_checked(HEAD).ok_or_else(invalid)?;
    let (length, kind) = head.split_at_checked(4).ok_or_else(invalid)?;
    let handle_bytes = u32::from_ne_bytes(length.try_into().map_err(|_| invalid())?);
    let handle_type = i32::from_ne_bytes(kind.try_into().map_err(|_| invalid())?);
    if usize::try_from(handle_bytes).ok() != Some(data.len()) {
        return Err(invalid());
    }
    let mut buffer =
        Handle { head: libc::file_handle { handle_bytes, handle_type, f_handle: [] }, data: [0; MAX_HANDLE] };
    buffer.data.get_mut(..data.len()).ok_or_else(invalid)?.copy_from_slice(data);
    let flags = libc::O_PATH | libc::O_CLOEXEC;
    // SAFETY: the kernel reads the head and `handle_bytes` bytes after it, which lie within `buffer` as checked above.
    let fd = unsafe { libc::open_by_handle_at(mount.as_raw_fd(), (&raw mut buffer).cast(), flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The handle of an open object (`O_PATH` will do), as bytes of a `struct file_handle`: what fanotify reports for it.
pub(super) fn handle_of(object: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    let mut buffer = MaybeUninit::<Handle>::zeroed();
    let head: *mut libc::file_handle = buffer.as_mut_ptr().cast();
    let room = u32::try_from(MAX_HANDLE).map_err(io::Error::other)?;
    let mut mount_id = 0;
    // SAFETY: `head` points to zeroed memory of that type.
    unsafe { (*head).handle_bytes = room };
    // SAFETY: the empty path is a C string, and the kernel writes at most `handle_bytes` bytes after the head, which lie
    // within `buffer`.
    let result = unsafe {
        libc::name_to_handle_at(object.as_raw_fd(), c"".as_ptr(), head, &raw mut mount_id, libc::AT_EMPTY_PATH)
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the buffer was zeroed, and every bit pattern is a valid `Handle`.
    let handle = unsafe { buffer.assume_init() };
    let data = usize::try_from(handle.head.handle_bytes).ok().and_then(|length| handle.data.get(..length));
    let data = data.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    let mut bytes = Vec::with_capacity(HEAD + data.len());
    bytes.extend_from_slice(&handle.head.handle_bytes.to_ne_bytes());
    bytes.extend_from_slice(&handle.head.handle_type.to_ne_bytes());
    bytes.extend_from_slice(data);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn handles_that_are_cut_or_too_long_are_refused() {
        let dir = std::fs::File::open("/").expect("open");
        let refused = |bytes: &[u8]| open_by_handle(dir.as_fd(), bytes).expect_err("refused").kind();
        assert_eq!(refused(&[]), io::ErrorKind::InvalidInput);
        assert_eq!(refused(&[8, 0, 0, 0, 1, 0, 0, 0, 7]), io::ErrorKind::InvalidInput);
        let mut long = 200_u32.to_ne_bytes().to_vec();
        long.extend([0; 204]);
        assert_eq!(refused(&long), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_handle_leads_back_to_its_directory() {
        let top = tempfile::tempdir().expect("temporary directory");
        let dir = std::fs::File::open(top.path()).expect("open");
        let handle = handle_of(dir.as_fd()).expect("handle");
        let again = open_by_handle(dir.as_fd(), &handle).expect("needs CAP_DAC_READ_SEARCH");
        let path = std::fs::read_link(format!("/proc/self/fd/{}", again.as_raw_fd())).expect("path");
        assert_eq!(path, top.path());
    }
}
