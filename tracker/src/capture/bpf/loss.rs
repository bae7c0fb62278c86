//! The account of lost records.
//!
//! Each CPU numbers the records of a stream it tried to send. A record whose number is ahead of how many of its stream
//! were read from that CPU so far has lost ones right before it: the loss is known in its place, and exactly. What was
//! lost after the last record that did get through is known from the counters the programs keep.

use tracker_ebpf::abi::{kind, slot};

use crate::model::gap::Source;

/// Streams that share the ring.
pub(super) const STREAMS: [Source; 2] = [Source::Processes, Source::Requests];

/// What is known of one stream on one CPU.
#[derive(Debug, Clone, Copy, Default)]
struct Stream {
    /// Records read.
    read: u64,
    /// Lost records reported.
    reported: u64,
    /// Whether a former tracker read some: how many, the first record tells.
    is_resumed: bool,
}

impl Stream {
    /// Raises the number of lost records, and says by how much.
    fn raise(&mut self, lost: u64) -> u64 {
        let more = lost.saturating_sub(self.reported);
        self.reported += more;
        more
    }
}

/// The account of every CPU and stream.
#[derive(Debug)]
pub(super) struct Losses {
    cpus: Vec<[Stream; 2]>,
}

/// The index in [`STREAMS`] of the stream a kind of record belongs to.
fn stream_of(kind: u16) -> usize {
    usize::from(slot::attempts(kind) != slot::PROCESS_ATTEMPTS)
}

impl Losses {
    pub(super) fn new() -> Self {
        Self { cpus: Vec::new() }
    }

    fn stream(&mut self, cpu: usize, stream: usize) -> Option<&mut Stream> {
        // A CPU number beyond any real machine is damage, not a reason to allocate.
        if cpu >= 65_536 {
            return None;
        }
        if self.cpus.len() <= cpu {
            self.cpus.resize(cpu + 1, [Stream::default(); 2]);
        }
        self.cpus.get_mut(cpu)?.get_mut(stream)
    }

    /// Notes a record that was read: how many of its stream were lost right before it, if not reported yet.
    pub(super) fn read(&mut self, kind: u16, cpu: u32, sequence: u64) -> Option<(Source, u64)> {
        let index = stream_of(kind);
        let stream = self.stream(usize::try_from(cpu).ok()?, index)?;
        if std::mem::take(&mut stream.is_resumed) {
            stream.read = sequence.saturating_sub(stream.reported);
        }
        let lost = sequence.saturating_sub(stream.read);
        stream.read += 1;
        let more = stream.raise(lost);
        (more > 0).then_some((STREAMS[index], more))
    }

    /// Begins where a former tracker ended, whose account is not known: what the counters say was lost until now is told,
    /// and it is taken to be before what the ring holds. `counter(slot, cpu)`.
    pub(super) fn resume(&mut self, cpus: usize, counter: impl Fn(u32, usize) -> u64) -> Vec<(Source, u64)> {
        let losses = self.settle(cpus, counter);
        for streams in &mut self.cpus {
            streams.iter_mut().for_each(|stream| stream.is_resumed = true);
        }
        losses
    }

    /// Notes the counters of every CPU, to be called when the ring was found empty: what was lost of each stream and not
    /// reported yet. `counter(slot, cpu)`.
    pub(super) fn settle(&mut self, cpus: usize, counter: impl Fn(u32, usize) -> u64) -> Vec<(Source, u64)> {
        let kinds: [&[u16]; 2] = [
            &[kind::FORK, kind::EXEC, kind::EXIT, kind::CGROUP_NAMED],
            &[kind::REQUEST_OPENED, kind::REQUEST_CLOSED, kind::TABLE_REPLACED, kind::NOTIFIED, kind::TABLE_OPENED],
        ];
        let mut losses = Vec::new();
        for (index, kinds) in kinds.iter().enumerate() {
            let mut more = 0;
            for cpu in 0..cpus {
                let lost = kinds.iter().map(|kind| counter(u32::from(*kind), cpu)).sum();
                more += self.stream(cpu, index).map_or(0, |stream| stream.raise(lost));
            }
            if more > 0 {
                losses.push((STREAMS[index], more));
            }
        }
        losses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_in_the_numbers_is_a_loss_in_its_place() {
        let mut losses = Losses::new();
        assert_eq!(losses.read(kind::FORK, 1, 0), None);
        assert_eq!(losses.read(kind::EXEC, 1, 1), None, "fork and exec are one stream");
        assert_eq!(losses.read(kind::REQUEST_OPENED, 1, 0), None, "requests are another");
        assert_eq!(losses.read(kind::EXIT, 0, 0), None, "CPUs count for themselves");
        assert_eq!(losses.read(kind::EXIT, 1, 5), Some((Source::Processes, 3)));
        assert_eq!(losses.read(kind::FORK, 1, 6), None);
        assert_eq!(losses.read(kind::REQUEST_CLOSED, 1, 3), Some((Source::Requests, 2)));
    }

    #[test]
    fn the_counters_tell_what_was_lost_last_and_nothing_is_told_twice() {
        let mut losses = Losses::new();
        assert_eq!(losses.read(kind::FORK, 0, 2), Some((Source::Processes, 2)));
        let counter = |slot, cpu| match (slot as u16, cpu) {
            (kind::FORK, 0) => 2,
            (kind::EXIT, 0) => 1,
            (kind::REQUEST_OPENED, 1) => 4,
            _ => 0,
        };
        assert_eq!(losses.settle(2, counter), [(Source::Processes, 1), (Source::Requests, 4)]);
        assert_eq!(losses.settle(2, counter), []);
        assert_eq!(losses.read(kind::EXEC, 0, 4), None, "the three before it are already known");
        assert_eq!(losses.read(kind::TABLE_REPLACED, 1, 4), None);
    }

    #[test]
    fn a_resumed_account_begins_with_the_first_record() {
        let mut losses = Losses::new();
        let counter = |slot, _| u64::from(slot == u32::from(kind::FORK)) * 2;
        assert_eq!(losses.resume(1, counter), [(Source::Processes, 2)], "whenever that was");
        assert_eq!(losses.read(kind::FORK, 0, 1_000), None, "those before it were read, or are told already");
        assert_eq!(losses.read(kind::EXEC, 0, 1_001), None);
        assert_eq!(losses.read(kind::EXIT, 0, 1_005), Some((Source::Processes, 3)));
        assert_eq!(losses.settle(1, counter), []);
        assert_eq!(losses.read(kind::REQUEST_OPENED, 0, 70), None);
        assert_eq!(losses.read(kind::REQUEST_OPENED, 0, 72), Some((Source::Requests, 1)));
    }

    #[test]
    fn damaged_numbers_do_no_harm() {
        let mut losses = Losses::new();
        assert_eq!(losses.read(kind::FORK, u32::MAX, 9), None);
        assert_eq!(losses.read(kind::FORK, 0, u64::MAX), Some((Source::Processes, u64::MAX)));
        assert_eq!(losses.read(kind::FORK, 0, 0), None);
    }
}
