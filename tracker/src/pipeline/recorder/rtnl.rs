//! Links, addresses, routes and ip rules.

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
        if effect.is_none() && !takes_routes {
            return;
        }
        let attribution = match &subject {
            Subject::Link(ifindex) => self.who_touched_link(*ifindex, after.as_ref(), ifname.as_deref(), window),
            _ => self.who_numbered(&subject, portid, seq, after.as_ref(), window),
        };
        if let (Subject::Link(ifindex), None) = (&subject, &after)
            && let Some(name) = self.world.ifname(*ifindex).map(str::to_owned)
        {
            self.forget_sysctls_of(&name, &attribution);
        }
        if let Some(effect) = effect {
            self.apply(effect, &attribution, None);
        }
        if takes_routes {
            if after.is_none()
                && let Subject::Link(ifindex) = &subject
            {
                self.forget_addresses_of(*ifindex, &attribution);
            }
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
        let names = LinkNames { ifindex, name, old_name: old_name.as_deref(), kind };
        let found = self.requests.naming(names, act, self.surroundings.scope.netns, window);
        self.judge_match(found, || Attribution::unknown(Evidence::NoRequest))
    }

    /// Addresses, routes and ip rules say whose request they answer. The kernel's own say 0, and so do IPv6 addresses
    /// that somebody asked for: a worker finishes those.
    fn who_numbered(
        &mut self,
        subject: &Subject,
        portid: Portid,
        seq: NetlinkSeq,
        after: Option<&Snapshot>,
        window: Window,
    ) -> Attribution {
        let found = self.requests.numbered(portid, seq, self.surroundings.scope.netns, window);
        match (found, kernel_sign(subject, portid, after)) {
            (Match::None | Match::Lost, Some(sign)) => Judge::kernel_made(sign),
            (Match::None, None) => match self.notifier.clone() {
                // asked for by ioctl; the kernel's own threads also finish what others asked for, so they prove nothing
                Some(Notifier::Task(actor, tid)) => self.judge_actor(&actor, true, Evidence::Notifier { tid: tid.0 }),
                Some(Notifier::Kernel) | None => Attribution::unknown(Evidence::NoRequest),
            },
            (found, _) => self.judge_match(found, || Attribution::unknown(Evidence::NoRequest)),
        }
    }

    fn forget_addresses_of(&mut self, ifindex: Ifindex, attribution: &Attribution) {
        let gone =
            self.world.subjects(|subject| matches!(subject, Subject::Address(address) if address.ifindex == ifindex));
        for subject in gone {
            if let Some(effect) = effects::of_one(&self.world, subject, None) {
                self.apply(effect, attribution, None);
            }
        }
    }
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
        (_, None) if portid == Portid(0) => Some("no request behind the removal"),
        _ => None,
    }
}
