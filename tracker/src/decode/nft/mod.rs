//! nf_tables messages: notifications of the NFTABLES group and answers to dumps, which have the same form.
//!
//! A commit is notified object by object and closed by `NFT_MSG_NEWGEN`. What is *not* notified:
//! - a rule's move when its chain is renamed: only the chain is, under its new name with its old handle;
//! - what else names a renamed chain: the verdicts of rules and map elements;
//! - the elements of a set that is deleted, be it with its table or, if anonymous, with its rule: only the set is;
//! - elements that packets add or that time out;
//! - tables with the owner flag when their socket closes, and everything when the network namespace goes;
//! - which devices a chain or flowtable already had when devices are added to it: the message names the added ones, and
//!   looks like that of a new one.
//!
//! Anonymous sets and their elements *are* notified when they are made, so they are decoded like others.

pub(crate) mod attribute;
mod canonical;
pub mod expr;
mod expression;
mod message;
mod object;
mod report;
mod rule;
mod set;
mod table;
#[cfg(test)]
mod tests;

use netlink_packet_core::NetlinkBuffer;

use crate::model::observation::Observation;

pub use report::{DecodeReport, Reason, Undecoded};
pub use set::object_of;

/// Decodes the messages of one datagram, appending to `out` in their order.
///
/// Total: any bytes give a report. A message that is not understood adds nothing to `out` and is in the report whole.
pub fn decode(datagram: &[u8], out: &mut Vec<Observation>) -> DecodeReport {
    let mut report = DecodeReport::default();
    let mut rest = datagram;
    while !rest.is_empty() {
        let Ok(message) = NetlinkBuffer::new_checked(rest) else {
            let undecoded = Undecoded { kind: 0, reason: Reason::Malformed("message header"), bytes: rest.to_vec() };
            report.undecoded.push(undecoded);
            break;
        };
        let length = usize::try_from(message.length()).unwrap_or(usize::MAX);
        decode_one(&message, out, &mut report);
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    report
}

/// Decodes the first message of a buffer that is known to hold it whole.
pub(crate) fn decode_one(message: &NetlinkBuffer<&[u8]>, out: &mut Vec<Observation>, report: &mut DecodeReport) {
    let before = out.len();
    match message::decode_message(message, out) {
        Ok(generation_low) => {
            report.decoded += 1;
            report.generation_low = generation_low.or(report.generation_low);
        }
        Err(reason) => {
            out.truncate(before);
            let length = usize::try_from(message.length()).unwrap_or(usize::MAX);
            let bytes = message.buffer.get(..length).unwrap_or(message.buffer).to_vec();
            report.undecoded.push(Undecoded { kind: message.message_type(), reason, bytes });
        }
    }
}
