//! What decoding could not make sense of: handed to the caller, never dropped.

/// Outcome of decoding one datagram.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use = "a message that was not decoded is a change that was not seen"]
pub struct DecodeReport {
    /// Messages understood, those that say nothing changed included.
    pub decoded: usize,
    /// Low 16 bits of the generation the messages belong to, which every one carries (`nfgenmsg.res_id`); of the last,
    /// as a datagram holds messages of one commit only. Objects whose bits are not those of the `NFT_MSG_NEWGEN` that
    /// follows them are of another commit, whose own end was not seen.
    pub generation_low: Option<u16>,
    /// Messages not understood. Each may stand for a change: the state has to be dumped and compared.
    pub undecoded: Vec<Undecoded>,
}

/// A message that was not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecoded {
    /// `nlmsg_type`: subsystem in the high byte, `NFT_MSG_*` in the low one. 0 when not even the header was whole.
    pub kind: u16,
    /// What is wrong with it.
    pub reason: Reason,
    /// The message, header included, as it was received.
    pub bytes: Vec<u8>,
}

/// Why a message was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Neither an nf_tables message nor one that carries nothing.
    #[error("expected an nf_tables notification but found message type {0:#06x}")]
    UnknownType(u16),
    /// A family number that is no table family.
    #[error("expected a table family but found {0}")]
    UnknownFamily(u8),
    /// Bytes that are not what their place asks for.
    #[error("{0} is malformed")]
    Malformed(&'static str),
    /// An attribute without which the object cannot be told.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A deletion that names devices: since 6.4 (flowtables: 5.8) it takes only those devices off, before that it is
    /// how the deletion of the whole object looks. The message does not say which.
    #[error("deletion names devices, so it is of the object or of its devices only")]
    DevicesDeleted,
}
