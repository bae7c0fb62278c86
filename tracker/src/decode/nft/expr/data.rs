//! `NFTA_DATA_*`.

use super::super::attribute::fields;

/// A constant for a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data<'a> {
    /// Bytes.
    Value(&'a [u8]),
    /// A verdict: `NF_DROP` 0, `NF_ACCEPT` 1, `NF_QUEUE` 3, `NFT_CONTINUE` -1 and so on, with a chain for jump and goto.
    Verdict {
        /// The number.
        code: i32,
        /// The chain's name, with its NUL.
        chain: Option<&'a [u8]>,
    },
}

impl<'a> Data<'a> {
    /// Reads `NFTA_DATA_VALUE` or `NFTA_DATA_VERDICT`.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        match fields::<3>(bytes).ok()? {
            [_, _, Some(verdict)] => {
                let [_, code, chain] = fields::<3>(verdict).ok()?;
                Some(Self::Verdict { code: code?.try_into().ok().map(i32::from_be_bytes)?, chain })
            }
            [_, value, None] => value.map(Self::Value),
        }
    }

    /// The bytes of a value.
    pub fn value(self) -> Option<&'a [u8]> {
        match self {
            Self::Value(value) => Some(value),
            Self::Verdict { .. } => None,
        }
    }
}
