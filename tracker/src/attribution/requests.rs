//! Requests: which task's netlink request caused a notification.
//!
//! A request is opened before the kernel can notify anybody of its effect, and the capture loop hands over request
//! records before notifications, so a notification's request is always in this table unless records were lost. It is
//! matched by what the kernel itself says where it does (thread of the commit; portid and sequence number), otherwise
//! by content: what the request names, inside the window in which it was under way.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::model::ids::{Ifindex, NetlinkSeq, NetnsId, Portid, Tid};
use crate::model::observation::{LinkMention, Request, RequestMessage};
use crate::model::owner::Evidence;
use crate::model::process::Actor;
use crate::model::time::BootTime;

const NETLINK_ROUTE: u32 = 0;
const NETLINK_NETFILTER: u32 = 12;
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_SETLINK: u16 = 19;

/// How long a closed request can still explain a notification that is read late, and how many are kept.
const KEEP_CLOSED: Duration = Duration::from_secs(30);
const MAX_CLOSED: usize = 4096;
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
    /// Requests of several processes fit.
    Ambiguous(u32),
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
}

impl RequestTable {
    /// Whether a request can change anything; dumps and queries are not kept.
    pub fn is_change(request: &Request) -> bool {
        match request.protocol {
            // rtnetlink numbers its messages in fours: new, delete, get, set
            NETLINK_ROUTE => request.is_truncated || request.messages.iter().any(|message| message.kind % 4 != 2),
            NETLINK_NETFILTER => true,
            _ => false,
        }
    }

    /// Notes a request under way.
    pub fn open(&mut self, request: Request, actor: Arc<Actor>) {
        let Request { time, task, protocol, netns, portid, length: _, messages, is_truncated } = request;
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
        }
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
        let horizon = known.closed.unwrap_or(known.opened).minus(KEEP_CLOSED);
        self.closed.push_back(known);
        while self.closed.len() > MAX_CLOSED
            || self.closed.front().is_some_and(|oldest| oldest.closed.is_some_and(|closed| closed < horizon))
        {
            self.closed.pop_front();
        }
    }

    /// Newest first: requests under way, then those that ended.
    fn newest_first(&self) -> impl Iterator<Item = &Known> {
        self.open.values().chain(self.closed.iter().rev())
    }

    /// The request of the thread that an nf_tables commit of `netns` names.
    pub fn committed_by(&self, tid: Tid, generation: u32, netns: NetnsId, window: Window) -> Match {
        let fits = |known: &&Known| {
            known.tid == tid && known.protocol == NETLINK_NETFILTER && known.netns == netns && known.is_within(window)
        };
        match self.newest_first().find(fits) {
            Some(known) => Match::One {
                actor: Arc::clone(&known.actor),
                evidence: Evidence::CommitAndRequest { generation, tid: tid.0 },
                is_exact: true,
            },
            None => Match::None,
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
        if let Some(known) = self.newest_first().filter(in_reach).find(|known| known.portid == portid && has_seq(known))
        {
            return Match::One { actor: Arc::clone(&known.actor), evidence, is_exact: true };
        }
        // A socket is bound by its first request: its portid was not known yet. And a long request's later messages
        // were not captured.
        let unbound = |known: &&Known| known.portid == Portid(0) && has_seq(known);
        let cut = |known: &&Known| known.portid == portid && known.is_truncated;
        let candidates: Vec<&Known> =
            self.newest_first().filter(in_reach).filter(|known| unbound(known) || cut(known)).collect();
        one_process(&candidates, evidence)
    }

    /// The request that names a link, for what happened to it.
    pub fn naming(&mut self, link: LinkNames<'_>, act: LinkAct, netns: NetnsId, window: Window) -> Match {
        for strength in [Strength::Name, Strength::Pattern, Strength::Move] {
            let mut candidates = Vec::new();
            for known in self.newest_first().filter(|known| known.protocol == NETLINK_ROUTE && known.is_within(window))
            {
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
    fn explain(&mut self, process: crate::model::process::ProcessKey, name: &str) {
        let oldest = self
            .closed
            .iter_mut()
            .chain(self.open.values_mut())
            .filter(|known| known.actor.image.id.process == process && known.names(name))
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
    /// By moving some link between network namespaces.
    Move,
}

impl Known {
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
        self.messages.iter().find_map(|message| {
            let fits_act = match act {
                LinkAct::Appeared => matches!(message.kind, RTM_NEWLINK | RTM_SETLINK),
                LinkAct::Changed => matches!(message.kind, RTM_NEWLINK | RTM_SETLINK),
                LinkAct::Disappeared => matches!(message.kind, RTM_DELLINK | RTM_NEWLINK | RTM_SETLINK),
            };
            if !fits_act {
                return None;
            }
            let LinkMention { ifindex, ifname, peer_ifname, kind, moves_netns } = &message.link;
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
                    // the kernel names a link without a name by its kind
                    let by_kind = format!("{kind}%d");
                    let fits_name = [ifname, peer_ifname]
                        .into_iter()
                        .any(|mention| fits_pattern(mention.as_deref().unwrap_or(&by_kind), link.name));
                    (fits_name && (is_here || *moves_netns)).then(|| format!("kind {kind}"))
                }
                Strength::Move if act != LinkAct::Changed => {
                    let direction_fits = if act == LinkAct::Appeared { !is_here } else { is_here };
                    (*moves_netns && direction_fits && ifname.is_none())
                        .then(|| "a move between network namespaces".to_owned())
                }
                Strength::Pattern | Strength::Move => None,
            }
        })
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

/// All candidates are requests of one process, or nobody can say which it was.
fn one_process(candidates: &[&Known], evidence: Evidence) -> Match {
    let Some(first) = candidates.first() else { return Match::None };
    let mut processes: Vec<_> = candidates.iter().map(|known| known.actor.image.id).collect();
    processes.sort_unstable();
    processes.dedup();
    if processes.len() == 1 {
        Match::One { actor: Arc::clone(&first.actor), evidence, is_exact: false }
    } else {
        Match::Ambiguous(u32::try_from(processes.len()).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests;
