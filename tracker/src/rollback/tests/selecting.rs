//! Policies that go back, and selections narrower than an owner.

use super::*;
use crate::rollback::{Earlier, ExecutionState, Expectation, check, earlier, execute, plan_with};

/// Docker's table with a base chain.
fn dockers() -> Scene {
    let mut scene = Scene::new();
    scene.table(DOCKER, &filter());
    scene.base_chain(DOCKER, "FORWARD");
    scene
}

fn policy_of(scene: &Scene, chain: &Subject) -> u32 {
    let dump = scene.host.ruleset.dump();
    let found = dump.iter().find(|(subject, _)| subject == chain).map(|(_, now)| now);
    match found {
        Some(Snapshot::Nft(NftSnapshot::Chain(ChainSnapshot { base: Some(base), .. }))) => base.policy,
        other => panic!("no base chain: {other:?}"),
    }
}

/// Changes a chain's policy by an owner, as the journal then has it; gives the content before.
fn set_policy(scene: &mut Scene, by: &str, chain: &Subject, policy: u32) -> Snapshot {
    let Subject::Nft(nft) = chain else { panic!("no chain") };
    let before = scene.object(chain).snapshot.clone();
    let changed = scene.host.ruleset.change(nft, |content| match content {
        NftSnapshot::Chain(ChainSnapshot { base: Some(base), .. }) => base.policy = policy,
        other => panic!("no base chain: {other:?}"),
    });
    let object = scene.object(chain);
    object.snapshot = changed.expect("it is there");
    object.digest = object.snapshot.digest();
    object.changed = Some(deed(by, Certainty::Exact));
    before
}

#[test]
fn a_policy_that_the_owner_changed_goes_back_to_what_it_was() {
    let mut scene = dockers();
    let input = scene.base_chain(DOCKER, "INPUT");
    let before = set_policy(&mut scene, KUBE, &input, 0);
    let earlier = Earlier::from([(scene.object(&input).id, before)]);
    let live = scene.live(&kubernetes());
    let plan = plan_with(&scene.objects, &earlier, &live, &kubernetes());
    assert_eq!(steps(&plan), ["chain ip filter INPUT policy accept"]);
    assert!(plan.refusals().is_empty(), "{plan}");
    let expectation = Expectation::new(&plan, &live);
    let execution = execute(check(plan, &live).expect("unchanged"), &mut scene.host, &mut |_, _| {});
    assert_eq!(execution.state, ExecutionState::Done);
    assert_eq!(policy_of(&scene, &input), 1);
    let after = scene.live(&kubernetes());
    assert!(expectation.verify(&after).holds(), "{}", expectation.verify(&after));
}

#[test]
fn a_policy_that_somebody_else_changed_since_stays() {
    let mut scene = dockers();
    let input = scene.base_chain(DOCKER, "INPUT");
    let before = set_policy(&mut scene, KUBE, &input, 0);
    set_policy(&mut scene, "admin/root", &input, 1);
    set_policy(&mut scene, "admin/root", &input, 0);
    let earlier = Earlier::from([(scene.object(&input).id, before)]);
    let live = scene.live(&kubernetes());
    assert!(plan_with(&scene.objects, &earlier, &live, &kubernetes()).is_empty());
}

#[test]
fn earlier_content_is_that_before_the_owners_last_changes_in_a_row() {
    use crate::model::change::{Change, ChangeKind, RecordedChange};
    use crate::model::ids::EntrySeq;

    let mut scene = dockers();
    let input = scene.base_chain(DOCKER, "INPUT");
    let first = scene.object(&input).snapshot.clone();
    let mut history = Vec::new();
    let mut record = |kind, by: &str, after: Snapshot| {
        let change = Change {
            object: ObjectId(1),
            kind,
            subject: input.clone(),
            after: Some(after),
            deed: deed(by, Certainty::Exact),
        };
        history.push(RecordedChange { seq: EntrySeq(history.len() as u64), change });
    };
    let with_policy = |policy: u32| {
        let mut changed = first.clone();
        if let Snapshot::Nft(NftSnapshot::Chain(ChainSnapshot { base: Some(base), .. })) = &mut changed {
            base.policy = policy;
        }
        changed
    };
    record(ChangeKind::Created, DOCKER, with_policy(1));
    record(ChangeKind::Changed, KUBE, with_policy(0));
    record(ChangeKind::Changed, "admin/root", with_policy(7));
    record(ChangeKind::Changed, KUBE, with_policy(0));
    record(ChangeKind::Changed, KUBE, with_policy(2));
    assert_eq!(earlier(&history, &kubernetes()), Some(with_policy(7)));
    assert_eq!(earlier(&history[1..2], &kubernetes()), None, "what it was is not kept");
}

#[test]
fn a_selection_by_actor_or_time_leaves_the_owners_other_things_alone() {
    use crate::model::ids::ActorId;
    use std::collections::BTreeSet;

    let mut scene = dockers();
    let one = scene.rule(KUBE, "FORWARD", "one", &[], &[]);
    scene.chain(KUBE, "KUBE-A");
    let two = scene.rule(KUBE, "KUBE-A", "two", &[], &[]);
    for (index, subject) in [&one, &two].into_iter().enumerate() {
        let at = index as u64 + 1;
        let object = scene.object(subject);
        let evidence = Evidence::CommitThread { generation: 7, tid: 1 };
        object.created.attribution = Attribution::new(owner(KUBE), Certainty::Exact, Some(ActorId(at)), evidence);
        object.created.time = WallTime(at.cast_signed() * 100);
    }
    let by_actor = Selection { actors: Some(BTreeSet::from([ActorId(1)])), ..kubernetes() };
    assert_eq!(steps(&scene.plan(&by_actor)), ["rule ip filter FORWARD handle 2"]);
    let by_time = Selection { since: Some(WallTime(150)), until: Some(WallTime(201)), ..kubernetes() };
    assert_eq!(steps(&scene.plan(&by_time)), ["rule ip filter KUBE-A handle 4"]);
    let none = Selection { until: Some(WallTime(200)), since: Some(WallTime(101)), ..kubernetes() };
    assert!(scene.plan(&none).is_empty());
}
