//! Programs, ring and counters of a former run.

use std::collections::VecDeque;
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};

use aya::maps::{Map, MapData, PerCpuArray};
use aya::programs::links::FdLink;
use tracker_ebpf::abi::name;

use super::load::{OBJECT, open_ring, refused};
use super::loss::Losses;
use super::programs::PROGRAMS;
use super::report::{BpfReport, ProgramReport, ProgramState};
use super::source::BpfSource;
use crate::capture::kept::KeptSet;
use crate::capture::{CaptureError, RawSource};

/// How a kept link is called, before its program's name.
const LINK: &str = "link-";
/// The maps that are kept: the ring of records, that of legacy tables, and the counters.
const MAPS: [&str; 3] = [name::RECORDS, name::TABLES, name::COUNTERS];

/// A digest of the programs this tracker comes with.
pub fn object_digest() -> String {
    blake3::hash(OBJECT).to_hex().as_str().chars().take(16).collect()
}

/// Takes over the programs of a former run; `None` when none were kept.
///
/// # Errors
/// [`CaptureError::Bpf`] when what was kept is not what it should be.
pub fn adopt(kept: &mut KeptSet) -> Result<Option<BpfSource>, CaptureError> {
    let [Some(records), Some(tables), Some(counts)] = MAPS.map(|name| kept.take(name)) else { return Ok(None) };
    let map = |fd| MapData::from_fd(fd).map_err(|error| refused("take over the maps of", error));
    let (records, tables, counts) = (map(records)?, map(tables)?, map(counts)?);
    let kept_maps = [duplicate(&records)?, duplicate(&tables)?, duplicate(&counts)?];
    let ring_bytes = records.info().map_err(|error| refused("take over the ring of", error))?.max_entries();
    let (ring, positions) = open_ring(Map::RingBuf(records))?;
    let (tables, table_positions) = open_ring(Map::RingBuf(tables))?;
    let counters: PerCpuArray<MapData, u64> =
        PerCpuArray::try_from(Map::PerCpuArray(counts)).map_err(|error| refused("open the counters of", error))?;
    let links = kept.take_all(LINK);
    let programs = PROGRAMS.iter().map(|program| {
        let state = if links.iter().any(|(name, _)| name == program.name) {
            ProgramState::Attached { verified_instructions: None }
        } else {
            let reason = "did not run when the programs were loaded, by the tracker before".to_owned();
            ProgramState::Unavailable { reason, remedy: None }
        };
        ProgramReport { name: program.name, hook: program.hook, state }
    });
    let report = BpfReport { programs: programs.collect(), missing_offsets: Vec::new(), ring_bytes };
    let mut source = BpfSource {
        report,
        programs: None,
        links: Vec::new(),
        kept_links: links,
        kept_maps,
        ring,
        positions,
        tables,
        table_positions,
        counters,
        losses: Losses::new(),
        returned: VecDeque::new(),
        distrusts_notifications: false,
    };
    source.resume_losses()?;
    Ok(Some(source))
}

/// A copy of the descriptor of a ring or of the counters.
pub(super) fn copy(map: &Map) -> Result<OwnedFd, CaptureError> {
    match map {
        Map::RingBuf(map) | Map::PerCpuArray(map) => duplicate(map),
        _ => Err(refused("copy a descriptor of", std::io::Error::other("not a ring and not counters"))),
    }
}

fn duplicate(map: &MapData) -> Result<OwnedFd, CaptureError> {
    map.fd().as_fd().try_clone_to_owned().map_err(|error| refused("copy a descriptor of", error))
}

impl BpfSource {
    /// Takes everything out of the ring, to be delivered later.
    ///
    /// # Errors
    /// [`CaptureError`] when the ring is broken.
    pub fn make_room(&mut self) -> Result<(), CaptureError> {
        let mut records = Vec::new();
        while self.drain(&mut records, 4096)? {}
        self.give_back(records);
        Ok(())
    }

    /// What has to be kept for the next tracker, with names; `None` when this kernel's attachments cannot be kept (before
    /// 5.15).
    pub fn to_keep(&self) -> Option<Vec<(String, OwnedFd)>> {
        let mut all = Vec::new();
        for (name, map) in MAPS.iter().zip(&self.kept_maps) {
            all.push(((*name).to_owned(), map.try_clone().ok()?));
        }
        let attached = self.report.programs.iter().filter(|program| program.is_attached()).count();
        for (name, link) in &self.links {
            all.push((format!("{LINK}{name}"), descriptor_of(link)?));
        }
        (self.links.len() == attached).then_some(all)
    }
}

/// A descriptor of a link. `aya` does not give its own away.
fn descriptor_of(link: &FdLink) -> Option<OwnedFd> {
    /// `BPF_LINK_GET_FD_BY_ID`, Linux 5.8.
    const COMMAND: libc::c_int = 30;
    /// The beginning of `union bpf_attr` for it.
    #[repr(C)]
    struct Attributes {
        link_id: u32,
        padding: [u32; 31],
    }
    let attributes = Attributes { link_id: link.info().ok()?.id(), padding: [0; 31] };
    // SAFETY: the attributes are as long as is said, and the command reads only them.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, COMMAND, &raw const attributes, size_of::<Attributes>()) };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0)?;
    // SAFETY: the kernel just made it for us.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    debug_assert!(fd.as_raw_fd() > 2);
    Some(fd)
}
