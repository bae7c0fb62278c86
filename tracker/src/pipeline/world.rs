//! The world: which objects are known to live, in memory, without their content.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::ops::Bound;

use crate::model::digest::Digest;
use crate::model::ids::{ChainName, Handle, Ifindex, IpSetName, ObjectId, SetName};
use crate::model::ipset::{IpSetItem, IpSetSnapshot, IpSetSubject};
use crate::model::ipvs::{IpvsItem, IpvsService, IpvsSubject};
use crate::model::nft::{NftItem, NftSubject, TableRef};
use crate::model::path::{AbsPath, Inode};
use crate::model::route::RouteSubject;
use crate::model::subject::{Snapshot, Subject};
use crate::model::traffic::{INGRESS, QdiscSubject, ROOT, major};

/// What the pipeline keeps of a living object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracked {
    /// Its number in the journal.
    pub id: ObjectId,
    /// Digest of its content.
    pub digest: Digest,
    /// Its handle, for what has one beside its subject: a re-created table has another. Of an IP set the seed,
    /// of a mount what is mounted.
    pub handle: Option<Handle>,
    /// Name, for links; the kernel's messages about other things give only the number.
    pub ifname: Option<String>,
    /// Inode, for paths: a moved file keeps it.
    pub inode: Option<Inode>,
    /// Where a qdisc hangs.
    pub parent: Option<u32>,
}

impl Tracked {
    /// What to keep of an object with this content.
    pub fn of(id: ObjectId, snapshot: &Snapshot) -> Self {
        let (mut handle, mut ifname, mut inode, mut parent) = (None, None, None, None);
        match snapshot {
            Snapshot::Nft(nft) => handle = nft.handle(),
            Snapshot::Link(link) => ifname = Some(link.name.as_str().to_owned()),
            Snapshot::Path(path) => inode = Some(path.inode),
            Snapshot::IpSet(IpSetSnapshot::Set(set)) => handle = set.seed.map(|seed| Handle(seed.into())),
            Snapshot::IpSet(IpSetSnapshot::Member(_)) | Snapshot::Sysctl(_) => {}
            Snapshot::Xtables | Snapshot::Address(_) | Snapshot::Route(_) | Snapshot::IpRule(_) => {}
            Snapshot::Traffic(traffic) => parent = Some(traffic.parent),
            Snapshot::Mount(mount) => handle = Some(Handle(mount.identity())),
            Snapshot::Neighbour(_) | Snapshot::Legacy(_) | Snapshot::Ipvs(_) => {}
        }
        Self { id, digest: snapshot.digest(), handle, ifname, inode, parent }
    }

    /// Whether something of the same name is another thing: made anew, in the kernel's or the filesystem's own words.
    pub fn is_another(&self, snapshot: &Snapshot) -> bool {
        let Self { handle, inode, .. } = Self::of(self.id, snapshot);
        handle != self.handle || inode != self.inode
    }
}

/// The living objects by subject.
#[derive(Debug, Default)]
pub struct World {
    objects: BTreeMap<Subject, Tracked>,
}

impl World {
    /// The object a subject names.
    pub fn get(&self, subject: &Subject) -> Option<&Tracked> {
        self.objects.get(subject)
    }

    /// Notes a living object.
    pub fn insert(&mut self, subject: Subject, tracked: Tracked) {
        self.objects.insert(subject, tracked);
    }

    /// Notes that an object is gone from under a subject. One that took the subject over meanwhile stays: a table made
    /// anew gives out the same handles again, to other rules.
    pub fn remove(&mut self, subject: &Subject, id: ObjectId) {
        if self.objects.get(subject).is_some_and(|known| known.id == id) {
            self.objects.remove(subject);
        }
    }

    /// How many live.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether none lives.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Every subject that a test accepts.
    pub fn subjects(&self, accept: impl Fn(&Subject) -> bool) -> Vec<Subject> {
        self.objects.keys().filter(|subject| accept(subject)).cloned().collect()
    }

    /// The numbers of all links.
    pub fn links(&self) -> Vec<Ifindex> {
        let from = Subject::Link(Ifindex(0));
        self.objects
            .range((Bound::Included(from), Bound::Unbounded))
            .map_while(|(subject, _)| match subject {
                Subject::Link(ifindex) => Some(*ifindex),
                _ => None,
            })
            .collect()
    }

    /// Name of a link.
    pub fn ifname(&self, ifindex: Ifindex) -> Option<&str> {
        self.get(&Subject::Link(ifindex))?.ifname.as_deref()
    }

    /// The routes to where a route leads, by any next hop. They sort beside each other.
    pub fn routes_to(&self, route: &RouteSubject) -> Vec<RouteSubject> {
        let from = Subject::Route(RouteSubject { oif: None, gateway: None, ..route.clone() });
        self.objects
            .range((Bound::Included(from), Bound::Unbounded))
            .map_while(|(subject, _)| match subject {
                Subject::Route(known) => Some(known),
                _ => None,
            })
            .take_while(|known| {
                (known.family, known.destination, known.prefix) == (route.family, route.destination, route.prefix)
            })
            .take_while(|known| (known.table, known.tos, known.priority) == (route.table, route.tos, route.priority))
            .cloned()
            .collect()
    }

    /// What a qdisc's removal takes with it: its classes and filters, and the qdiscs that hang on its classes with all
    /// below them.
    pub fn below_qdisc(&self, qdisc: &QdiscSubject) -> Vec<Subject> {
        let mut majors = vec![qdisc.handle];
        let mut found = Vec::new();
        while let Some(major_part) = majors.pop() {
            for (subject, known) in &self.objects {
                let hangs_on = match subject {
                    Subject::Qdisc(below) if below.ifindex == qdisc.ifindex => {
                        known.parent.filter(|parent| !matches!(*parent, ROOT | INGRESS)).map(major)
                    }
                    Subject::TrafficClass(class) if class.ifindex == qdisc.ifindex => Some(major(class.handle)),
                    Subject::Filter(filter) if filter.ifindex == qdisc.ifindex => Some(major(filter.parent)),
                    _ => None,
                };
                let is_itself = matches!(subject, Subject::Qdisc(below) if below.handle == major_part);
                if hangs_on != Some(major_part) || is_itself || found.contains(subject) {
                    continue;
                }
                if let Subject::Qdisc(below) = subject {
                    majors.push(below.handle);
                }
                found.push(subject.clone());
            }
        }
        found
    }

    /// What a table's removal takes with it.
    pub fn in_table(&self, table: &TableRef) -> Vec<Subject> {
        self.nft_from(table, NftItem::Table, |nft| nft.item != NftItem::Table)
    }

    /// The rules a chain's removal takes with it.
    pub fn in_chain(&self, table: &TableRef, chain: &ChainName) -> Vec<Subject> {
        let from = NftItem::Rule { chain: chain.clone(), handle: Handle(0) };
        self.nft_from(table, from, |nft| matches!(&nft.item, NftItem::Rule { chain: its, .. } if its == chain))
    }

    /// The elements a set's removal takes with it.
    pub fn in_set(&self, table: &TableRef, set: &SetName) -> Vec<Subject> {
        let from = NftItem::Element { set: set.clone(), key: Vec::new() };
        self.nft_from(table, from, |nft| matches!(&nft.item, NftItem::Element { set: its, .. } if its == set))
    }

    /// The IP sets.
    pub fn ip_sets(&self) -> Vec<IpSetName> {
        self.ip_sets_from(IpSetSubject::set("".into()))
            .filter(|subject| subject.item == IpSetItem::Set)
            .map(|subject| subject.set.clone())
            .collect()
    }

    /// The members of an IP set.
    pub fn members_of(&self, set: &IpSetName) -> Vec<Subject> {
        self.ip_sets_from(IpSetSubject::member(set.clone(), String::new()))
            .take_while(|subject| subject.set == *set)
            .cloned()
            .map(Subject::IpSet)
            .collect()
    }

    /// The IPVS services, each before its destinations.
    pub fn ipvs(&self) -> Vec<IpvsSubject> {
        self.ipvs_subjects().collect()
    }

    /// Whether any IPVS service is known.
    pub fn has_ipvs(&self) -> bool {
        self.ipvs_subjects().next().is_some()
    }

    fn ipvs_subjects(&self) -> impl Iterator<Item = IpvsSubject> {
        let first = IpvsService::Address { protocol: 0, address: Ipv4Addr::UNSPECIFIED.into(), port: 0 };
        let from = Subject::Ipvs(IpvsSubject { service: first, item: IpvsItem::Service });
        self.objects.range((Bound::Included(from), Bound::Unbounded)).map_while(|(subject, _)| match subject {
            Subject::Ipvs(subject) => Some(*subject),
            _ => None,
        })
    }

    fn ip_sets_from(&self, from: IpSetSubject) -> impl Iterator<Item = &IpSetSubject> {
        self.objects.range((Bound::Included(Subject::IpSet(from)), Bound::Unbounded)).map_while(|(subject, _)| {
            match subject {
                Subject::IpSet(subject) => Some(subject),
                _ => None,
            }
        })
    }

    /// Subjects of one table from `item` on, in order, while they are of that table and (after the first hit) accepted.
    fn nft_from(&self, table: &TableRef, item: NftItem, accept: impl Fn(&NftSubject) -> bool) -> Vec<Subject> {
        let takes_whole_table = item == NftItem::Table;
        let from = Subject::Nft(NftSubject { table: table.clone(), item });
        let mut found = Vec::new();
        for subject in self.objects.range((Bound::Included(from), Bound::Unbounded)).map(|(subject, _)| subject) {
            match subject {
                Subject::Nft(nft) if nft.table == *table && accept(nft) => found.push(subject.clone()),
                Subject::Nft(nft) if nft.table == *table && takes_whole_table => {}
                _ => break,
            }
        }
        found
    }

    /// Paths below a directory, parents before children.
    pub fn below(&self, dir: &AbsPath) -> Vec<AbsPath> {
        self.objects
            .range((Bound::Excluded(Subject::Path(dir.clone())), Bound::Unbounded))
            .map_while(|(subject, _)| match subject {
                Subject::Path(path) => Some(path),
                _ => None,
            })
            // names that only share the prefix (`/a-b` beside `/a/b`) sort in between
            .take_while(|path| path.to_string().starts_with(&dir.to_string()))
            .filter(|path| path.is_within(dir))
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::nft::Family;
    use std::path::Path;

    fn tracked(id: u64) -> Tracked {
        Tracked { id: ObjectId(id), digest: Digest([0; 16]), handle: None, ifname: None, inode: None, parent: None }
    }

    fn nft(name: &str, item: NftItem) -> Subject {
        Subject::Nft(NftSubject { table: TableRef { family: Family::Ip, name: name.into() }, item })
    }

    #[test]
    fn a_table_a_chain_and_a_set_take_what_is_in_them_and_nothing_else() {
        let mut world = World::default();
        let rule = |chain: &str, handle| NftItem::Rule { chain: chain.into(), handle: Handle(handle) };
        let mut subjects = Vec::new();
        for table in ["a", "filter", "z"] {
            subjects.push(nft(table, NftItem::Table));
            for chain in ["FORWARD", "FORWARD2"] {
                subjects.push(nft(table, NftItem::Chain(chain.into())));
                subjects.extend([1, 900].map(|handle| nft(table, rule(chain, handle))));
            }
            subjects.push(nft(table, NftItem::Set("s".into())));
            subjects.push(nft(table, NftItem::Element { set: "s".into(), key: vec![1] }));
            subjects.push(nft(table, NftItem::Element { set: "t".into(), key: vec![1] }));
        }
        for (id, subject) in subjects.into_iter().enumerate() {
            world.insert(subject, tracked(id as u64));
        }
        let filter = TableRef { family: Family::Ip, name: "filter".into() };
        assert_eq!(world.in_table(&filter).len(), 9);
        assert_eq!(
            world.in_chain(&filter, &"FORWARD".into()),
            vec![nft("filter", rule("FORWARD", 1)), nft("filter", rule("FORWARD", 900))]
        );
        assert_eq!(world.in_set(&filter, &"s".into()).len(), 1);
    }

    #[test]
    fn below_a_directory_is_by_component_not_by_prefix() {
        let mut world = World::default();
        let path = |text: &str| AbsPath::new(Path::new(text)).expect("absolute");
        for (id, text) in ["/a", "/a-b", "/a/b", "/a/b/c", "/ab"].into_iter().enumerate() {
            world.insert(Subject::Path(path(text)), tracked(id as u64));
        }
        assert_eq!(world.below(&path("/a")), vec![path("/a/b"), path("/a/b/c")]);
    }
}
