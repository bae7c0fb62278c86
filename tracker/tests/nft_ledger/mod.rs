//! What the nf_tables notifications of one test add up to.

use std::collections::BTreeMap;

use netdeed_tracker::capture::nfnetlink::{NftDump, NftSource};
use netdeed_tracker::capture::{Raw, RawSource};
use netdeed_tracker::decode::nft::decode;
use netdeed_tracker::model::digest::Digest;
use netdeed_tracker::model::nft::{NftItem, NftSubject, TableRef};
use netdeed_tracker::model::observation::Observation;
use netdeed_tracker::model::subject::{Snapshot, Subject};

/// Everything waiting, decoded; panics on what is not understood and on losses.
pub(crate) fn observe(source: &mut NftSource) -> Vec<Observation> {
    let mut raws = Vec::new();
    while source.drain(&mut raws, 1000).expect("queue works") {}
    let mut observations = Vec::new();
    let mut open_commit = Vec::new();
    for raw in &raws {
        let Raw::Nfnetlink(datagram) = raw else { panic!("unexpected {raw:?}") };
        let report = decode(datagram, &mut observations);
        assert_eq!(report.undecoded, [], "every message is understood");
        open_commit.extend(report.generation_low);
        if let Some(Observation::NftCommitted { generation, .. }) = observations.last() {
            let low = u16::try_from(generation.0 & 0xffff).expect("16 bits");
            assert!(open_commit.drain(..).all(|bits| bits == low), "every datagram says which commit it is of");
        }
    }
    observations
}

/// The state that notifications add up to.
#[derive(Default)]
pub(crate) struct Ledger(pub(crate) BTreeMap<Subject, Snapshot>);

impl Ledger {
    /// Applies observations, and what the kernel leaves for the listener to conclude: see `decode::nft`.
    pub(crate) fn apply(&mut self, observations: &[Observation]) {
        for observation in observations {
            match observation {
                Observation::Nft { subject, after: Some(after) } => {
                    self.follow_rename(subject, after);
                    self.0.insert(subject.clone(), after.clone());
                }
                Observation::Nft { subject, after: None } => {
                    let before = self.0.remove(subject);
                    assert!(before.is_some(), "{subject:?} is deleted but was never seen");
                    self.drop_elements(subject);
                }
                _ => {}
            }
        }
    }

    fn follow_rename(&mut self, subject: &Subject, after: &Snapshot) {
        let (Subject::Nft(NftSubject { table, item: NftItem::Chain(new) }), Snapshot::Nft(after)) = (subject, after)
        else {
            return;
        };
        let is_old = |(subject, snapshot): (&Subject, &Snapshot)| match (subject, snapshot) {
            (Subject::Nft(NftSubject { table: other, item: NftItem::Chain(old) }), Snapshot::Nft(before)) => {
                (other == table && old != new && before.handle() == after.handle()).then(|| old.clone())
            }
            _ => None,
        };
        let Some(old) = self.0.iter().find_map(is_old) else { return };
        self.0.remove(&Subject::Nft(NftSubject { table: table.clone(), item: NftItem::Chain(old.clone()) }));
        let moved = |mut subject: Subject| {
            if let Subject::Nft(NftSubject { table: other, item: NftItem::Rule { chain, .. } }) = &mut subject
                && other == table
                && *chain == old
            {
                *chain = new.clone();
            }
            subject
        };
        self.0 = std::mem::take(&mut self.0).into_iter().map(|(subject, after)| (moved(subject), after)).collect();
    }

    fn drop_elements(&mut self, subject: &Subject) {
        if let Subject::Nft(NftSubject { table, item: NftItem::Set(set) }) = subject {
            self.0.retain(|other, _| !is_element_of(other, table, set.as_str()));
        }
    }

    /// What is to be equal to [`digests`].
    pub(crate) fn digests(&self) -> BTreeMap<Subject, Digest> {
        self.0.iter().map(|(subject, snapshot)| (subject.clone(), snapshot.digest())).collect()
    }
}

fn is_element_of(subject: &Subject, table: &TableRef, set: &str) -> bool {
    matches!(subject, Subject::Nft(NftSubject { table: other, item: NftItem::Element { set: of, .. } })
        if other == table && of.as_str() == set)
}

/// Subject and content of everything dumped.
pub(crate) fn digests(dump: &NftDump) -> BTreeMap<Subject, Digest> {
    assert_eq!(dump.undecoded, [], "every object is understood");
    let digests: BTreeMap<_, _> =
        dump.objects.iter().map(|(subject, snapshot)| (subject.clone(), snapshot.digest())).collect();
    assert_eq!(digests.len(), dump.objects.len(), "no two objects share a subject");
    digests
}

/// Asserts that what was notified is what is there.
pub(crate) fn assert_agree(ledger: &Ledger, dump: &NftDump) {
    let (notified, dumped) = (ledger.digests(), digests(dump));
    for (subject, digest) in &dumped {
        let known = ledger.0.get(subject);
        let live = dump.objects.iter().find(|(other, _)| other == subject);
        assert_eq!(notified.get(subject), Some(digest), "{subject:?}\n notified {known:?}\n dumped {live:?}");
    }
    let extra: Vec<_> = notified.keys().filter(|subject| !dumped.contains_key(subject)).collect();
    assert!(extra.is_empty(), "notified, never deleted, not there: {extra:?}");
}
