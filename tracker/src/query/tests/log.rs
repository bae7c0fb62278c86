//! Entries as events.

use crate::control::api::{EventDetail, EventView};
use crate::control::tests::fixture::memory::Memory;
use crate::control::tests::fixture::world::{self, journal, owner};
use crate::journal::{Entry, Read};
use crate::model::ids::{EntrySeq, ObjectId};
use crate::model::subject::Class;
use crate::query::{EventFilter, follow, log};

fn line(event: &EventView) -> String {
    match &event.detail {
        EventDetail::Change(change) => format!("{} {} by {}", change.change, change.name, change.owner),
        EventDetail::Gap(gap) => format!("gap {}", gap.reason),
        EventDetail::Started { .. } => "started".to_owned(),
        EventDetail::Operation(operation) => format!("operation {}", operation.state),
    }
}

fn lines(journal: &Memory, filter: &EventFilter, limit: usize) -> Vec<String> {
    log(journal, filter, limit).expect("memory").events.iter().map(line).collect()
}

#[test]
fn an_owners_log_holds_what_others_did_to_its_objects() {
    let filter = EventFilter { owner: Some(owner("cni")), ..Default::default() };
    assert_eq!(
        lines(&journal(), &filter, 100),
        [
            "started",
            "created link cni0 by cni/flannel",
            "created address 10.244.0.1/24 dev cni0 by cni/flannel",
            "created link flannel.1 by cni/flannel",
            "created dir /etc/cni/net.d by cni/flannel",
            "gap overrun",
            "removed link flannel.1 by admin/root",
        ]
    );
}

#[test]
fn limits_take_the_newest_and_since_takes_the_later() {
    let journal = journal();
    let newest = lines(&journal, &EventFilter::default(), 2);
    assert_eq!(newest, ["gap overrun", "removed link flannel.1 by admin/root"]);
    let since = EventFilter { since: Some(world::at(31)), ..Default::default() };
    assert_eq!(lines(&journal, &since, 100).len(), 3);
    let object = EventFilter { objects: vec![ObjectId(3)], ..Default::default() };
    let rule = "rule ip filter FORWARD handle 16 by kubernetes/kube-proxy";
    assert_eq!(lines(&journal, &object, 100), [format!("created {rule}"), format!("rewritten {rule}")]);
    assert_eq!(lines(&journal, &object, 1), [format!("rewritten {rule}")]);
    let until = EventFilter { until: Some(world::at(1)), ..object.clone() };
    assert_eq!(lines(&journal, &until, 100), [format!("created {rule}")]);
    let two = EventFilter { objects: vec![ObjectId(7), ObjectId(3)], ..object };
    let both = lines(&journal, &two, 100);
    assert_eq!(both.len(), 3, "{both:?}");
    assert!(both[1].contains("cni0"), "in the order of what happened: {both:?}");
}

#[test]
fn classes_take_changes_of_their_own_and_what_may_be_missing() {
    let filter = EventFilter { classes: vec![Class::Link], ..Default::default() };
    let links = lines(&journal(), &filter, 100);
    assert!(
        links.iter().all(|line| line.contains(" link ") || line == "started" || line.starts_with("gap ")),
        "{links:?}"
    );
    assert!(links.iter().any(|line| line == "removed link flannel.1 by admin/root"), "{links:?}");
}

#[test]
fn a_long_log_is_searched_to_its_beginning() {
    let journal = journal();
    let total = journal.stats().expect("memory").entries;
    for second in 0..2_500 {
        journal.append(Entry::Started { scope: world::scope(), time: world::at(100 + second) });
    }
    let filter = EventFilter { owner: Some(owner("docker")), ..Default::default() };
    let all = log(&journal, &filter, usize::MAX).expect("memory");
    assert_eq!(all.next, EntrySeq(total + 2_501));
    assert!(all.events.iter().any(|event| line(event) == "found table ip filter by docker"));
    assert!(all.events.windows(2).all(|pair| pair[0].seq < pair[1].seq), "oldest first, none twice");
}

#[test]
fn following_reads_everything_once() {
    let journal = journal();
    let mut from = EntrySeq(0);
    let mut seen = Vec::new();
    loop {
        let read = follow(&journal, &EventFilter::default(), from).expect("memory");
        seen.extend(read.events.iter().map(|event| event.seq.0));
        if read.next == from {
            break;
        }
        from = read.next;
    }
    let total = journal.stats().expect("memory").entries;
    assert_eq!(seen, (1..=total).collect::<Vec<_>>());
}
