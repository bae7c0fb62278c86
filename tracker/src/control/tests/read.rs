//! Questions over the socket.

use crate::control::api::{
    BlameQuery, ErrorCode, EventDetail, FollowQuery, LogQuery, ObjectsQuery, TrackerState, WhoQuery,
};
use crate::control::client::{Client, ClientError};
use crate::journal::{Entry, Read as _};
use crate::model::change::{Change, ChangeKind};
use crate::model::ids::{EntrySeq, Handle, ObjectId};
use crate::model::subject::Class;

use super::fixture::world;
use super::{setup, soon};

fn who(class: &str) -> WhoQuery {
    WhoQuery { class: Some(class.to_owned()), ..Default::default() }
}

fn refusal(error: ClientError) -> (ErrorCode, String) {
    match error {
        ClientError::Refused(view) => (view.code, view.message),
        other => panic!("expected the tracker to refuse but found {other:?}"),
    }
}

#[tokio::test]
async fn status_objects_owners_and_gaps_come_through() {
    let setup = setup();
    let status = setup.client.status().await.expect("status");
    assert_eq!((status.state, status.gaps), (TrackerState::Degraded, 1));

    let kubernetes = ObjectsQuery { owner: Some(world::owner("kubernetes")), ..Default::default() };
    let names =
        |list: crate::control::api::ObjectList| list.objects.into_iter().map(|row| row.name).collect::<Vec<_>>();
    let list = setup.client.objects(&kubernetes).await.expect("objects");
    assert_eq!(
        names(list),
        [
            "rule ip filter FORWARD handle 16",
            "chain ip filter KUBE-SERVICES",
            "link cni0",
            "address 10.244.0.1/24 dev cni0",
            "dir /etc/cni/net.d"
        ]
    );
    let removed_links = ObjectsQuery { class: Some("link".to_owned()), removed: true, limit: Some(1), ..kubernetes };
    let list = setup.client.objects(&removed_links).await.expect("objects");
    assert_eq!((list.total, names(list)), (2, vec!["link cni0".to_owned()]));

    let owners = setup.client.owners(&ObjectsQuery::default()).await.expect("owners").owners;
    let flannel = owners.iter().find(|summary| summary.owner == world::owner("cni/flannel")).expect("flannel");
    assert_eq!((flannel.total, flannel.classes[&Class::Link]), (3, 1));
    assert_eq!(setup.client.gaps().await.expect("gaps").gaps[0].reason, "overrun");
}

#[tokio::test]
async fn who_finds_a_rule_by_its_place_in_the_live_chain() {
    let setup = setup();
    let place = WhoQuery {
        table: Some("filter".to_owned()),
        chain: Some("FORWARD".to_owned()),
        position: Some(3),
        ..who("rule")
    };
    let answer = setup.client.who(&place).await.expect("who");
    let rule = &answer.objects[0];
    assert_eq!((rule.name.as_str(), rule.position), ("rule ip filter FORWARD handle 16", Some(3)));
    let actor = rule.created.actor.as_ref().expect("actor");
    assert_eq!(actor.lineage, ["iptables-nft-restore", "kube-proxy", "containerd-shim-runc-v2", "systemd"]);
    assert_eq!(actor.image.pod.as_deref(), Some("kube-system/kube-proxy-x7k2p"));

    let handle = WhoQuery { position: None, handle: Some(Handle(16)), ..place.clone() };
    assert_eq!(setup.client.who(&handle).await.expect("who").objects, answer.objects);

    let beyond = WhoQuery { position: Some(4), ..place.clone() };
    let (code, message) = refusal(setup.client.who(&beyond).await.expect_err("no such place"));
    assert_eq!(code, ErrorCode::NotFound);
    assert_eq!(message, "chain ip filter FORWARD has 3 rules, so there is none at position 4");

    // a rule that the journal does not know must not get a neighbour's owner
    setup.node.rules.lock().expect("rules").push(Handle(99));
    let (code, message) = refusal(setup.client.who(&beyond).await.expect_err("not recorded"));
    assert_eq!(code, ErrorCode::NotFound);
    assert_eq!(message, "rule ip filter FORWARD position 4 is in the ruleset but not in the journal");
}

#[tokio::test]
async fn requests_that_make_no_sense_are_answered_with_what_is_wrong() {
    let setup = setup();
    let missing = refusal(setup.client.who(&who("chain")).await.expect_err("no name"));
    assert_eq!(missing, (ErrorCode::BadRequest, "`name` is missing".to_owned()));
    let both = WhoQuery {
        table: Some("t".to_owned()),
        chain: Some("c".to_owned()),
        position: Some(1),
        handle: Some(Handle(1)),
        ..who("rule")
    };
    assert_eq!(refusal(setup.client.who(&both).await.expect_err("both")).0, ErrorCode::BadRequest);
    let class = ObjectsQuery { class: Some("rules".to_owned()), ..Default::default() };
    let (code, message) = refusal(setup.client.objects(&class).await.expect_err("no such class"));
    assert_eq!(code, ErrorCode::BadRequest);
    assert!(message.contains("found `rules`"), "{message}");
    let gone = refusal(setup.client.object(ObjectId(404)).await.expect_err("no such object"));
    assert_eq!(gone, (ErrorCode::NotFound, "the journal holds no object 404".to_owned()));
}

#[tokio::test]
async fn the_log_hands_over_to_a_follower_without_a_hole() {
    let setup = setup();
    let log = setup.client.log(&LogQuery { limit: Some(2), ..Default::default() }).await.expect("log");
    assert!(matches!(log.events[0].detail, EventDetail::Gap(_)));
    assert!(matches!(&log.events[1].detail, EventDetail::Change(change) if change.name == "link flannel.1"));

    let from_last = FollowQuery { from: Some(EntrySeq(log.next.0 - 1)), ..Default::default() };
    let mut lines = setup.client.follow(&from_last).await.expect("follow");
    let first = soon(lines.next()).await.expect("line").expect("entry");
    assert_eq!(first, log.events[1]);

    setup.node.append(Entry::Started { scope: world::scope(), time: world::at(70) });
    let next = soon(lines.next()).await.expect("line").expect("entry");
    assert_eq!(next.seq, log.next);
    assert!(matches!(next.detail, EventDetail::Started { .. }));
}

#[tokio::test]
async fn a_follower_ends_when_the_server_stops() {
    let setup = setup();
    let mut lines = setup.client.follow(&FollowQuery::default()).await.expect("follow");
    setup.stop.send(()).expect("server runs");
    assert_eq!(soon(lines.next()).await.expect("a clean end"), None);
    soon(setup.server).await.expect("no panic").expect("no error");
    assert!(matches!(setup.client.status().await, Err(ClientError::Connect { .. })));
}

#[tokio::test]
async fn a_missing_socket_means_that_no_tracker_runs() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let error = Client::new(directory.path().join("none.sock")).status().await.expect_err("nobody there");
    assert!(error.is_not_running(), "{error:?}");
}

#[tokio::test]
async fn a_listing_knows_what_was_recorded_while_it_was_made() {
    let setup = setup();
    let deed = setup.node.memory.object(ObjectId(5)).expect("memory").expect("recorded").created;
    let (subject, after) = (world::rule(19), Some(world::rule_content("just added")));
    let change = Change { object: ObjectId(90), kind: ChangeKind::Created, subject, after, deed };
    *setup.node.meanwhile.lock().expect("entry") = Some(Entry::Change(change));
    let mut parts = soon(setup.client.blame(&BlameQuery::default())).await.expect("a listing");
    let mut rules = Vec::new();
    while let Some(part) = soon(parts.next()).await.expect("a part") {
        rules.extend(part.lines.into_iter().filter(|line| line.class == Some(Class::Rule)));
    }
    let added = rules.iter().find(|line| line.text.contains("just added")).expect("listed");
    assert_eq!(added.object, Some(ObjectId(90)), "{rules:#?}");
}
