//! Loading the object.

use std::collections::VecDeque;
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use aya::maps::{Map, MapData, PerCpuArray, RingBuf};
use aya::{Ebpf, EbpfLoader};
use tracker_ebpf::abi::{self, Offsets};

use super::loss::Losses;
use super::report::BpfReport;
use super::ring::{Positions, page_bytes};
use super::source::BpfSource;
use super::{environment, keep, programs};
use crate::capture::{CaptureError, btf};

/// The programs, built from `tracker-ebpf` by `cargo xtask build-ebpf`.
pub(super) static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tracker-ebpf/object/netdeed.bpf.o"));

/// What the object is called in errors that are about all of it.
const ALL: &str = "netdeed";

/// The ring for what replaces legacy tables is this part of the other one's size.
const TABLES_SHARE: u32 = 2;

/// How to load the programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BpfOptions {
    /// Size of the ring, bytes; rounded up to a power of two of at least a page. A fork takes 0.5 KiB, a request 1.3 KiB,
    /// an exec 2 KiB (6 KiB with a large environment). A ring of half the size carries what replaces legacy tables.
    pub ring_bytes: u32,
    /// Where the kernel's type information is.
    pub btf: PathBuf,
}

impl Default for BpfOptions {
    /// 16 MiB, and the running kernel's own type information.
    fn default() -> Self {
        Self { ring_bytes: 16 << 20, btf: PathBuf::from(btf::VMLINUX) }
    }
}

/// [`Offsets`] as aya wants a global to be.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Global(Offsets);

// SAFETY: `repr(C)` of `u32` fields only, without padding.
unsafe impl aya::Pod for Global {}

/// Loads and attaches the programs: as many as this kernel and these privileges allow.
///
/// # Errors
/// [`CaptureError::Unavailable`] when nothing can work (no permission to use BPF, no type information, not one program
/// could be attached), with what to do about it; [`CaptureError::Bpf`] when the object or its maps are refused for
/// another reason. A single program that does not run is no error: see the report.
pub fn load(options: &BpfOptions) -> Result<(BpfSource, BpfReport), CaptureError> {
    let controller = std::fs::read_to_string("/proc/cgroups").ok().and_then(|text| v1_controller(&text));
    let (offsets, missing_offsets) = btf::resolve(&btf::read(&options.btf)?, controller);
    let tables_bytes = ring_bytes(options.ring_bytes / TABLES_SHARE);
    let ring_bytes = ring_bytes(options.ring_bytes);
    raise_memlock_limit();
    let global = Global(offsets);
    let mut ebpf = EbpfLoader::new()
        .override_global(abi::name::OFFSETS, &global, true)
        .map_max_entries(abi::name::RECORDS, ring_bytes)
        .map_max_entries(abi::name::TABLES, tables_bytes)
        .load(OBJECT)
        .map_err(|error| refused("load", error))?;
    // The maps are opened before anything is attached, so that no record is made that nobody will read.
    let records = map(&mut ebpf, abi::name::RECORDS)?;
    let counts = map(&mut ebpf, abi::name::COUNTERS)?;
    let tables = map(&mut ebpf, abi::name::TABLES)?;
    let kept_maps = [keep::copy(&records)?, keep::copy(&tables)?, keep::copy(&counts)?];
    let (ring, positions) = open_ring(records)?;
    let (tables, table_positions) = open_ring(tables)?;
    let counters: PerCpuArray<MapData, u64> =
        PerCpuArray::try_from(counts).map_err(|error| refused("open the counters of", error))?;
    let (programs, links) = programs::attach_all(&mut ebpf, &offsets);
    let report = BpfReport { programs, missing_offsets, ring_bytes };
    if let Some(nothing) = nothing_attached(&report) {
        return Err(nothing);
    }
    let source = BpfSource {
        report: report.clone(),
        programs: Some(ebpf),
        links,
        kept_links: Vec::new(),
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
    Ok((source, report))
}

/// A ring and the account of what is in it.
pub(super) fn open_ring(map: Map) -> Result<(RingBuf<MapData>, Positions), CaptureError> {
    let ring = RingBuf::try_from(map).map_err(|error| refused("map the ring of", error))?;
    let positions = Positions::map(ring.as_fd()).map_err(|error| refused("map the ring of", error))?;
    Ok((ring, positions))
}

fn map(ebpf: &mut Ebpf, name: &str) -> Result<Map, CaptureError> {
    ebpf.take_map(name).ok_or_else(|| CaptureError::Bpf {
        operation: "find a map of",
        program: ALL.to_owned(),
        source: format!("the object has no map `{name}`").into(),
    })
}

/// A controller with a v1 hierarchy of its own, by the text of `/proc/cgroups`: one in which every container, pod and unit
/// has a cgroup. None where v2 is all there is.
fn v1_controller(text: &str) -> Option<&'static str> {
    const USUAL: [&str; 2] = ["pids", "memory"];
    USUAL.into_iter().find(|name| {
        let mut lines = text.lines().map(str::split_whitespace);
        let hierarchy = lines.find_map(|mut fields| fields.next().filter(|first| first == name).and(fields.next()));
        hierarchy.is_some_and(|hierarchy| hierarchy != "0")
    })
}

/// The kernel takes only powers of two that are whole pages.
fn ring_bytes(wanted: u32) -> u32 {
    let page = u32::try_from(page_bytes()).unwrap_or(4096);
    wanted.clamp(page, 1 << 30).next_power_of_two()
}

pub(super) fn refused(operation: &'static str, error: impl std::error::Error + Send + Sync + 'static) -> CaptureError {
    match environment::remedy(&error) {
        Some(remedy) => CaptureError::Unavailable {
            what: format!(
                "the kernel does not let this process {operation} BPF programs ({})",
                environment::causes(&error)
            ),
            remedy,
        },
        None => CaptureError::Bpf { operation, program: ALL.to_owned(), source: Box::new(error) },
    }
}

/// The error for the case that not one program runs.
fn nothing_attached(report: &BpfReport) -> Option<CaptureError> {
    use super::report::ProgramState::{Attached, Unavailable};
    match &report.programs.first()?.state {
        _ if report.programs.iter().any(super::ProgramReport::is_attached) => None,
        Attached { .. } => None,
        Unavailable { reason, remedy } => Some(CaptureError::Unavailable {
            what: format!("no BPF program could be attached (the first: {reason})"),
            remedy: remedy.clone().unwrap_or_else(|| "see the report of each program".to_owned()),
        }),
    }
}

/// Before 5.11 maps count against the memlock limit, whose default of 64 KiB is smaller than the ring. Best effort: where
/// it matters and is refused, loading fails and says so.
fn raise_memlock_limit() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let _ = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ring_sizes_are_what_the_kernel_takes() {
        assert_eq!(ring_bytes(0), 4096);
        assert_eq!(ring_bytes(16 << 20), 16 << 20);
        assert_eq!(ring_bytes((16 << 20) + 1), 32 << 20);
        assert_eq!(ring_bytes(u32::MAX), 1 << 30);
    }

    #[test]
    fn a_v1_hierarchy_is_used_where_there_is_one() {
        let text = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t1\t3\t1\nmemory\t4\t25\t1\npids\tPIDS\t4\t1\n";
        assert_eq!(v1_controller(&text.replace("PIDS", "8")), Some("pids"));
        assert_eq!(v1_controller(&text.replace("PIDS", "0")), Some("memory"));
        assert_eq!(v1_controller(&text.replace("PIDS", "0").replace("y\t4", "y\t0")), None);
        assert_eq!(v1_controller(""), None);
    }

    #[test]
    fn missing_type_information_says_what_to_do() {
        let options = BpfOptions { btf: PathBuf::from("/nonexistent/vmlinux"), ..BpfOptions::default() };
        let error = load(&options).expect_err("there is no such file");
        assert!(error.to_string().ends_with("use a kernel built with CONFIG_DEBUG_INFO_BTF"), "{error}");
    }
}
