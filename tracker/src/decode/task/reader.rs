//! Fields of a record by their offset.

use super::DecodeError;

/// The bytes of one record, at least as long as its fixed part. Reads outside give zeros and empty slices: they only
/// happen where the caller's own offsets are wrong, and then must not take the tracker down.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Wraps a record that must have `expected` bytes. (The ring may pad it, so it may have more.)
    pub(super) fn new(record: &'static str, bytes: &'a [u8], expected: usize) -> Result<Self, DecodeError> {
        if bytes.len() < expected {
            return Err(DecodeError::Short { record, found: bytes.len(), expected });
        }
        Ok(Self(bytes))
    }

    fn array<const N: usize>(self, at: usize) -> [u8; N] {
        self.bytes(at, N).try_into().unwrap_or([0; N])
    }

    pub(super) fn u16(self, at: usize) -> u16 {
        u16::from_ne_bytes(self.array(at))
    }

    pub(super) fn u32(self, at: usize) -> u32 {
        u32::from_ne_bytes(self.array(at))
    }

    pub(super) fn u64(self, at: usize) -> u64 {
        u64::from_ne_bytes(self.array(at))
    }

    /// Bytes of the fixed part.
    pub(super) fn bytes(self, at: usize, count: usize) -> &'a [u8] {
        at.checked_add(count).and_then(|end| self.0.get(at..end)).unwrap_or_default()
    }

    /// Bytes of the variable part, which the record itself places.
    pub(super) fn area(self, record: &'static str, at: usize, count: usize) -> Result<&'a [u8], DecodeError> {
        let end = at.saturating_add(count);
        self.0.get(at..end).ok_or(DecodeError::Short { record, found: self.0.len(), expected: end })
    }

    /// A text of the fixed part that ends at NUL or at `capacity`.
    pub(super) fn text(self, at: usize, capacity: usize) -> String {
        let field = self.bytes(at, capacity);
        let text = field.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    }
}
