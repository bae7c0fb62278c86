//! Who asked for a mount to come, change or go.
//!
//! The kernel says that the mount table changed; system calls about mounts under way meanwhile say who asked for what. One
//! that names the mount's path explains it, then one that names it by another way or a mount above it, then one whose path
//! says nothing (relative, or through a descriptor). A call that names something else explains nothing, and neither does
//! one in another mount namespace, unless it names the very path: its mount may have been propagated to here.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use super::requests::Match;
use crate::model::ids::Tid;
use crate::model::observation::{MountCall, MountRequest};
use crate::model::owner::Evidence;
use crate::model::path::AbsPath;
use crate::model::process::Actor;
use crate::model::time::BootTime;

/// Calls that are kept: more in one turn are as if their records were lost.
const MAX: usize = 4096;
/// Processes that are told apart; of more nobody is named.
const MAX_CANDIDATES: usize = 16;

/// What happened to a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountAct {
    /// It came.
    Appeared,
    /// Its options changed.
    Changed,
    /// It went.
    Disappeared,
}

/// Which calls may explain a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hints {
    /// Those that name its path.
    Paths,
    /// Also those whose path says nothing.
    All,
}

#[derive(Debug)]
struct Asked {
    request: MountRequest,
    ended: Option<BootTime>,
    actor: Arc<Actor>,
}

/// The calls under way, and those that ended since the mount table was looked at.
#[derive(Debug, Default)]
pub struct MountRequests {
    /// Number of our mount namespace.
    own: u32,
    open: HashMap<Tid, Asked>,
    ended: VecDeque<Asked>,
    lost_until: Option<BootTime>,
}

impl MountRequests {
    /// None yet; `own` is the number of the mount namespace that is recorded.
    pub fn new(own: u32) -> Self {
        Self { own, ..Self::default() }
    }

    /// Notes a call under way.
    pub fn open(&mut self, request: MountRequest, actor: Arc<Actor>) {
        if self.open.len() >= MAX {
            self.lost(request.time);
        }
        self.open.insert(request.task.tid, Asked { request, ended: None, actor });
    }

    /// Notes that a thread's call is over; one that failed changed nothing.
    pub fn close(&mut self, tid: Tid, time: BootTime, result: i64) {
        let Some(mut asked) = self.open.remove(&tid).filter(|_| result >= 0) else { return };
        asked.ended = Some(time);
        self.ended.push_back(asked);
        if self.ended.len() > MAX {
            let oldest = self.ended.pop_front().and_then(|oldest| oldest.ended);
            self.lost_until = self.lost_until.max(oldest);
        }
    }

    /// Notes that records were lost: some calls that ended by `time` are not here, and some that are here have ended.
    pub fn lost(&mut self, time: BootTime) {
        self.lost_until = self.lost_until.max(Some(time));
        self.open.clear();
    }

    /// Forgets what ended before `time`: the table was read since.
    pub fn forget_before(&mut self, time: BootTime) {
        while self.ended.front().is_some_and(|oldest| oldest.ended.is_some_and(|ended| ended < time)) {
            self.ended.pop_front();
        }
    }

    /// Who asked for what happened to the mount at `path` since the table was read last, at `since`.
    pub fn behind(&self, path: &AbsPath, act: MountAct, since: BootTime, hints: Hints) -> Match {
        if self.lost_until.is_some_and(|lost| lost >= since) {
            return Match::Lost;
        }
        let calls = self.open.values().chain(&self.ended);
        let recent = calls.filter(|asked| asked.ended.is_none_or(|ended| ended >= since));
        let mut fitting: Vec<(Fit, &Asked)> =
            recent.filter_map(|asked| Some((asked.request.explains(path, act, self.own)?, asked))).collect();
        fitting.retain(|(fit, _)| *fit != Fit::Opaque || hints == Hints::All);
        let Some(best) = fitting.iter().map(|(fit, _)| *fit).min() else { return Match::None };
        fitting.retain(|(fit, _)| *fit == best);
        let mut actors: Vec<Arc<Actor>> = Vec::new();
        for (_, asked) in fitting {
            if !actors.iter().any(|known| known.image.id == asked.actor.image.id) {
                actors.push(Arc::clone(&asked.actor));
            }
        }
        let evidence = Evidence::RequestContent { matched: format!("mount {path}") };
        match actors.len() {
            0 => Match::None,
            1 => actors.pop().map_or(Match::None, |actor| Match::One { actor, evidence, is_exact: false }),
            2..=MAX_CANDIDATES => Match::Several { actors, evidence },
            many => Match::Ambiguous(u32::try_from(many).unwrap_or(u32::MAX)),
        }
    }
}

/// How well a call fits, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Path,
    /// A mount above, with all below it.
    Above,
    /// The same path by another way: through a symbolic link.
    SamePlace,
    /// The same path in another mount namespace.
    Elsewhere,
    /// The end of the path.
    Relative,
    /// A path that says nothing.
    Opaque,
}

impl MountRequest {
    fn explains(&self, path: &AbsPath, act: MountAct, own: u32) -> Option<Fit> {
        /// Linux' `mount.h`.
        const MS_REMOUNT: u64 = 1 << 5;
        const MS_BIND: u64 = 1 << 12;
        const MS_MOVE: u64 = 1 << 13;
        const MS_REC: u64 = 1 << 14;
        const PROPAGATION: u64 = 0b1111 << 17;
        const MNT_DETACH: u64 = 1 << 1;
        let Self { call, flags, .. } = self;
        let has = |flag| flags & flag != 0;
        let is_move = *call == MountCall::Move || has(MS_MOVE);
        let (can, takes_below) = match (call, act) {
            (MountCall::Mount, MountAct::Changed) => (has(MS_REMOUNT), false),
            (MountCall::Mount, MountAct::Appeared) => {
                (!has(MS_REMOUNT) && (has(MS_BIND) || !has(PROPAGATION)), has(MS_REC) || is_move)
            }
            (MountCall::Mount, MountAct::Disappeared) => (is_move && !has(MS_REMOUNT), true),
            (MountCall::Move, MountAct::Appeared | MountAct::Disappeared) => (true, true),
            (MountCall::Unmount, MountAct::Disappeared) => (true, has(MNT_DETACH)),
            _ => (false, false),
        };
        if !can {
            return None;
        }
        let named = match (act, is_move) {
            (MountAct::Disappeared, true) if *call != MountCall::Unmount => &self.from,
            _ => &self.target,
        };
        named_fit(named, path, takes_below, self.namespace == own)
    }
}

/// What follows the descriptor in `/proc/self/fd/7/name`; a path that names none, or nothing else, as it is.
fn behind_descriptor(text: &Path) -> &Path {
    let mut parts = text.components();
    let is_proc = text.starts_with("/proc") && parts.any(|part| part.as_os_str() == "fd") && parts.next().is_some();
    let rest = parts.as_path();
    if is_proc && !rest.as_os_str().is_empty() { rest } else { text }
}

fn named_fit(named: &[u8], path: &AbsPath, takes_below: bool, is_here: bool) -> Option<Fit> {
    let text = behind_descriptor(Path::new(OsStr::from_bytes(named)));
    let says_nothing = named.is_empty()
        || text.ends_with("..")
        || text == Path::new(".")
        || (text.starts_with("/proc") && text.components().any(|part| part.as_os_str() == "fd"));
    if says_nothing {
        return is_here.then_some(Fit::Opaque);
    }
    if !text.is_absolute() {
        return (is_here && path.as_path().ends_with(text)).then_some(Fit::Relative);
    }
    // `..` in it: as good as another way
    let folded = AbsPath::new(text);
    if folded.as_ref() == Some(path) {
        return Some(if is_here { Fit::Path } else { Fit::Elsewhere });
    }
    if !is_here {
        return None;
    }
    if takes_below && folded.is_some_and(|above| path.is_within(&above)) {
        return Some(Fit::Above);
    }
    let last_two: Vec<_> = path.as_path().components().rev().take(2).collect();
    let is_same_place = last_two.len() == 2 && text.components().rev().take(2).eq(last_two);
    is_same_place.then_some(Fit::SamePlace)
}

#[cfg(test)]
mod tests;
