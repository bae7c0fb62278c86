//! Objects as documents.

use std::path::Path;

use crate::control::api::{ContentView, TrackerState};
use crate::control::tests::fixture::world::{self, journal};
use crate::journal::ObjectFilter;
use crate::model::change::ChangeKind;
use crate::model::ids::ObjectId;
use crate::model::owner::{Attribution, Certainty, Evidence};
use crate::query::{HISTORY_SHOWN, list, object_by_id, owners, stopped_status};

#[test]
fn an_object_shows_its_deeds_with_their_actors() {
    let journal = journal();
    let rule = object_by_id(&journal, ObjectId(3)).expect("memory").expect("object");
    assert_eq!(rule.created.evidence[0], "commit 42 names thread 4711, whose netlink request was seen");
    assert_eq!(rule.rewritten.as_ref().map(|deed| deed.time), Some(world::at(31).into()));
    assert_eq!(
        rule.history.iter().map(|change| change.change).collect::<Vec<_>>(),
        [ChangeKind::Created, ChangeKind::Rewritten]
    );
    assert!(matches!(rule.content, ContentView::Rule { handle, .. } if handle.0 == 16));

    let link = object_by_id(&journal, ObjectId(7)).expect("memory").expect("object");
    let actor = link.created.actor.expect("actor");
    assert_eq!(actor.image.cni.and_then(|call| call.pod).as_deref(), Some("default/web-0"));
    assert!(actor.lineage_truncated);
    assert_eq!(link.text, "ifindex 7 kind bridge mtu 1450 address 0a:58:0a:f4:00:01 up");

    let chain = object_by_id(&journal, ObjectId(2)).expect("memory").expect("object");
    assert_eq!(chain.text, "type filter hook forward priority 0; policy accept");
    assert_eq!((chain.certainty, chain.created.actor), (Certainty::Inferred, None));
    assert_eq!(object_by_id(&journal, ObjectId(404)).expect("memory"), None);
}

#[test]
fn a_long_history_keeps_its_first_change_and_its_last_ones() {
    let journal = journal();
    let same = || Attribution::unknown(Evidence::SameContent);
    for second in 100..150 {
        let content = world::rule_content("drop");
        world::record(&journal, 3, ChangeKind::Rewritten, second, world::rule(16), Some(content), same());
    }
    let rule = object_by_id(&journal, ObjectId(3)).expect("memory").expect("object");
    assert_eq!((rule.history_total, rule.history.len()), (52, HISTORY_SHOWN));
    assert_eq!(rule.history[0].change, ChangeKind::Created);
    assert_eq!(rule.history[1].time, world::at(141).into());
    assert_eq!(rule.history[9].time, world::at(149).into());
}

#[test]
fn owners_count_what_lives() {
    let journal = journal();
    let summaries = owners(&journal, &ObjectFilter::default()).expect("memory");
    let counted: Vec<_> = summaries.iter().map(|summary| (summary.owner.as_str(), summary.total)).collect();
    assert_eq!(
        counted,
        [
            ("admin/root", 1),
            ("cni/flannel", 3),
            ("docker", 2),
            ("kernel", 1),
            ("kubernetes/kube-proxy", 2),
            ("unknown", 1)
        ]
    );
    let total: u64 = summaries.iter().map(|summary| summary.total).sum();
    assert_eq!(list(&journal, &ObjectFilter::default(), Some(0)).expect("memory").total, total);
}

#[test]
fn a_stopped_tracker_has_the_status_its_journal_tells() {
    let status = stopped_status(&journal(), Path::new("/var/lib/netdeed")).expect("memory");
    assert_eq!(status.state, TrackerState::Stopped);
    assert_eq!(status.last_alive, Some(world::at(60).into()));
    assert_eq!((status.journal.live_objects, status.journal.removed_objects, status.gaps), (10, 1, 1));
    assert!(!status.is_ready());
}
