//! Routes that go without a notification: with their link, with an address, or by being replaced.

use std::collections::HashSet;

use tracing::warn;

use crate::capture::rtnetlink::{Listing, dump_of};
use crate::model::owner::{Attribution, Evidence};
use crate::model::route::RouteSubject;
use crate::model::subject::{Snapshot, Subject};

use super::super::effects;
use super::Recorder;

/// Causes that are told apart in one turn; with more, nobody is named for what went.
const MAX_CAUSES: usize = 256;

const AF_INET: u8 = 2;

/// What may have taken routes along since they were listed last, and who did that.
#[derive(Debug, Default)]
pub(super) struct RouteCauses {
    causes: Vec<(Subject, Attribution)>,
    is_due: bool,
}

impl RouteCauses {
    /// A link went down or away, an address went, or another route took a route's place.
    pub(super) fn add(&mut self, subject: Subject, attribution: Attribution) {
        self.is_due = true;
        if self.causes.len() < MAX_CAUSES {
            self.causes.push((subject, attribution));
        } else {
            self.causes.clear();
        }
    }

    /// Who caused a route to go: nobody when several can have.
    fn of(&self, route: &RouteSubject) -> Attribution {
        let mut fitting = self.causes.iter().filter(|(subject, _)| takes(subject, route)).map(|(_, who)| who);
        let Some(first) = fitting.next() else { return Attribution::unknown(Evidence::NoRequest) };
        let others = fitting.filter(|who| who.actor() != first.actor() || who.owner() != first.owner()).count();
        match u32::try_from(others) {
            Ok(0) => first.clone().of_consequence("route went with its link or address"),
            others => {
                let candidates = others.unwrap_or(u32::MAX).saturating_add(1);
                Attribution::unknown(Evidence::Ambiguous { candidates })
            }
        }
    }
}

fn takes(cause: &Subject, route: &RouteSubject) -> bool {
    match cause {
        Subject::Link(ifindex) => route.oif == Some(*ifindex),
        Subject::Address(address) => route.oif == Some(address.ifindex),
        Subject::Route(new) => is_rival(new, route),
        _ => false,
    }
}

/// Whether two routes are alike but for the next hop: one can have replaced the other.
fn is_rival(new: &RouteSubject, old: &RouteSubject) -> bool {
    let RouteSubject { oif, gateway, .. } = old;
    new != old && RouteSubject { oif: *oif, gateway: *gateway, ..new.clone() } == *old
}

impl Recorder {
    /// Whether a new route may have replaced a known one, which its notification would not name.
    pub(super) fn may_replace_route(&self, subject: &Subject, after: Option<&Snapshot>) -> bool {
        let (Subject::Route(new), Some(_), None) = (subject, after, self.world.get(subject)) else { return false };
        self.world.routes_to(new).iter().any(|old| is_rival(new, old))
    }

    /// The kernel announces no request for a route that is there already. So one that it announces had gone without a
    /// word, and this one is another's.
    pub(super) fn forget_silently_gone(&mut self, subject: &Subject) {
        let Subject::Route(route) = subject else { return };
        // IPv6 announces replacements by an equal route
        let Some(known) = self.world.get(subject).filter(|_| route.family == AF_INET) else { return };
        let effect = effects::Effect::removed(known.id, subject.clone());
        let who = self.check_routes.of(route);
        self.apply(effect, &who, None);
    }

    /// The kernel drops IPv4 routes silently when their link goes down or their source address goes: look which are
    /// left.
    pub(super) fn verify_routes(&mut self) {
        if !self.check_routes.is_due {
            return;
        }
        let live = match dump_of(Listing::Routes) {
            Ok(live) => live,
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "routes could not be read back, trying again");
                return;
            }
        };
        let causes = std::mem::take(&mut self.check_routes);
        let live: HashSet<Subject> = live.into_iter().map(|(subject, _)| subject).collect();
        let gone = self.world.subjects(|subject| matches!(subject, Subject::Route(_)) && !live.contains(subject));
        for subject in gone {
            let Subject::Route(route) = &subject else { continue };
            let who = causes.of(route);
            if let Some(effect) = effects::of_one(&self.world, subject, None) {
                self.apply(effect, &who, None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::{ActorId, Ifindex};
    use crate::model::owner::{Certainty, Owner};

    fn route(oif: u32) -> RouteSubject {
        let (destination, prefix) = (Some([10, 8, 0, 0].into()), 16);
        let (table, oif) = (254, Some(Ifindex(oif)));
        RouteSubject { family: AF_INET, destination, prefix, table, tos: 0, priority: 0, oif, gateway: None }
    }

    fn by(actor: u64, owner: &str) -> Attribution {
        let evidence = Evidence::RequestNumber { portid: 1, seq: 1 };
        Attribution::new(Owner::new(owner).expect("valid"), Certainty::Exact, Some(ActorId(actor)), evidence)
    }

    #[test]
    fn a_route_goes_by_what_happened_to_its_own_link() {
        let mut causes = RouteCauses::default();
        causes.add(Subject::Link(Ifindex(3)), by(1, "docker"));
        causes.add(Subject::Link(Ifindex(4)), by(2, "cni/flannel"));
        assert_eq!(causes.of(&route(3)).owner().as_str(), "docker");
        assert_eq!(causes.of(&route(4)).owner().as_str(), "cni/flannel");
        assert_eq!(causes.of(&route(4)).certainty(), Certainty::Correlated, "the kernel did not say so");
        assert_eq!(causes.of(&route(5)).certainty(), Certainty::Unknown);
        causes.add(Subject::Link(Ifindex(3)), by(2, "cni/flannel"));
        assert_eq!(causes.of(&route(3)).certainty(), Certainty::Unknown, "either can have done it");
    }

    #[test]
    fn too_many_causes_name_nobody() {
        let mut causes = RouteCauses::default();
        for _ in 0..=MAX_CAUSES {
            causes.add(Subject::Link(Ifindex(3)), by(1, "docker"));
        }
        assert!(causes.is_due);
        assert_eq!(causes.of(&route(3)).certainty(), Certainty::Unknown);
    }

    #[test]
    fn a_route_to_the_same_place_by_another_link_is_a_rival() {
        assert!(is_rival(&route(3), &route(4)));
        assert!(!is_rival(&route(3), &route(3)));
        assert!(!is_rival(&route(3), &RouteSubject { priority: 5, ..route(4) }));
    }
}
