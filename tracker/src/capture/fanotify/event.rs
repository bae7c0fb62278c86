//! Bytes of a fanotify queue to events. Total: any bytes give events or an error, never a panic.
//!
//! Layout: `struct fanotify_event_metadata` and the records after it, `include/uapi/linux/fanotify.h`.

/// An event's metadata, bytes.
const METADATA: usize = 24;
/// `FANOTIFY_METADATA_VERSION`.
const VERSION: u8 = 3;
/// `FAN_EVENT_INFO_TYPE_*`: the object itself; the directory with the name in it.
const INFO_FID: u8 = 1;
const INFO_DFID_NAME: u8 = 2;

/// One event, borrowed from the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event<'a> {
    /// `FAN_*` bits. The kernel merges what one process did to one name, so there may be several, in no order.
    pub(super) mask: u64,
    /// Process, in the reader's pid namespace; 0 when it is not there.
    pub(super) pid: i32,
    /// The directory, when the event has one.
    pub(super) dir: Option<Fid<'a>>,
    /// The name in it.
    pub(super) name: &'a [u8],
    /// The object itself (Linux 5.17).
    pub(super) target: Option<Fid<'a>>,
}

/// Identity of an object: filesystem id (8 bytes) and `struct file_handle`. Never used twice by a filesystem, since the
/// handle holds the inode's generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fid<'a>(pub(super) &'a [u8]);

impl<'a> Fid<'a> {
    /// Filesystem id as `statfs` gives it.
    pub(super) fn fsid(self) -> u64 {
        let word = |at| u64::from(u32_at(self.0, at).unwrap_or_default());
        word(0) | word(4) << 32
    }

    /// The `struct file_handle`.
    pub(super) fn handle(self) -> &'a [u8] {
        self.0.get(8..).unwrap_or_default()
    }

    /// Both, as a key.
    pub(super) fn bytes(self) -> &'a [u8] {
        self.0
    }
}

/// The bytes [`Fid::bytes`] has for an object.
pub(super) fn fid_bytes(fsid: u64, handle: &[u8]) -> Box<[u8]> {
    let (low, high) = (fsid & u64::from(u32::MAX), fsid >> 32);
    let mut bytes = Vec::with_capacity(8 + handle.len());
    for word in [low, high] {
        bytes.extend_from_slice(&u32::try_from(word).unwrap_or_default().to_ne_bytes());
    }
    bytes.extend_from_slice(handle);
    bytes.into_boxed_slice()
}

/// A queue's bytes that are not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} in a fanotify event but found {found}")]
pub(super) struct Malformed {
    expected: &'static str,
    found: usize,
}

/// How many events the bytes of a queue have; `None` where not all of them are understood.
pub fn count_events(bytes: &[u8]) -> Option<usize> {
    Events(bytes).try_fold(0, |count, event| event.ok().map(|_| count + 1))
}

/// Events of a buffer; ends after the first error.
pub(super) struct Events<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Events<'a> {
    type Item = Result<Event<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let event = take_event(&mut self.0);
        if event.is_err() {
            self.0 = &[];
        }
        Some(event)
    }
}

fn take_event<'a>(rest: &mut &'a [u8]) -> Result<Event<'a>, Malformed> {
    let short = Malformed { expected: "24 bytes of metadata", found: rest.len() };
    let length = u32_at(rest, 0).and_then(|length| usize::try_from(length).ok()).ok_or(short)?;
    let &[version, _, low, high] = rest.get(4..8).and_then(|bytes| bytes.first_chunk::<4>()).ok_or(short)?;
    let metadata = usize::from(u16::from_ne_bytes([low, high]));
    let mask = rest.get(8..16).and_then(|bytes| bytes.first_chunk()).map(|&bytes| u64::from_ne_bytes(bytes));
    let mask = mask.ok_or(short)?;
    let pid = i32::from_ne_bytes(*rest.get(20..24).and_then(|bytes| bytes.first_chunk()).ok_or(short)?);
    if version != VERSION {
        return Err(Malformed { expected: "metadata version 3", found: version.into() });
    }
    if metadata < METADATA || length < metadata {
        return Err(Malformed { expected: "an event length of at least its metadata's", found: length });
    }
    let (event, after) = rest.split_at_checked(length).ok_or(Malformed { expected: "a whole event", found: length })?;
    *rest = after;
    let mut out = Event { mask, pid, dir: None, name: &[], target: None };
    read_infos(event.get(metadata..).unwrap_or_default(), &mut out)?;
    Ok(out)
}

/// Reads the records after the metadata; kinds that are not needed are passed over.
fn read_infos<'a>(mut infos: &'a [u8], event: &mut Event<'a>) -> Result<(), Malformed> {
    while let Some(&[kind, _, low, high]) = infos.first_chunk::<4>() {
        let length = usize::from(u16::from_ne_bytes([low, high]));
        let wrong = Malformed { expected: "an info record that fits", found: length };
        let (info, after) = infos.split_at_checked(length).filter(|_| length >= 4).ok_or(wrong)?;
        infos = after;
        if kind != INFO_FID && kind != INFO_DFID_NAME {
            continue;
        }
        let body = info.get(4..).ok_or(wrong)?;
        let handle = u32_at(body, 8).and_then(|length| usize::try_from(length).ok()).ok_or(wrong)?;
        let end = handle.checked_add(16).ok_or(wrong)?;
        let (fid, name) = body.split_at_checked(end).ok_or(wrong)?;
        if kind == INFO_FID {
            event.target = Some(Fid(fid));
        } else {
            event.dir = Some(Fid(fid));
            event.name = name.split(|&byte| byte == 0).next().unwrap_or_default();
        }
    }
    Ok(())
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|&bytes| u32::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `mkdir` of `a` on a tmpfs, as Linux 6.18 reports it with `FAN_REPORT_DFID_NAME_TARGET`.
    #[rustfmt::skip]
    const MKDIR: [u8; 96] = [
        96, 0, 0, 0, 3, 0, 24, 0,              // event_len, vers, reserved, metadata_len
        0x00, 0x01, 0, 0x40, 0, 0, 0, 0,       // mask: FAN_CREATE | FAN_ONDIR
        0xff, 0xff, 0xff, 0xff, 0x39, 0x30, 0, 0, // fd: FAN_NOFD, pid 12345
        2, 0, 40, 0,                           // FAN_EVENT_INFO_TYPE_DFID_NAME, len
        1, 2, 3, 4, 5, 6, 7, 8,                // fsid
        12, 0, 0, 0, 1, 0, 0, 0,               // handle_bytes, handle_type
        9, 9, 9, 9, 1, 0, 0, 0, 0, 0, 0, 0,    // handle: generation, inode number
        b'a', 0, 0, 0, 0, 0, 0, 0,             // name, padding
        1, 0, 32, 0,                           // FAN_EVENT_INFO_TYPE_FID, len
        1, 2, 3, 4, 5, 6, 7, 8,                // fsid
        12, 0, 0, 0, 1, 0, 0, 0,               // handle_bytes, handle_type
        7, 7, 7, 7, 2, 0, 0, 0, 0, 0, 0, 0,    // handle: generation, inode number
    ];

    #[test]
    fn an_event_with_directory_name_and_target_is_read() {
        let events: Result<Vec<_>, _> = Events(&MKDIR).collect();
        let [event] = events.expect("well-formed").try_into().expect("one");
        assert_eq!(event.mask, libc::FAN_CREATE | libc::FAN_ONDIR);
        assert_eq!((event.pid, event.name), (12345, b"a".as_slice()));
        let dir = event.dir.expect("directory");
        assert_eq!(dir.fsid().to_ne_bytes(), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(dir.handle(), &MKDIR[36..56]);
        assert_eq!(event.target.expect("target").handle(), &MKDIR[76..96]);
        assert_eq!(*fid_bytes(dir.fsid(), dir.handle()), *dir.bytes());
    }

    #[test]
    fn an_overflow_has_metadata_only() {
        let mut bytes = MKDIR[..24].to_vec();
        bytes[0] = 24;
        bytes[8..16].copy_from_slice(&libc::FAN_Q_OVERFLOW.to_ne_bytes());
        bytes.extend_from_slice(&MKDIR);
        let events: Result<Vec<_>, _> = Events(&bytes).collect();
        let [overflow, mkdir] = events.expect("well-formed").try_into().expect("two");
        assert_eq!((overflow.mask, overflow.dir), (libc::FAN_Q_OVERFLOW, None));
        assert_eq!(mkdir.name, b"a");
    }

    #[test]
    fn unknown_records_are_passed_over() {
        let mut bytes = MKDIR.to_vec();
        bytes[24] = 77;
        let event = Events(&bytes).next().expect("one").expect("well-formed");
        assert_eq!(event.dir, None);
        assert!(event.target.is_some());
    }

    #[test]
    fn wrong_lengths_and_versions_end_the_buffer() {
        for (at, value) in [(0, 23), (0, 97), (4, 2), (26, 0), (26, 200), (36, 255)] {
            let mut bytes = [MKDIR, MKDIR].concat();
            bytes[at] = value;
            if at == 0 && value == 97 {
                bytes.truncate(96);
            }
            let events: Vec<_> = Events(&bytes).collect();
            assert!(matches!(events.as_slice(), [Err(_)]), "byte {at} = {value}: {events:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(change in proptest::collection::vec((0_usize..96, proptest::num::u8::ANY), 0..6), cut in 0_usize..97) {
            let mut bytes = MKDIR;
            for (at, value) in change {
                bytes[at] = value;
            }
            for event in Events(&bytes[..cut]).flatten() {
                let _ = event.dir.map(Fid::fsid);
            }
        }
    }
}
