//! How a stored value looks: a frame that says what it is, how long it is and whether it is whole, then the payload.
//!
//! | bytes | what |
//! | --- | --- |
//! | 0..2 | `ND` |
//! | 2..4 | version, little-endian |
//! | 4 | what the payload is: [`RowKind`] |
//! | 5 | reserved, 0 |
//! | 6..10 | payload length, little-endian |
//! | 10..14 | CRC-32 of all other bytes |
//! | 14..30 | blocks only: hash of the block before |
//! | then | payload |
//!
//! These positions are the same in every version, so that a newer frame is told from a damaged one. Payloads are
//! postcard; changing a serialized type of [`crate::model`] changes the format: raise [`VERSION`], keep the old type for
//! reading, keep a recorded sample of it in the tests below.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::JournalError;

/// The version this program writes, and the newest it reads.
pub const VERSION: u16 = 1;

const MAGIC: [u8; 2] = *b"ND";
const HEADER: usize = 14;
const CRC_AT: usize = 10;

/// What a payload is. A value found under another kind's key is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RowKind {
    /// Counters, scope and the ends of the chain.
    Head = 1,
    /// Entries: a link of the chain.
    Block = 2,
    /// The states of neighbouring objects.
    ObjectPage = 3,
    /// An actor.
    Actor = 4,
    /// An actor's number under its digest.
    ActorNumber = 5,
    /// An operation's last state.
    Operation = 6,
    /// A gap.
    Gap = 7,
    /// The end of a boot.
    BootEnd = 8,
    /// How far the journal is durable; in the lock file, not in the store.
    Mark = 9,
}

/// First 16 bytes of the BLAKE3 hash of a block: everything in its frame but the checksum, so also the hash before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct ChainHash(pub [u8; 16]);

impl std::fmt::Display for ChainHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A block taken out of its frame.
#[derive(Debug, Clone, Copy)]
pub struct BlockFrame<'a> {
    /// The hash of the block before, as this one states it.
    pub previous: ChainHash,
    /// The hash of this one.
    pub hash: ChainHash,
    /// Its entries, see [`super::store`].
    pub payload: &'a [u8],
}

/// Appends a framed value to `out`.
///
/// # Errors
/// [`JournalError::Store`] when the value cannot be serialized or is longer than 4 GiB; `out` is then unspecified.
pub fn encode<T: Serialize>(kind: RowKind, value: &T, out: &mut Vec<u8>) -> Result<(), JournalError> {
    encode_with(kind, out, |out| write_value(value, out))
}

/// Appends a frame whose payload `payload` appends.
///
/// # Errors
/// As [`encode`], and those of `payload`.
pub fn encode_with(
    kind: RowKind,
    out: &mut Vec<u8>,
    payload: impl FnOnce(&mut Vec<u8>) -> Result<(), JournalError>,
) -> Result<(), JournalError> {
    let start = begin_frame(kind, out);
    payload(out)?;
    seal(&mut out[start..], HEADER)
}

/// Appends a length (4 bytes, little-endian) and then what `value` appends.
///
/// # Errors
/// Those of `value`, and [`JournalError::Store`] when it is longer than 4 GiB.
pub fn write_with_length(
    out: &mut Vec<u8>,
    value: impl FnOnce(&mut Vec<u8>) -> Result<(), JournalError>,
) -> Result<(), JournalError> {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    value(out)?;
    let length = u32::try_from(out.len() - at - 4).map_err(|error| failed("encode a value", error))?;
    out[at..at + 4].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

/// Appends a bare postcard value to `out`.
///
/// # Errors
/// As [`encode`].
pub fn write_value<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), JournalError> {
    *out = postcard::to_extend(value, std::mem::take(out)).map_err(|error| failed("encode a value", error))?;
    Ok(())
}

/// Appends a framed block to `out` and returns its hash.
///
/// # Errors
/// [`JournalError::Store`] when the payload is longer than 4 GiB.
pub fn encode_block(previous: ChainHash, payload: &[u8], out: &mut Vec<u8>) -> Result<ChainHash, JournalError> {
    let start = begin_frame(RowKind::Block, out);
    out.extend_from_slice(&previous.0);
    out.extend_from_slice(payload);
    let frame = &mut out[start..];
    seal(frame, HEADER + previous.0.len())?;
    Ok(hash_of(frame))
}

/// Takes a value out of its frame; `key` is for the error only.
///
/// # Errors
/// [`JournalError::Version`] for a whole frame of a newer version, [`JournalError::Damaged`] for anything else that is
/// not exactly one value of this kind. Never panics.
pub fn decode<T: DeserializeOwned>(kind: RowKind, key: &[u8], bytes: &[u8]) -> Result<T, JournalError> {
    read_value(key, payload(kind, key, bytes)?)
}

/// Takes a payload out of its frame; `key` is for the error only.
///
/// # Errors
/// As [`decode`].
pub fn payload<'a>(kind: RowKind, key: &[u8], bytes: &'a [u8]) -> Result<&'a [u8], JournalError> {
    check(kind, HEADER, key, bytes)
}

/// Reads a bare postcard value that takes all of `payload`.
///
/// # Errors
/// [`JournalError::Damaged`].
pub fn read_value<T: DeserializeOwned>(key: &[u8], payload: &[u8]) -> Result<T, JournalError> {
    match postcard::take_from_bytes(payload) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(damaged(key, format!("{} bytes after its value", rest.len()))),
        Err(error) => Err(damaged(key, format!("payload is no value of its kind: {error}"))),
    }
}

/// Takes a block out of its frame; `key` is for the error only.
///
/// # Errors
/// As [`decode`].
pub fn decode_block<'a>(key: &[u8], bytes: &'a [u8]) -> Result<BlockFrame<'a>, JournalError> {
    let mut previous = ChainHash::default();
    let after_header = HEADER + previous.0.len();
    let payload = check(RowKind::Block, after_header, key, bytes)?;
    previous.0.copy_from_slice(&bytes[HEADER..after_header]);
    Ok(BlockFrame { previous, hash: hash_of(bytes), payload })
}

/// The error for a value that is not what it should be.
pub fn damaged(key: &[u8], reason: impl Into<String>) -> JournalError {
    let mut name: String = key.first().map(|tag| char::from(*tag).escape_default().to_string()).unwrap_or_default();
    key.iter().skip(1).for_each(|byte| name.push_str(&format!("{byte:02x}")));
    JournalError::Damaged { key: name, reason: reason.into() }
}

fn begin_frame(kind: RowKind, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[kind as u8, 0]);
    out.extend_from_slice(&[0; HEADER - CRC_AT + 4]);
    start
}

fn seal(frame: &mut [u8], payload_at: usize) -> Result<(), JournalError> {
    let length = u32::try_from(frame.len() - payload_at).map_err(|error| failed("encode a value", error))?;
    frame[CRC_AT - 4..CRC_AT].copy_from_slice(&length.to_le_bytes());
    let crc = checksum(frame);
    frame[CRC_AT..HEADER].copy_from_slice(&crc.to_le_bytes());
    Ok(())
}

fn checksum(frame: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&frame[..CRC_AT]);
    crc.update(&frame[HEADER..]);
    crc.finalize()
}

fn hash_of(frame: &[u8]) -> ChainHash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&frame[..CRC_AT]).update(&frame[HEADER..]);
    let mut hash = ChainHash::default();
    hash.0.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    hash
}

/// Checks a frame and returns its payload, which begins at `payload_at`.
fn check<'a>(kind: RowKind, payload_at: usize, key: &[u8], bytes: &'a [u8]) -> Result<&'a [u8], JournalError> {
    if bytes.len() < payload_at {
        return Err(damaged(key, format!("{} bytes are too short for a frame", bytes.len())));
    }
    if bytes[..2] != MAGIC {
        return Err(damaged(key, "no frame begins here"));
    }
    let expected = u32::from_le_bytes([bytes[10], bytes[11], bytes[12], bytes[13]]);
    if checksum(bytes) != expected {
        return Err(damaged(key, "checksum does not fit"));
    }
    let version = u16::from_le_bytes([bytes[2], bytes[3]]);
    if version > VERSION {
        return Err(JournalError::Version { found: version, known: VERSION });
    }
    let length = u32::from_le_bytes([bytes[6], bytes[7], bytes[8], bytes[9]]);
    let payload = &bytes[payload_at..];
    match (version, bytes[4] == kind as u8, u32::try_from(payload.len()) == Ok(length)) {
        (0, ..) => Err(damaged(key, "version 0 never was")),
        (_, false, _) => Err(damaged(key, format!("expected a {kind:?} but found kind {}", bytes[4]))),
        (.., false) => Err(damaged(key, format!("expected {length} bytes of payload but found {}", payload.len()))),
        _ => Ok(payload),
    }
}

fn failed(operation: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> JournalError {
    JournalError::Store { operation, source: Box::new(source) }
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
