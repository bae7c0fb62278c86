//! Placeholder for the decoder of netlink requests.

use crate::model::observation::RequestMessage;

/// Decodes the messages of a request of `total_len` bytes of which `bytes` were captured, and says whether some were cut.
pub fn messages(_protocol: u32, bytes: &[u8], total_len: u64) -> (Vec<RequestMessage>, bool) {
    (Vec::new(), total_len > bytes.len() as u64)
}
