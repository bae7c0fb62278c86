//! Links and what belongs to them, routes and ip rules in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::model::ids::Ifindex;
use crate::model::link::{AddressSubject, LinkSnapshot};
use crate::model::neighbour::{NeighbourKey, NeighbourSubject};
use crate::model::subject::{Snapshot, Subject, describe};
use crate::model::traffic::{INGRESS, ROOT, TrafficClassSubject, major};
use crate::rollback::relations::{contains, is_made_for, is_secondary, lower, outgoing_links};

/// A network namespace's rtnetlink objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FakeNet {
    objects: BTreeMap<Subject, Snapshot>,
    /// Routes the kernel made for addresses and dropped with them.
    kernels: Vec<(Subject, Snapshot)>,
}

impl FakeNet {
    /// What was read.
    pub(super) fn of(objects: impl Iterator<Item = (Subject, Snapshot)>) -> Self {
        Self { objects: objects.collect(), kernels: Vec::new() }
    }

    /// Adds an object; what it names must be there.
    ///
    /// # Errors
    /// `EEXIST`, or `ENODEV` when its link is missing.
    pub fn add(&mut self, subject: Subject, snapshot: Snapshot) -> io::Result<(Subject, Snapshot)> {
        let links = match (&subject, &snapshot) {
            (Subject::Route(route), Snapshot::Route(content)) => outgoing_links(route, content),
            _ => subject.link().into_iter().collect(),
        };
        if links.into_iter().any(|link| !self.objects.contains_key(&Subject::Link(link))) {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        if self.objects.contains_key(&subject) {
            return Err(io::Error::from_raw_os_error(libc::EEXIST));
        }
        self.objects.insert(subject.clone(), snapshot.clone());
        Ok((subject, snapshot))
    }

    /// Attaches a link to a controller.
    pub(super) fn attach(&mut self, link: Ifindex, controller: Option<Ifindex>) {
        if let Some(Snapshot::Link(link)) = self.objects.get_mut(&Subject::Link(link)) {
            link.controller = controller;
        }
    }

    /// Remembers the kernel's route of a subnet when it goes with its address, and makes it anew with the next.
    pub(super) fn keep_subnet_route(&mut self, address: &AddressSubject) {
        let made_for = |(subject, content): &(Subject, Snapshot)| match (subject, content) {
            (Subject::Route(route), Snapshot::Route(content)) => {
                outgoing_links(route, content).contains(&address.ifindex)
                    && route.destination.is_some_and(|to| contains(address.address, address.prefix, to))
            }
            _ => false,
        };
        let Some(at) = self.kernels.iter().position(made_for) else { return };
        let (subject, content) = self.kernels.remove(at);
        self.objects.entry(subject).or_insert(content);
    }

    /// An object.
    pub fn get(&self, subject: &Subject) -> Option<&Snapshot> {
        self.objects.get(subject)
    }

    /// Everything, links first.
    pub fn dump(&self) -> Vec<(Subject, Snapshot)> {
        self.objects.iter().map(|(subject, snapshot)| (subject.clone(), snapshot.clone())).collect()
    }

    /// Deletes an object and what the kernel deletes with it.
    pub(super) fn delete(&mut self, subject: &Subject) -> io::Result<()> {
        let before = self.objects.clone();
        self.delete_only(subject)?;
        let is_kernels = |content: &Snapshot| matches!(content, Snapshot::Route(route) if route.is_kernel_made());
        let gone = before.into_iter().filter(|(subject, _)| !self.objects.contains_key(subject));
        self.kernels.extend(gone.filter(|(_, content)| is_kernels(content)));
        Ok(())
    }

    fn delete_only(&mut self, subject: &Subject) -> io::Result<()> {
        match subject {
            Subject::Link(ifindex) => self.delete_link(*ifindex),
            Subject::Address(address) => {
                // what would go along is refused by who asks
                let gone = self.objects.remove_entry(subject);
                self.forget_routes(address.ifindex, gone.as_slice());
                Ok(())
            }
            Subject::Qdisc(_) | Subject::TrafficClass(_) | Subject::Filter(_) => self.delete_traffic(subject),
            subject => {
                self.objects.remove(subject);
                Ok(())
            }
        }
    }

    /// A further address of the subnet that would go with a primary one.
    pub(super) fn secondary_of(&self, address: &AddressSubject) -> Option<String> {
        let is_primary =
            matches!(self.get(&Subject::Address(address.clone())), Some(Snapshot::Address(it)) if !is_secondary(it));
        let goes_along = |(subject, content): &(&Subject, &Snapshot)| match (subject, content) {
            (Subject::Address(other), Snapshot::Address(content)) => {
                shares_subnet(address, other) && is_secondary(content)
            }
            _ => false,
        };
        let found = self.objects.iter().find(goes_along).filter(|_| is_primary);
        found.map(|(subject, content)| describe(subject, content))
    }

    /// Drops the routes that the kernel kept for addresses that are gone, and every route and neighbour with the link's
    /// last address.
    fn forget_routes(&mut self, ifindex: Ifindex, gone: &[(Subject, Snapshot)]) {
        let of_link = |subject: &Subject| matches!(subject, Subject::Address(address) if address.ifindex == ifindex);
        let left: Vec<(Subject, Snapshot)> = self
            .objects
            .iter()
            .filter(|(subject, _)| of_link(subject))
            .map(|(subject, content)| (subject.clone(), content.clone()))
            .collect();
        self.objects.retain(|subject, content| match (subject, content) {
            (Subject::Route(route), Snapshot::Route(content)) if outgoing_links(route, content).contains(&ifindex) => {
                let is_made_for = |addresses: &[(Subject, Snapshot)]| {
                    addresses.iter().any(|(subject, found)| is_made_for(route, content, (subject, found)))
                };
                !left.is_empty() && (!is_made_for(gone) || is_made_for(&left))
            }
            (Subject::Neighbour(NeighbourSubject { ifindex: of, key: NeighbourKey::Address(_) }), _)
                if *of == ifindex =>
            {
                !left.is_empty()
            }
            _ => true,
        });
    }

    /// Deletes a qdisc with all below it, a class that holds at most a qdisc, or a filter.
    fn delete_traffic(&mut self, gone: &Subject) -> io::Result<()> {
        let below: Vec<Subject> = self.hanging_on(gone);
        let holds = below.iter().any(|subject| !matches!(subject, Subject::Qdisc(_)));
        if matches!(gone, Subject::TrafficClass(_)) && holds {
            return Err(io::Error::from_raw_os_error(libc::EBUSY));
        }
        self.objects.remove(gone);
        let mut queue = below;
        while let Some(subject) = queue.pop() {
            queue.extend(self.hanging_on(&subject));
            self.objects.remove(&subject);
        }
        Ok(())
    }

    /// What hangs on a qdisc or class itself.
    fn hanging_on(&self, holder: &Subject) -> Vec<Subject> {
        let (link, is_it): (_, Box<dyn Fn(u32) -> bool>) = match holder {
            Subject::Qdisc(qdisc) => {
                let handle = qdisc.handle;
                // classes of a qdisc that nobody made by request are not kept here
                let has_class = move |place: u32, objects: &BTreeMap<Subject, Snapshot>| {
                    let class = TrafficClassSubject { ifindex: qdisc.ifindex, handle: place };
                    objects.contains_key(&Subject::TrafficClass(class))
                };
                let objects = &self.objects;
                (qdisc.ifindex, Box::new(move |place| major(place) == handle && !has_class(place, objects)))
            }
            Subject::TrafficClass(class) => {
                let handle = class.handle;
                (class.ifindex, Box::new(move |place| place == handle))
            }
            _ => return Vec::new(),
        };
        let place = |subject: &Subject, content: &Snapshot| match (subject, content) {
            (Subject::Qdisc(_), Snapshot::Traffic(content)) if matches!(content.parent, ROOT | INGRESS) => None,
            (Subject::TrafficClass(class), Snapshot::Traffic(content)) if content.parent == ROOT => {
                Some(major(class.handle))
            }
            (_, Snapshot::Traffic(content)) => Some(content.parent),
            _ => None,
        };
        let hangs = |(subject, content): &(&Subject, &Snapshot)| {
            subject.link() == Some(link) && *subject != holder && place(subject, content).is_some_and(&is_it)
        };
        self.objects.iter().filter(hangs).map(|(subject, _)| subject.clone()).collect()
    }

    fn link(&self, ifindex: Ifindex) -> Option<&LinkSnapshot> {
        match self.objects.get(&Subject::Link(ifindex)) {
            Some(Snapshot::Link(link)) => Some(link),
            _ => None,
        }
    }

    fn delete_link(&mut self, ifindex: Ifindex) -> io::Result<()> {
        if self.link(ifindex).is_some_and(|link| link.kind.is_none()) {
            return Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP));
        }
        let mut doomed = BTreeSet::from([ifindex]);
        let mut queue = vec![ifindex];
        while let Some(ifindex) = queue.pop() {
            let peer =
                self.link(ifindex).filter(|link| link.kind.as_deref() == Some("veth")).and_then(|link| link.lower);
            let uppers = self.objects.iter().filter_map(|(subject, content)| match (subject, content) {
                (Subject::Link(upper), Snapshot::Link(link)) if lower(link) == Some(ifindex) => Some(*upper),
                _ => None,
            });
            let more: Vec<Ifindex> = uppers.chain(peer).filter(|link| !doomed.contains(link)).collect();
            doomed.extend(&more);
            queue.extend(more);
        }
        self.objects.retain(|subject, content| match (subject, content) {
            (Subject::Link(link), _) => !doomed.contains(link),
            (Subject::Route(route), Snapshot::Route(content)) => outgoing_links(route, content).is_disjoint(&doomed),
            (Subject::Neighbour(neighbour), Snapshot::Neighbour(content)) => {
                ![Some(neighbour.ifindex), content.controller].into_iter().flatten().any(|link| doomed.contains(&link))
            }
            (subject, _) => subject.link().is_none_or(|link| !doomed.contains(&link)),
        });
        for content in self.objects.values_mut() {
            if let Snapshot::Link(link) = content {
                link.controller = link.controller.filter(|controller| !doomed.contains(controller));
            }
        }
        Ok(())
    }
}

/// Whether an IPv4 address is in the subnet of another one of its link.
fn shares_subnet(one: &AddressSubject, other: &AddressSubject) -> bool {
    one.address.is_ipv4()
        && other.ifindex == one.ifindex
        && other.prefix == one.prefix
        && contains(one.address, one.prefix, other.address)
}
