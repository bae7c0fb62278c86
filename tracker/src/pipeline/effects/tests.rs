//! Transactions of nf_tables: what they come to.

use super::*;
use crate::model::ids::Handle;
use crate::model::nft::{ChainSnapshot, Family, NftSnapshot, RuleSnapshot, TableSnapshot};
use crate::pipeline::world::Tracked;

fn table() -> TableRef {
    TableRef { family: Family::Ip, name: "filter".into() }
}

fn nft(item: NftItem) -> Subject {
    Subject::Nft(NftSubject { table: table(), item })
}

fn rule(handle: u64) -> Subject {
    nft(NftItem::Rule { chain: "FORWARD".into(), handle: Handle(handle) })
}

fn content(text: &str) -> Snapshot {
    Snapshot::Nft(NftSnapshot::Rule(RuleSnapshot {
        expressions: text.as_bytes().to_vec(),
        compat: Vec::new(),
        userdata: Vec::new(),
        content: Digest::of(text.as_bytes()),
        chains: Vec::new(),
        sets: Vec::new(),
        objects: Vec::new(),
        comment: None,
    }))
}

fn chain(flags: u32, handle: u64) -> Snapshot {
    Snapshot::Nft(NftSnapshot::Chain(ChainSnapshot { handle: Handle(handle), base: None, flags, userdata: Vec::new() }))
}

fn table_content(handle: u64) -> Snapshot {
    Snapshot::Nft(NftSnapshot::Table(TableSnapshot { handle: Handle(handle), flags: 0, userdata: Vec::new() }))
}

fn world(objects: &[(Subject, Snapshot)]) -> World {
    let mut world = World::default();
    for (id, (subject, snapshot)) in objects.iter().enumerate() {
        world.insert(subject.clone(), Tracked::of(ObjectId(id as u64), snapshot));
    }
    world
}

fn kinds(effects: &[Effect]) -> Vec<(ChangeKind, Option<u64>)> {
    effects.iter().map(|effect| (effect.kind, effect.object.map(|id| id.0))).collect()
}

#[test]
fn a_rule_replayed_with_equal_content_goes_on_and_one_left_out_is_removed() {
    let world = world(&[(rule(5), content("docker")), (rule(6), content("kube")), (rule(7), content("docker"))]);
    let effects = of_transaction(
        &world,
        vec![
            (rule(5), None),
            (rule(6), None),
            (rule(7), None),
            (rule(8), Some(content("docker"))),
            (rule(9), Some(content("docker"))),
            (rule(10), Some(content("new"))),
        ],
    );
    assert_eq!(
        kinds(&effects),
        vec![
            (ChangeKind::Removed, Some(1)),
            (ChangeKind::Rewritten, Some(0)),
            (ChangeKind::Rewritten, Some(2)),
            (ChangeKind::Created, None)
        ]
    );
    assert_eq!(effects[1].subject, rule(8));
}

#[test]
fn equal_content_without_a_removal_is_a_second_rule() {
    let world = world(&[(rule(5), content("docker"))]);
    let effects = of_transaction(&world, vec![(rule(8), Some(content("docker")))]);
    assert_eq!(kinds(&effects), vec![(ChangeKind::Created, None)]);
}

#[test]
fn a_recreated_table_keeps_itself_its_chains_and_equal_rules() {
    let forward = nft(NftItem::Chain("FORWARD".into()));
    let world = world(&[
        (nft(NftItem::Table), table_content(1)),
        (forward.clone(), chain(0, 1)),
        (rule(5), content("docker")),
        (rule(6), content("kube")),
    ]);
    let effects = of_transaction(
        &world,
        vec![
            (nft(NftItem::Table), None),
            (nft(NftItem::Table), Some(table_content(2))),
            (forward.clone(), Some(chain(1, 1))),
            (rule(3), Some(content("docker"))),
        ],
    );
    assert_eq!(
        kinds(&effects),
        vec![
            (ChangeKind::Removed, Some(3)),
            (ChangeKind::Rewritten, Some(0)),
            (ChangeKind::Changed, Some(1)),
            (ChangeKind::Rewritten, Some(2)),
        ]
    );
}

/// `iptables-save | iptables-restore`: the new table counts its handles from the start, and they are those that other
/// rules had before.
#[test]
fn rules_of_a_recreated_table_are_told_by_content_whatever_handles_they_get() {
    let mut world = world(&[
        (nft(NftItem::Table), table_content(1)),
        (rule(5), content("docker")),
        (rule(6), content("kube")),
        (rule(7), content("admin")),
    ]);
    let effects = of_transaction(
        &world,
        vec![
            (rule(5), None),
            (rule(6), None),
            (rule(7), None),
            (nft(NftItem::Table), None),
            (nft(NftItem::Table), Some(table_content(2))),
            (rule(6), Some(content("docker"))),
            (rule(7), Some(content("kube"))),
            (rule(5), Some(content("new"))),
        ],
    );
    assert_eq!(
        kinds(&effects),
        vec![
            (ChangeKind::Removed, Some(3)),
            (ChangeKind::Rewritten, Some(0)),
            (ChangeKind::Rewritten, Some(1)),
            (ChangeKind::Rewritten, Some(2)),
            (ChangeKind::Created, None),
        ]
    );
    // carried out one after the other, none drives out another
    for effect in effects {
        let id = effect.object.unwrap_or(ObjectId(4));
        if effect.kind == ChangeKind::Removed {
            world.remove(&effect.subject, id);
        }
        if let Some(old) = &effect.old_subject {
            world.remove(old, id);
        }
        if let Some(after) = &effect.after {
            world.insert(effect.subject, Tracked::of(id, after));
        }
    }
    let id = |subject: Subject| world.get(&subject).map(|known| known.id.0);
    assert_eq!([5, 6, 7].map(|handle| id(rule(handle))), [Some(4), Some(1), Some(2)]);
}

#[test]
fn what_a_transaction_adds_and_removes_again_never_was() {
    let effects = of_transaction(&world(&[]), vec![(rule(5), Some(content("x"))), (rule(5), None)]);
    assert_eq!(effects, Vec::new());
}

#[test]
fn an_announcement_of_unchanged_content_is_no_effect() {
    let forward = nft(NftItem::Chain("FORWARD".into()));
    let world = world(&[(forward.clone(), chain(0, 1))]);
    assert_eq!(of_transaction(&world, vec![(forward.clone(), Some(chain(0, 1)))]), Vec::new());
    assert_eq!(of_one(&world, forward.clone(), Some(chain(0, 1))), None);
    assert_eq!(kinds(&[of_one(&world, forward, None).expect("known")]), vec![(ChangeKind::Removed, Some(0))]);
}
