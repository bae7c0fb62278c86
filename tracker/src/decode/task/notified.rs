//! Records of notifications on their way.

use std::mem::offset_of;

use tracker_ebpf::abi::{BY_CHANCE, BY_KERNEL_THREAD, NOTIFIED_BYTES, Notified as Record};

use super::reader::Reader;
use super::{task, time};
use crate::model::ids::NetnsId;
use crate::model::observation::{Notified, NotifiedBy, Observation};

/// Decodes a record that is long enough.
pub(super) fn decode(record: Reader<'_>) -> Observation {
    let flags = record.u32(offset_of!(Record, flags));
    let by = match () {
        () if flags & BY_KERNEL_THREAD != 0 => NotifiedBy::Kernel,
        () if flags & BY_CHANCE != 0 => NotifiedBy::Unsure,
        () => NotifiedBy::Task,
    };
    let captured = (record.u32(offset_of!(Record, data_bytes)) as usize).min(NOTIFIED_BYTES);
    Observation::Notified(Notified {
        time: time(record),
        task: task(record, offset_of!(Record, ancestry)),
        by,
        netns: NetnsId(record.u32(offset_of!(Record, netns))),
        length: record.u32(offset_of!(Record, total_bytes)),
        head: record.bytes(offset_of!(Record, data), captured).to_vec(),
    })
}
