//! Attaching the sources: what a former tracker left is taken over, everything else is made.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use tracing::{info, warn};

use crate::capture::bpf::{self, BpfSource};
use crate::capture::fanotify::FanotifySource;
use crate::capture::ipset::{IpSetLooks, IpSetSource};
use crate::capture::ipvs::{IpvsLooks, IpvsSource};
use crate::capture::kept::{self, Kept, KeptSet};
use crate::capture::nfnetlink::NftSource;
use crate::capture::rtnetlink::RtSource;
use crate::capture::{CaptureError, RawSource};
use crate::causes::causes;
use crate::config::Config;
use crate::control::api::SourceState;
use crate::model::gap::Source;
use crate::model::ids::NetnsId;

use super::capture_loop::Sources;
use super::sources;
use super::start::StartError;
use super::status::Board;

/// Names of what is kept, beside BPF's.
const NFTABLES: &str = "nftables";
const RTNETLINK: &str = "rtnetlink";
const FANOTIFY: &str = "fanotify";

/// The sources, each as what it is.
struct Attached {
    bpf: Option<BpfSource>,
    nft: NftSource,
    rt: RtSource,
    fanotify: Option<FanotifySource>,
}

/// Attaches every source. nf_tables and rtnetlink must work; BPF and fanotify may not. Second: whether they are those of a
/// former tracker, and hold what happened since.
pub(super) fn attach(
    config: &Config,
    board: &Board,
    kept: Kept,
    netns: NetnsId,
    looks: (IpSetLooks, IpvsLooks),
) -> Result<(Sources, bool), StartError> {
    sources::ip_sets(board);
    sources::ipvs(board);
    let version = kept::version(&bpf::object_digest(), netns.0);
    if let Some(set) = kept.of_version(&version).filter(|_| config.capture.bpf) {
        match adopt(config, board, set) {
            Ok(Some(attached)) => {
                info!("going on with the queues of the last tracker");
                board.source("hand-over", SourceState::Ok, "went on where the last tracker ended".to_owned(), None);
                return Ok((attached.into_sources(board, looks), true));
            }
            Ok(None) => warn!("what the last tracker left is not complete, starting anew"),
            Err(error) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "what the last tracker left cannot be used, starting anew"
                );
            }
        }
    }
    let attached = open(config, board)?;
    if let Some(set) = attached.to_keep() {
        let descriptors = set.iter().map(|(name, descriptor)| (name.as_str(), descriptor.as_fd()));
        if kept::hand_over(&version, descriptors) {
            info!("the queues are handed over to the service manager, if it keeps descriptors");
        }
    }
    Ok((attached.into_sources(board, looks), false))
}

/// Makes every source.
fn open(config: &Config, board: &Board) -> Result<Attached, StartError> {
    let capture = &config.capture;
    let bpf = sources::bpf(capture, board);
    let nft = NftSource::open(capture.nftables_receive_buffer)
        .map_err(|source| StartError::Capture { what: "nf_tables", source })?;
    let rt = RtSource::open(capture.rtnetlink_receive_buffer)
        .map_err(|source| StartError::Capture { what: "links and routes", source })?;
    tell_buffers(config, board, &nft, &rt)
        .map_err(|source| StartError::Capture { what: "links and routes", source })?;
    let fanotify = FanotifySource::open(&config.root, sources::fanotify_limits(config.max_paths));
    let fanotify = match fanotify {
        Ok((source, reports)) => {
            sources::watched(board, &reports);
            Some(source)
        }
        Err(error) => {
            warn!(error = &error as &dyn std::error::Error, "directories and files are not watched");
            board.source("fanotify", SourceState::Off, causes(&error), sources::remedy(&error));
            None
        }
    };
    Ok(Attached { bpf, nft, rt, fanotify })
}

/// Takes over every source, or `None` when one is missing.
fn adopt(config: &Config, board: &Board, mut set: KeptSet) -> Result<Option<Attached>, CaptureError> {
    let (Some(nft), Some(rt), Some(fanotify)) = (set.take(NFTABLES), set.take(RTNETLINK), set.take(FANOTIFY)) else {
        return Ok(None);
    };
    let Some(mut bpf) = bpf::adopt(&mut set)? else { return Ok(None) };
    let (nft, rt) = (NftSource::adopt(nft)?, RtSource::adopt(rt));
    let limits = sources::fanotify_limits(config.max_paths);
    let (fanotify, reports) = FanotifySource::adopt(fanotify, &config.root, limits)?;
    // a ring that is full would have no room for the self-test
    bpf.make_room()?;
    sources::test_and_say(&mut bpf, board);
    tell_buffers(config, board, &nft, &rt)?;
    sources::watched(board, &reports);
    Ok(Some(Attached { bpf: Some(bpf), nft, rt, fanotify: Some(fanotify) }))
}

fn tell_buffers(config: &Config, board: &Board, nft: &NftSource, rt: &RtSource) -> Result<(), CaptureError> {
    let capture = &config.capture;
    sources::buffer(board, "nftables", nft.receive_buffer(), capture.nftables_receive_buffer);
    sources::buffer(board, "rtnetlink", rt.receive_buffer()?, capture.rtnetlink_receive_buffer);
    Ok(())
}

impl Attached {
    /// Everything that another tracker needs to go on; `None` when it is not everything.
    fn to_keep(&self) -> Option<Vec<(String, OwnedFd)>> {
        let mut set = self.bpf.as_ref()?.to_keep()?;
        let queues: [(&str, BorrowedFd<'_>); 3] =
            [(NFTABLES, self.nft.fd()), (RTNETLINK, self.rt.fd()), (FANOTIFY, self.fanotify.as_ref()?.queue())];
        for (name, queue) in queues {
            set.push((name.to_owned(), queue.try_clone_to_owned().ok()?));
        }
        Some(set)
    }

    fn into_sources(self, board: &Board, (ip_set_looks, ipvs_looks): (IpSetLooks, IpvsLooks)) -> Sources {
        let Self { bpf, nft, rt, fanotify } = self;
        let mut notifications: Vec<(Source, Box<dyn RawSource>)> =
            vec![(Source::Nftables, Box::new(nft)), (Source::Rtnetlink, Box::new(rt))];
        notifications.extend(sources::sysctls(board));
        notifications.extend(sources::mounts(board));
        notifications.push((Source::IpSets, Box::new(IpSetSource::new(ip_set_looks))));
        notifications.push((Source::Ipvs, Box::new(IpvsSource::new(ipvs_looks))));
        if let Some(fanotify) = fanotify {
            notifications.push((Source::Fanotify, Box::new(fanotify)));
        }
        Sources { bpf: bpf.map(|bpf| Box::new(bpf) as Box<dyn RawSource>), notifications }
    }
}
