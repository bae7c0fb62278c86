//! IPVS services: looked at after each request that may have changed one.

use std::collections::BTreeMap;
use std::sync::Arc;

use tracing::debug;

use crate::attribution::ipvs::{IpvsRequests, TouchedServices};
use crate::capture;
use crate::capture::ipvs::{IpvsLook, IpvsLooks};
use crate::capture::looks::Wanted;
use crate::model::ipvs::IpvsService;
use crate::model::observation::{Request, SOCKOPT};
use crate::model::process::Actor;

use super::super::ipvs::differences;
use super::Recorder;
use super::ip_sets::{Answer, LookState};

/// What is kept between two looks.
#[derive(Debug)]
pub(super) struct IpvsState {
    pub(super) requests: IpvsRequests,
    pub(super) looks: LookState<IpvsService>,
    families: Families,
}

impl IpvsState {
    pub(super) fn new(looks: IpvsLooks) -> Self {
        Self { requests: IpvsRequests::default(), looks: LookState::new(looks), families: Families::default() }
    }
}

/// Which numbers of generic netlink families are IPVS's. A number is not given out again before all others were: about
/// a thousand.
#[derive(Debug, Default)]
struct Families(BTreeMap<u16, bool>);

impl Families {
    /// Whether a number is IPVS's; the kernel is asked about one that is new.
    fn is_ipvs(&mut self, number: u16) -> bool {
        if let Some(known) = self.0.get(&number) {
            return *known;
        }
        match capture::ipvs::family() {
            Ok(found) => {
                let is_ipvs = found == Some(number);
                // a family that was gone again when it was asked for may come back under another number
                self.0.insert(number, is_ipvs);
                is_ipvs
            }
            Err(error) => {
                debug!(error = &error as &dyn std::error::Error, "generic netlink families cannot be listed");
                false
            }
        }
    }
}

impl Recorder {
    /// Notes a request that may change services here.
    pub(super) fn ipvs_request(&mut self, request: &Request, actor: &Arc<Actor>) {
        if request.netns != self.surroundings.scope.netns || request.ipvs.is_empty() {
            return;
        }
        let is_ipvs = request.protocol == SOCKOPT
            || request.messages.first().is_none_or(|message| self.ipvs.families.is_ipvs(message.kind));
        if is_ipvs {
            self.ipvs.requests.open(request.time, request.task.tid, request.ipvs.clone(), Arc::clone(actor));
        }
    }

    /// Looks at what a request touched, now that the kernel is done with it.
    pub(super) fn look_at_services(&mut self, touched: Option<TouchedServices>) {
        match touched {
            None => {}
            Some(None) => self.ipvs.looks.ask(Wanted::All),
            Some(Some(services)) => self.ipvs.looks.ask(Wanted::Named(services)),
        }
    }

    /// Records what a look found.
    pub(super) fn services(&mut self, look: IpvsLook) {
        let (Answer { began, ended, wanted }, services) = match self.ipvs.looks.answer("ipvs services", look) {
            Ok(answer) => answer,
            Err(why) => return why.iter().for_each(|why| self.board.undecoded("ipvs listing", why)),
        };
        let found = differences(&self.world, &self.ipvs.requests, services, |service| wanted.has(service), ended);
        for finding in found {
            let attribution = self.who_is_behind(finding.by, self.ipvs.requests.is_blind());
            self.apply(finding.effect, &attribution, None);
        }
        self.ipvs.requests.forget(began, |service| wanted.has(service), wanted == Wanted::All);
    }
}
