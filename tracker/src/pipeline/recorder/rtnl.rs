//! Links, addresses, routes, ip rules, neighbours and traffic control.

use std::net::IpAddr;

use crate::attribution::notifications::Notifier;
use crate::attribution::requests::{LinkAct, LinkNames, Match, Window};
use crate::attribution::verdict::Judge;
use crate::decode;
use crate::model::ids::{Ifindex, Ifname, NetlinkSeq, Portid};
use crate::model::observation::Observation;
use crate::model::owner::{Attribution, Evidence};
use crate::model::subject::{Snapshot, Subject};

use super::super::effects;
use super::Recorder;

impl Recorder {
    pub(super) fn rtnetlink(&mut self, observation: Observation, window: Window) {
        let takes_routes = decode::rtnl::may_drop_routes(&observation);
        let Observation::Rtnetlink { subject, mut after, portid, seq, ifname } = observation else { return };
        if let Some(after) = &mut after {
            decode::rtnl::fill_names(after, |ifindex| self.world.ifname(ifindex).map(Ifname::new));
        }
        if portid != Portid(0) && after.is_some() {
            self.forget_silently_gone(&subject);
        }
        let takes_routes = takes_routes || self.may_replace_route(&subject, after.as_ref());
        let effect = effects::of_one(&self.world, subject.clone(), after.clone());
        let taken = if after.is_none() { effects::gone_with(&self.world, &subject) } else { Vec::new() };
        if effect.is_none() && taken.is_empty() && !takes_routes {
            return;
        }
        let found = match &subject {
            Subject::Link(_) => None,
            _ => Some(self.requests_behind(&subject, portid, seq, after.is_none(), window)),
        };
        if found == Some(Match::None) && is_kept_for_port(after.as_ref()) {
            return;
        }
        let attribution = match (&subject, found) {
            (Subject::Link(ifindex), _) => self.who_touched_link(*ifindex, after.as_ref(), ifname.as_deref(), window),
            (_, found) => self.who_else(&subject, found.unwrap_or(Match::None), portid, after.as_ref()),
        };
        if let (Subject::Link(ifindex), None) = (&subject, &after)
            && let Some(name) = self.world.ifname(*ifindex).map(str::to_owned)
        {
            self.forget_sysctls_of(&name, &attribution);
        }
        if let Some(effect) = effect {
            self.apply(effect, &attribution, None);
        }
        for effect in taken {
            self.apply(effect, &attribution, None);
        }
        if takes_routes {
            self.check_routes.add(subject, attribution);
        }
    }

    fn who_touched_link(
        &mut self,
        ifindex: Ifindex,
        after: Option<&Snapshot>,
        ifname: Option<&str>,
        window: Window,
    ) -> Attribution {
        let is_fallback = matches!(after, Some(Snapshot::Link(link)) if link.is_fallback());
        // loading a module makes them, and so does making a network namespace, whoever needed it
        if is_fallback && self.world.get(&Subject::Link(ifindex)).is_none() {
            return Judge::kernel_made("fallback link of its module");
        }
        match self.notifier.clone() {
            Some(Notifier::Task(actor, tid)) => {
                return self.judge_actor(&actor, true, Evidence::Notifier { tid: tid.0 });
            }
            Some(Notifier::Kernel) => return Judge::kernel_made("a thread of the kernel sent the notification"),
            None => {}
        }
        let old_name = self.world.ifname(ifindex).map(str::to_owned);
        let act = match (after, &old_name) {
            (None, _) => LinkAct::Disappeared,
            (Some(_), None) => LinkAct::Appeared,
            (Some(_), Some(_)) => LinkAct::Changed,
        };
        let (name, kind) = match after {
            Some(Snapshot::Link(link)) => (link.name.as_str(), link.kind.as_deref()),
            _ => (ifname.or(old_name.as_deref()).unwrap_or_default(), None),
        };
        let taken = if act == LinkAct::Appeared { self.world.links() } else { Vec::new() };
        let names = LinkNames { ifindex, name, old_name: old_name.as_deref(), kind, taken: &taken };
        let found = self.requests.naming(names, act, self.surroundings.scope.netns, window);
        self.judge_match(found, || Attribution::unknown(Evidence::NoRequest))
    }

    /// Most notifications say whose request they answer. The kernel's own say 0, and so do those about IPv6 addresses
    /// and forwarding entries that somebody asked for; neighbours say the portid alone.
    fn requests_behind(
        &self,
        subject: &Subject,
        portid: Portid,
        seq: NetlinkSeq,
        is_removal: bool,
        window: Window,
    ) -> Match {
        let netns = self.surroundings.scope.netns;
        match subject {
            Subject::Neighbour(_) => match self.requests.about(subject, is_removal, portid, netns, window) {
                // set to last for a time only
                Match::None if is_removal => self.requests.about(subject, false, portid, netns, window),
                found => found,
            },
            Subject::Address(_) => match self.requests.numbered(portid, seq, netns, window) {
                Match::None => self.requests.about(subject, is_removal, portid, netns, window),
                found => found,
            },
            _ => self.requests.numbered(portid, seq, netns, window),
        }
    }

    fn who_else(&mut self, subject: &Subject, found: Match, portid: Portid, after: Option<&Snapshot>) -> Attribution {
        match (found, kernel_sign(subject, portid, after)) {
            // of these the kernel never says who asked
            (Match::Lost, Some(_)) if is_unnumbered(subject) => Attribution::unknown(Evidence::RequestLost),
            (Match::None | Match::Lost, Some(sign)) => Judge::kernel_made(sign),
            (Match::None, None) => match self.notifier.clone() {
                // asked for by ioctl; the kernel's own threads also finish what others asked for, so they prove nothing
                Some(Notifier::Task(actor, tid)) => self.judge_actor(&actor, true, Evidence::Notifier { tid: tid.0 }),
                Some(Notifier::Kernel) | None => Attribution::unknown(Evidence::NoRequest),
            },
            (found, _) => self.judge_match(found, || Attribution::unknown(Evidence::NoRequest)),
        }
    }
}

/// Whether notifications about it carry no portid even when they answer a request.
fn is_unnumbered(subject: &Subject) -> bool {
    match subject {
        Subject::Address(address) => address.address.is_ipv6(),
        Subject::Neighbour(_) => true,
        _ => false,
    }
}

/// An address of a bridge itself, which the kernel keeps one of for each port: nothing to record when nobody asked.
fn is_kept_for_port(after: Option<&Snapshot>) -> bool {
    matches!(after, Some(Snapshot::Neighbour(neighbour)) if neighbour.is_bridges_own())
}

/// `RTPROT_KERNEL` and `RTPROT_RA`.
const KERNEL_PROTOCOLS: [u8; 2] = [2, 9];

/// What shows that a notification answers nobody's request.
fn kernel_sign(subject: &Subject, portid: Portid, after: Option<&Snapshot>) -> Option<&'static str> {
    match (subject, after) {
        (_, Some(Snapshot::Route(route))) if KERNEL_PROTOCOLS.contains(&route.protocol) => {
            Some("route protocol kernel or ra")
        }
        (Subject::Address(address), Some(Snapshot::Address(snapshot))) => match address.address {
            IpAddr::V6(v6) if v6.is_loopback() || v6.is_unicast_link_local() => Some("link-local address"),
            _ if snapshot.is_dynamic => Some("dynamic address"),
            _ => None,
        },
        (Subject::Neighbour(_), Some(_)) if portid == Portid(0) => Some("no request behind it"),
        (_, None) if portid == Portid(0) => Some("no request behind the removal"),
        _ => None,
    }
}
