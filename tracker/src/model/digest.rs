//! Content digests: equal content, equal digest, whatever handle or counter value it carries.

use std::fmt;

use serde::{Deserialize, Serialize};

/// First 16 bytes of a BLAKE3 hash over an object's canonical content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 16]);

impl Digest {
    /// Digest of one run of bytes.
    pub fn of(content: &[u8]) -> Self {
        let mut builder = DigestBuilder::new("");
        builder.field(content);
        builder.finish()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// Hashes fields one after the other, each with its length, so that no two field lists run together.
pub struct DigestBuilder(blake3::Hasher);

impl DigestBuilder {
    /// Starts a digest for one kind of content; `domain` keeps kinds apart.
    pub fn new(domain: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(domain.len() as u64).to_le_bytes());
        hasher.update(domain.as_bytes());
        Self(hasher)
    }

    /// Adds one field.
    pub fn field(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// Ends the digest.
    pub fn finish(&self) -> Digest {
        let mut digest = [0; 16];
        digest.copy_from_slice(&self.0.finalize().as_bytes()[..16]);
        Digest(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_run_together() {
        let digest = |fields: &[&[u8]]| {
            let mut builder = DigestBuilder::new("test");
            fields.iter().for_each(|field| {
                builder.field(field);
            });
            builder.finish()
        };
        assert_ne!(digest(&[b"ab", b"c"]), digest(&[b"a", b"bc"]));
        assert_eq!(digest(&[b"ab", b"c"]), digest(&[b"ab", b"c"]));
    }
}
