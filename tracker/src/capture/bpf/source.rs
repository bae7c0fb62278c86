//! Reading the ring.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use aya::Ebpf;
use aya::maps::{MapData, PerCpuArray, PerCpuValues, RingBuf};
use aya::programs::FEntry;
use aya::programs::links::FdLink;
use tracker_ebpf::abi::{Header, TableChunk, kind, slot};

use super::loss::Losses;
use super::programs::NOTIFY;
use super::report::{BpfReport, ProgramState};
use super::ring::Positions;
use crate::capture::{CaptureError, Raw, RawSource};

/// How long to wait for a record another CPU is filling. Filling takes microseconds; longer means its CPU was taken away.
const FILLING: Duration = Duration::from_millis(2);

/// The running BPF programs and the ring of their records. Dropping it detaches them.
pub struct BpfSource {
    pub(super) report: BpfReport,
    /// The object; `None` when a former tracker loaded it.
    pub(super) programs: Option<Ebpf>,
    /// Keeps programs attached, by their names.
    pub(super) links: Vec<(&'static str, FdLink)>,
    /// The same of a former tracker.
    pub(super) kept_links: Vec<(String, OwnedFd)>,
    /// The rings and the counters, for the next tracker.
    pub(super) kept_maps: [OwnedFd; 3],
    pub(super) ring: RingBuf<MapData>,
    pub(super) positions: Positions,
    /// What legacy tables are replaced with, in pieces.
    pub(super) tables: RingBuf<MapData>,
    pub(super) table_positions: Positions,
    pub(super) counters: PerCpuArray<MapData, u64>,
    pub(super) losses: Losses,
    /// Records taken from the ring that are still to be delivered, before all others.
    pub(super) returned: VecDeque<Raw>,
    /// Whether records of notifications are dropped.
    pub(super) distrusts_notifications: bool,
}

impl std::fmt::Debug for BpfSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let programs = self.links.len() + self.kept_links.len();
        f.debug_struct("BpfSource")
            .field("programs", &programs)
            .field("losses", &self.losses)
            .field("returned", &self.returned.len())
            .finish_non_exhaustive()
    }
}

impl BpfSource {
    /// What became of each program when they were loaded.
    pub fn report(&self) -> &BpfReport {
        &self.report
    }

    /// Detaches the program on notifications, for the reason given, and drops what it has sent so far: its records must not
    /// be believed.
    pub fn distrust_notifications(&mut self, why: &str) {
        self.links.retain(|(name, _)| *name != NOTIFY);
        self.kept_links.retain(|(name, _)| name != NOTIFY);
        let program = self.programs.as_mut().and_then(|programs| programs.program_mut(NOTIFY));
        if let Some(Ok(entry)) = program.map(TryInto::<&mut FEntry>::try_into) {
            // one that does not run is as good
            let _ = entry.unload();
        }
        let is_one = |record: &Raw| matches!(record, Raw::Bpf(bytes) if is_notification(bytes));
        self.returned.retain(|record| !is_one(record));
        self.distrusts_notifications = true;
        for program in self.report.programs.iter_mut().filter(|program| program.name == NOTIFY) {
            program.state = ProgramState::Unavailable { reason: format!("the self-test failed: {why}"), remedy: None };
        }
    }

    /// Gives records back to be delivered before all others, in this order.
    pub(super) fn give_back(&mut self, records: Vec<Raw>) {
        for record in records.into_iter().rev() {
            self.returned.push_front(record);
        }
    }

    /// Moves the next finished record to `out`, with the loss before it. Returns whether there was one.
    fn take(&mut self, out: &mut Vec<Raw>) -> bool {
        let Some(item) = self.ring.next() else { return false };
        let record = item.to_vec();
        drop(item);
        if let Some((source, lost)) = numbered(&record).and_then(|(kind, cpu, at)| self.losses.read(kind, cpu, at)) {
            out.push(Raw::Lost { source, lost: Some(lost) });
        }
        if !(self.distrusts_notifications && is_notification(&record)) {
            out.push(Raw::Bpf(record));
        }
        true
    }

    /// Moves the pieces of legacy tables that are there to `out`. Those of every call whose end was read are there: they
    /// are sent before it.
    fn take_tables(&mut self, out: &mut Vec<Raw>) {
        let mut deadline = None;
        while self.table_positions.is_pending() {
            match self.tables.next() {
                Some(item) => {
                    let used = used_bytes(&item).min(item.len());
                    out.push(Raw::Bpf(item[..used].to_vec()));
                    deadline = None;
                }
                // another CPU is filling one; a call whose pieces do not come is known as incomplete
                None if Instant::now() > *deadline.get_or_insert_with(|| Instant::now() + FILLING) => return,
                None => std::thread::yield_now(),
            }
        }
    }

    /// Takes the counters of a former tracker as the begin of the account. What they say was lost, whenever that was, is
    /// told once more.
    pub(super) fn resume_losses(&mut self) -> Result<(), CaptureError> {
        let slots = self.counts()?;
        let cpus = slots.first().map_or(0, |values| values.len());
        let counter =
            |slot: u32, cpu: usize| slots.get(slot as usize).and_then(|values| values.get(cpu)).copied().unwrap_or(0);
        let losses = self.losses.resume(cpus, counter);
        self.returned.extend(losses.into_iter().map(|(source, lost)| Raw::Lost { source, lost: Some(lost) }));
        Ok(())
    }

    fn counts(&self) -> Result<Vec<PerCpuValues<u64>>, CaptureError> {
        let mut slots = Vec::new();
        for slot in 0..slot::COUNT {
            let values = self.counters.get(&slot, 0).map_err(|source| CaptureError::Bpf {
                operation: "read the loss counters of",
                program: "netdeed".to_owned(),
                source: Box::new(source),
            })?;
            slots.push(values);
        }
        Ok(slots)
    }

    /// Reports what the counters say was lost since the last record.
    fn settle(&mut self, out: &mut Vec<Raw>) -> Result<(), CaptureError> {
        let slots = self.counts()?;
        let cpus = slots.first().map_or(0, |values| values.len());
        let counter =
            |slot: u32, cpu: usize| slots.get(slot as usize).and_then(|values| values.get(cpu)).copied().unwrap_or(0);
        let losses = self.losses.settle(cpus, counter);
        out.extend(losses.into_iter().map(|(source, lost)| Raw::Lost { source, lost: Some(lost) }));
        Ok(())
    }
}

/// Bytes of a table's piece that mean something.
fn used_bytes(record: &[u8]) -> usize {
    use std::mem::offset_of;
    let bytes = record.get(offset_of!(TableChunk, bytes)..).and_then(|rest| rest.first_chunk::<4>());
    bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes) as usize).saturating_add(offset_of!(TableChunk, data))
}

fn is_notification(record: &[u8]) -> bool {
    record.starts_with(&kind::NOTIFIED.to_ne_bytes())
}

/// Kind, CPU and number of a record, for the account of losses.
fn numbered(record: &[u8]) -> Option<(u16, u32, u64)> {
    use std::mem::offset_of;
    let kind = record.get(offset_of!(Header, kind)..)?.first_chunk::<2>()?;
    let cpu = record.get(offset_of!(Header, cpu)..)?.first_chunk::<4>()?;
    let sequence = record.get(offset_of!(Header, sequence)..)?.first_chunk::<8>()?;
    Some((u16::from_ne_bytes(*kind), u32::from_ne_bytes(*cpu), u64::from_ne_bytes(*sequence)))
}

impl RawSource for BpfSource {
    fn fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }

    fn drain(&mut self, out: &mut Vec<Raw>, budget: usize) -> Result<bool, CaptureError> {
        let start = out.len();
        let more = self.take_records(out, budget)?;
        if self.table_positions.is_pending() {
            let records = out.split_off(start);
            self.take_tables(out);
            out.extend(records);
        }
        Ok(more)
    }
}

impl BpfSource {
    fn take_records(&mut self, out: &mut Vec<Raw>, budget: usize) -> Result<bool, CaptureError> {
        let end = out.len().saturating_add(budget.max(1));
        while out.len() < end {
            match self.returned.pop_front() {
                Some(record) => out.push(record),
                None => break,
            }
        }
        let mut deadline = None;
        while out.len() < end {
            if self.take(out) {
                deadline = None;
            } else if !self.positions.is_pending() {
                self.settle(out)?;
                return Ok(false);
            } else if Instant::now() > *deadline.get_or_insert_with(|| Instant::now() + FILLING) {
                return Ok(true);
            } else {
                std::thread::yield_now();
            }
        }
        Ok(true)
    }
}
