//! Requests: which task's netlink request caused a notification.
//!
//! A request is opened before the kernel can notify anybody of its effect, and the capture loop hands over request
//! records before notifications, so a notification's request is always in this table unless records were lost. It is
//! matched by what the kernel itself says where it does (thread of the commit; portid and sequence number), otherwise
//! by content: what the request names, inside the window in which it was under way.

mod about;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::model::ids::{Ifindex, NetlinkSeq, NetnsId, Portid, Tid};
use crate::model::observation::{IOCTL, LinkMention, Request, RequestMessage, SOCKOPT};
use crate::model::owner::Evidence;
use crate::model::process::{Actor, ProcessKey};
use crate::model::time::BootTime;

const NETLINK_ROUTE: u32 = 0;
const NETLINK_NETFILTER: u32 = 12;
const NETLINK_GENERIC: u32 = 16;
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_SETLINK: u16 = 19;
const NLM_F_CREATE: u16 = 0x400;
/// `NFNL_MSG_BATCH_BEGIN`: only batches commit anything.
const BATCH_BEGIN: u16 = 16;

/// Kinds of links that only a netlink request makes: one that appears and that no request here names was moved here. Others
/// are made by an ioctl or by loading a module, too.
const MADE_BY_REQUEST: [&str; 9] =
    ["veth", "vxcan", "netkit", "macvlan", "macvtap", "ipvlan", "ipvtap", "vrf", "wireguard"];

/// Closed requests that are kept beside the ones a notification can still be about; more are as if their records were
/// lost.
const MAX_CLOSED: usize = 8192;
/// Processes whose requests fit one notification and that are told apart; of more nobody is named.
const MAX_CANDIDATES: usize = 16;
/// A thread that dies inside a system call never closes its request; the table stays bounded all the same.
const MAX_OPEN: usize = 4096;

/// The interval in which the records of one batch happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The queue was seen empty then.
    pub after: BootTime,
    /// The record had been read by then.
    pub before: BootTime,
}

/// Who caused a notification, as far as requests tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// One request fits.
    One {
        /// Its task.
        actor: Arc<Actor>,
        /// Why it fits.
        evidence: Evidence,
        /// Whether the kernel said so (true) or the content did (false).
        is_exact: bool,
    },
    /// Requests of several processes fit; they may all be one owner's.
    Several {
        /// The tasks, each once.
        actors: Vec<Arc<Actor>>,
        /// Why they fit.
        evidence: Evidence,
    },
    /// Requests of more processes fit than are told apart.
    Ambiguous(u32),
    /// Records of requests were lost about then, and the one behind this may be among them: what else fits by content
    /// proves nothing.
    Lost,
    /// None fits.
    None,
}

/// What happened to a link, for matching.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkAct {
    /// It appeared in this network namespace: created here, or moved to here.
    Appeared,
    /// It changed.
    Changed,
    /// It disappeared: deleted, or moved away.
    Disappeared,
}

/// A link's names in a notification.
#[derive(Debug, Clone, Copy)]
pub struct LinkNames<'a> {
    /// Number.
    pub ifindex: Ifindex,
    /// Name.
    pub name: &'a str,
    /// Name before a rename.
    pub old_name: Option<&'a str>,
    /// `IFLA_INFO_KIND`.
    pub kind: Option<&'a str>,
    /// Numbers that other links here have: a link that is moved to here keeps its own when nobody has it.
    pub taken: &'a [Ifindex],
}

#[derive(Debug)]
struct Known {
    opened: BootTime,
    closed: Option<BootTime>,
    tid: Tid,
    protocol: u32,
    netns: NetnsId,
    portid: Portid,
    messages: Vec<RequestMessage>,
    is_truncated: bool,
    actor: Arc<Actor>,
    /// Names whose appearance this request already explained.
    explained: Vec<String>,
}

/// The requests under way and those that just ended.
#[derive(Debug, Default)]
pub struct RequestTable {
    open: HashMap<Tid, Known>,
    closed: VecDeque<Known>,
    /// Requests that ended and whose effect is a kernel worker's, oldest first.
    deferred: VecDeque<Known>,
    /// Requests under way up to this moment may be missing.
    lost_until: Option<BootTime>,
}

impl RequestTable {
    /// Whether a request can change anything; dumps and queries are not kept.
    pub fn is_change(request: &Request) -> bool {
        match request.protocol {
            // rtnetlink numbers its messages in fours: new, delete, get, set
            NETLINK_ROUTE => request.is_truncated || request.messages.iter().any(|message| message.kind % 4 != 2),
            NETLINK_NETFILTER | IOCTL => true,
            NETLINK_GENERIC | SOCKOPT => !request.ipvs.is_empty(),
            _ => false,
        }
    }

    /// Notes a request under way.
    pub fn open(&mut self, request: Request, actor: Arc<Actor>) {
        let Request { time, task, protocol, netns, portid, length: _, messages, is_truncated, ip_sets: _, ipvs: _ } =
            request;
        let known = Known {
            opened: time,
            closed: None,
            tid: task.tid,
            protocol,
            netns,
            portid,
            messages,
            is_truncated,
            actor,
            explained: Vec::new(),
        };
        if let Some(mut stale) = self.open.insert(task.tid, known) {
            stale.closed = Some(time);
            self.retire(stale);
        }
        if self.open.len() > MAX_OPEN
            && let Some(oldest) = self.open.values().min_by_key(|known| known.opened).map(|known| known.tid)
        {
            self.open.remove(&oldest);
            self.lost_until = self.lost_until.max(Some(time));
        }
    }

    /// Notes that records of requests were lost: some that ended by `time` are not here, some that are here ended
    /// without a word.
    pub fn lost(&mut self, time: BootTime) {
        self.lost_until = self.lost_until.max(Some(time));
        for (_, mut known) in std::mem::take(&mut self.open) {
            known.closed = Some(time);
            self.retire(known);
        }
    }

    /// Notes that a process is gone, whatever it had under way.
    pub fn exited(&mut self, process: ProcessKey, time: BootTime) {
        let gone: Vec<Tid> = self.open.values().filter(|known| known.process() == process).map(|k| k.tid).collect();
        for mut known in gone.into_iter().filter_map(|tid| self.open.remove(&tid)).collect::<Vec<_>>() {
            known.closed = Some(time);
            self.retire(known);
        }
    }

    /// Forgets what ended before `window`: windows only move on, so no notification can be about it any more.
    pub fn forget_before(&mut self, window: Window) {
        while let Some(oldest) = self.closed.pop_front_if(|oldest| !oldest.is_within(window)) {
            self.defer(oldest);
        }
        self.forget_deferred(window);
    }

    /// Notes that the kernel is done with the request of a thread.
    pub fn close(&mut self, tid: Tid, time: BootTime, portid: Portid) {
        if let Some(mut known) = self.open.remove(&tid) {
            known.closed = Some(time);
            if known.portid == Portid(0) {
                known.portid = portid;
            }
            self.retire(known);
        }
    }

    fn retire(&mut self, known: Known) {
        self.closed.push_back(known);
        while self.closed.len() > MAX_CLOSED {
            let ended = self.closed.pop_front().and_then(|oldest| oldest.closed);
            self.lost_until = self.lost_until.max(ended);
        }
    }

    fn is_blind(&self, window: Window) -> bool {
        self.lost_until.is_some_and(|lost| window.after <= lost)
    }

    /// Newest first: requests under way, then those that ended.
    fn newest_first(&self) -> impl Iterator<Item = &Known> {
        self.open.values().chain(self.closed.iter().rev())
    }

    /// The request of the thread that an nf_tables commit of `netns` names.
    pub fn committed_by(&self, tid: Tid, generation: u32, netns: NetnsId, window: Window) -> Match {
        let fits =
            |known: &&Known| known.tid == tid && known.netns == netns && known.is_batch() && known.is_within(window);
        let fitting: Vec<&Known> = self.newest_first().filter(fits).collect();
        // a thread that executed another program in between: either may have committed
        match one_process(&fitting, Evidence::CommitAndRequest { generation, tid: tid.0 }) {
            Match::One { actor, evidence, .. } => Match::One { actor, evidence, is_exact: true },
            found => found,
        }
    }

    /// The request whose portid and sequence number an rtnetlink notification carries.
    pub fn numbered(&self, portid: Portid, seq: NetlinkSeq, netns: NetnsId, window: Window) -> Match {
        if portid == Portid(0) {
            return Match::None;
        }
        let evidence = Evidence::RequestNumber { portid: portid.0, seq: seq.0 };
        let in_reach =
            |known: &&Known| known.protocol == NETLINK_ROUTE && known.netns == netns && known.is_within(window);
        let has_seq = |known: &Known| known.messages.iter().any(|message| message.seq == seq);
        let numbered = |known: &&Known| known.portid == portid && has_seq(known);
        let fitting: Vec<&Known> = self.newest_first().filter(in_reach).filter(numbered).collect();
        match one_process(&fitting, evidence.clone()) {
            Match::None => {}
            Match::One { actor, evidence, .. } => return Match::One { actor, evidence, is_exact: true },
            // a portid is free again once its socket is closed
            several => return several,
        }
        // A socket is bound by its first request: its portid was not known yet. And a long request's later messages
        // were not captured.
        let unbound = |known: &&Known| known.portid == Portid(0) && has_seq(known);
        let cut = |known: &&Known| known.portid == portid && known.is_truncated;
        let candidates: Vec<&Known> =
            self.newest_first().filter(in_reach).filter(|known| unbound(known) || cut(known)).collect();
        if self.is_blind(window) { Match::Lost } else { one_process(&candidates, evidence) }
    }

    /// The request that names a link, for what happened to it.
    pub fn naming(&mut self, link: LinkNames<'_>, act: LinkAct, netns: NetnsId, window: Window) -> Match {
        if self.is_blind(window) {
            return Match::Lost;
        }
        for strength in [Strength::Name, Strength::Pattern, Strength::MoveOfNumber, Strength::Move] {
            let mut candidates = Vec::new();
            for known in self.newest_first().filter(|known| known.is_of_links() && known.is_within(window)) {
                if act == LinkAct::Appeared && known.explained.iter().any(|name| name == link.name) {
                    continue;
                }
                if let Some(matched) = known.mentions(link, act, strength, netns) {
                    candidates.push((known, matched));
                }
            }
            let Some((_, matched)) = candidates.first() else { continue };
            let evidence = Evidence::RequestContent { matched: matched.clone() };
            let requests: Vec<&Known> = candidates.iter().map(|(known, _)| *known).collect();
            let found = one_process(&requests, evidence);
            if act == LinkAct::Appeared
                && let Match::One { actor, .. } = &found
            {
                let process = actor.image.id.process;
                self.explain(process, link.name);
            }
            return found;
        }
        Match::None
    }

    /// A request makes a link of one name once: the next link of that name has another maker.
    fn explain(&mut self, process: ProcessKey, name: &str) {
        let oldest = self
            .closed
            .iter_mut()
            .chain(self.open.values_mut())
            .filter(|known| known.process() == process && known.names(name))
            .find(|known| !known.explained.iter().any(|explained| explained == name));
        if let Some(known) = oldest {
            known.explained.push(name.to_owned());
        }
    }
}

/// How a request names a link, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strength {
    /// By its very name or number.
    Name,
    /// By a pattern (`veth%d`) or by kind alone: the kernel chose the name.
    Pattern,
    /// By moving the link that had the same number in another network namespace. A moved link keeps its number where
    /// that is free.
    MoveOfNumber,
    /// By moving some link between network namespaces.
    Move,
}

impl Known {
    fn process(&self) -> ProcessKey {
        self.actor.image.id.process
    }

    /// Whether it is about links and what belongs to them.
    fn is_of_links(&self) -> bool {
        matches!(self.protocol, NETLINK_ROUTE | IOCTL)
    }

    /// Whether it can commit to nf_tables, as far as was captured.
    fn is_batch(&self) -> bool {
        let has_begin = || self.messages.iter().any(|message| message.kind == BATCH_BEGIN);
        self.protocol == NETLINK_NETFILTER && (self.messages.is_empty() || has_begin())
    }

    fn is_within(&self, window: Window) -> bool {
        self.opened <= window.before && self.closed.is_none_or(|closed| closed >= window.after)
    }

    fn names(&self, name: &str) -> bool {
        self.messages.iter().any(|message| {
            let LinkMention { ifname, peer_ifname, kind, moves_netns, .. } = &message.link;
            let is = |mention: &Option<String>| {
                mention.as_deref().is_some_and(|mention| mention == name || fits_pattern(mention, name))
            };
            is(ifname) || is(peer_ifname) || (ifname.is_none() && kind.is_some()) || *moves_netns
        })
    }

    fn mentions(&self, link: LinkNames<'_>, act: LinkAct, strength: Strength, netns: NetnsId) -> Option<String> {
        let is_here = self.netns == netns;
        self.messages
            .iter()
            .filter(|message| message.can(act, is_here) && message.is_of_kind(link.kind))
            .find_map(|message| message.matches(link, act, strength, is_here))
    }
}

impl RequestMessage {
    /// Whether a request like this can do that to a link here.
    fn can(&self, act: LinkAct, is_here: bool) -> bool {
        let is_set = matches!(self.kind, RTM_NEWLINK | RTM_SETLINK);
        let moves = is_set && self.link.moves_netns;
        match act {
            LinkAct::Appeared if is_here => is_set && self.flags & NLM_F_CREATE != 0,
            LinkAct::Appeared => moves,
            LinkAct::Changed => is_set,
            LinkAct::Disappeared => self.kind == RTM_DELLINK || moves,
        }
    }

    fn is_of_kind(&self, kind: Option<&str>) -> bool {
        match (self.link.kind.as_deref(), kind) {
            (Some(asked), Some(kind)) => asked == kind,
            _ => true,
        }
    }

    fn matches(&self, link: LinkNames<'_>, act: LinkAct, strength: Strength, is_here: bool) -> Option<String> {
        let LinkMention { ifindex, ifname, peer_ifname, kind, moves_netns } = &self.link;
        match strength {
            Strength::Name => {
                let named = |mention: &Option<String>| {
                    mention.as_deref().is_some_and(|name| name == link.name || Some(name) == link.old_name)
                };
                // an ifindex means something only in the socket's own network namespace
                if act != LinkAct::Appeared && is_here && *ifindex == Some(link.ifindex) {
                    Some(format!("ifindex {}", link.ifindex))
                } else if named(ifname) && (is_here || *moves_netns) {
                    Some(format!("ifname {}", link.name))
                } else if named(peer_ifname) && (is_here || *moves_netns) {
                    Some(format!("peer {}", link.name))
                } else {
                    None
                }
            }
            Strength::Pattern if act == LinkAct::Appeared => {
                let kind = kind.as_deref().filter(|kind| Some(*kind) == link.kind)?;
                // the kernel names a link without a name by its kind, and so the other end of a pair
                let by_kind = format!("{kind}%d");
                let has_peer = matches!(kind, "veth" | "vxcan" | "netkit");
                let fits = |mention: &Option<String>| fits_pattern(mention.as_deref().unwrap_or(&by_kind), link.name);
                (fits(ifname) || (has_peer && fits(peer_ifname))).then(|| format!("kind {kind}"))
            }
            // whoever names the link it moves by number here names this one or another
            Strength::MoveOfNumber | Strength::Move if act == LinkAct::Appeared => {
                let is_this = match strength {
                    Strength::MoveOfNumber => *ifindex == Some(link.ifindex) && link.kind != Some("bridge"),
                    // a link gets another number only where its own is taken
                    _ => {
                        link.kind.is_some_and(|kind| MADE_BY_REQUEST.contains(&kind))
                            && ifindex.is_none_or(|number| link.taken.contains(&number))
                    }
                };
                (!is_here && ifname.is_none() && is_this).then(|| "a move between network namespaces".to_owned())
            }
            Strength::Pattern | Strength::MoveOfNumber | Strength::Move => None,
        }
    }
}

/// Whether `name` can come from the kernel's name pattern `prefix%d`.
fn fits_pattern(pattern: &str, name: &str) -> bool {
    pattern.split_once("%d").is_some_and(|(prefix, suffix)| {
        name.strip_prefix(prefix)
            .and_then(|rest| rest.strip_suffix(suffix))
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

/// Whether all candidates are requests of one process, and if not, of which.
fn one_process(candidates: &[&Known], evidence: Evidence) -> Match {
    let mut actors: Vec<Arc<Actor>> = Vec::new();
    for known in candidates {
        if actors.iter().all(|actor| actor.image.id != known.actor.image.id) {
            actors.push(Arc::clone(&known.actor));
        }
    }
    match (actors.len(), actors.pop()) {
        (1, Some(actor)) => Match::One { actor, evidence, is_exact: false },
        (2..=MAX_CANDIDATES, Some(last)) => {
            actors.push(last);
            Match::Several { actors, evidence }
        }
        (_, None) => Match::None,
        (many, Some(_)) => Match::Ambiguous(u32::try_from(many).unwrap_or(u32::MAX)),
    }
}

#[cfg(test)]
mod tests;
