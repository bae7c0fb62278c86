//! Mount points, from `/proc/self/mountinfo`. Reading only.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::HostError;
use crate::model::path::AbsPath;

const MOUNTINFO: &str = "/proc/self/mountinfo";

/// The mount points of the calling process's mount namespace.
///
/// # Errors
/// [`HostError::Io`] when the kernel's list cannot be read.
pub fn mount_points() -> Result<BTreeSet<AbsPath>, HostError> {
    let text = std::fs::read(MOUNTINFO).map_err(|source| HostError::Io {
        operation: "read",
        object: MOUNTINFO.to_owned(),
        source,
    })?;
    Ok(parse(&text))
}

/// The fifth field of each line is the mount point; space, tab, newline and backslash in it are octal escapes.
fn parse(mountinfo: &[u8]) -> BTreeSet<AbsPath> {
    let fields = mountinfo.split(|byte| *byte == b'\n').filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    fields.filter_map(|field| AbsPath::new(&PathBuf::from(OsString::from_vec(unescape(field))))).collect()
}

fn unescape(mut field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    while let Some((&byte, rest)) = field.split_first() {
        let code = rest.first_chunk::<3>().filter(|_| byte == b'\\');
        let value = code.and_then(|digits| {
            let is_octal = digits.iter().all(|digit| (b'0'..b'8').contains(digit));
            let value = digits.iter().fold(0u32, |value, digit| value * 8 + u32::from(digit.wrapping_sub(b'0')));
            is_octal.then(|| u8::try_from(value).ok()).flatten()
        });
        match value {
            Some(value) => {
                plain.push(value);
                field = &rest[3..];
            }
            None => {
                plain.push(byte);
                field = rest;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_unescaped() {
        let text = b"36 35 98:0 / /mnt/a\\040b rw - ext4 /dev/sda rw\n\
            37 35 0:5 / /run/netns/x\\134y rw shared:2 - nsfs nsfs rw\nshort line\n";
        let points: Vec<String> = parse(text).iter().map(ToString::to_string).collect();
        assert_eq!(points, ["/mnt/a b", "/run/netns/x\\y"]);
    }

    #[test]
    fn broken_escapes_stay_as_they_are() {
        for plain in [&b"/a\\"[..], b"/a\\04", b"/a\\9zz", b"/a\\777"] {
            assert_eq!(unescape(plain), plain);
        }
    }
}
