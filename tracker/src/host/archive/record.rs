//! The record: a blob with a magic number and a checksum.

use crate::model::ids::OperationId;

use super::ArchiveError;

const MAGIC: &[u8; 8] = b"NETDARC1";
const CHECKSUM: usize = 32;

/// A record as it is on disk: magic number, content, BLAKE3 hash of the content.
pub(super) fn sealed(content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(MAGIC.len() + content.len() + CHECKSUM);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(content);
    bytes.extend_from_slice(blake3::hash(content).as_bytes());
    bytes
}

/// The content of a record.
pub(super) fn opened(operation: OperationId, bytes: &[u8]) -> Result<&[u8], ArchiveError> {
    let damaged = |what| ArchiveError::Damaged { operation, what };
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| damaged("its record does not begin as one"))?;
    let at = rest.len().checked_sub(CHECKSUM).ok_or_else(|| damaged("its record is too short"))?;
    let (content, checksum) = rest.split_at(at);
    if blake3::hash(content).as_bytes() == checksum { Ok(content) } else { Err(damaged("its checksum is wrong")) }
}
