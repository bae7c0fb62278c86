//! Who may lose which nf_tables object.

use super::*;
use crate::rollback::step::Action;

/// Docker's table with a base chain and a rule of its own, as on a node where it came first.
fn dockers() -> Scene {
    let mut scene = Scene::new();
    scene.table(DOCKER, &filter());
    scene.base_chain(DOCKER, "FORWARD");
    scene.rule(DOCKER, "FORWARD", "docker accept", &[], &[]);
    scene
}

#[test]
fn owned_rules_go_wherever_they_stand_and_owned_chains_with_them() {
    let mut scene = dockers();
    scene.chain(KUBE, "KUBE-A");
    scene.rule(KUBE, "KUBE-A", "a", &[], &[]);
    scene.rule(KUBE, "FORWARD", "jump a", &["KUBE-A"], &[]);
    let plan = scene.plan(&kubernetes());
    assert_eq!(
        steps(&plan),
        ["rule ip filter KUBE-A handle 4", "rule ip filter FORWARD handle 5", "chain ip filter KUBE-A"]
    );
    assert_eq!(plan.refusals(), []);
    assert_eq!(plan.steps()[0].action(), Action::DeleteRule { whole_chain: true });
    assert_eq!(plan.steps()[1].action(), Action::DeleteRule { whole_chain: false });
    assert_eq!(
        plan.steps()[0].to_string(),
        "- rule ip filter KUBE-A handle 4   # kubernetes/kube-proxy exact: commit 7 names thread 4321"
    );
}

#[test]
fn a_foreign_rule_inside_an_owned_chain_keeps_the_chain_and_what_it_needs() {
    let mut scene = dockers();
    for chain in ["KUBE-A", "KUBE-B", "KUBE-C"] {
        scene.chain(KUBE, chain);
    }
    scene.set(KUBE, "kube-set", 0);
    scene.rule(KUBE, "KUBE-A", "own", &["KUBE-C"], &[]);
    scene.rule("admin/root", "KUBE-A", "foreign", &["KUBE-B"], &["kube-set"]);
    let plan = scene.plan(&kubernetes());
    assert_eq!(steps(&plan), ["rule ip filter KUBE-A handle 7", "chain ip filter KUBE-C"]);
    let Reason::ForeignInside { what } = refused(&plan, "chain ip filter KUBE-A") else { panic!("{plan}") };
    assert_eq!(what.to_string(), "`rule ip filter KUBE-A handle 8` (admin/root)");
    assert!(matches!(refused(&plan, "chain ip filter KUBE-B"), Reason::ForeignReference { .. }));
    assert!(matches!(refused(&plan, "set ip filter kube-set"), Reason::ForeignReference { .. }));
}

#[test]
fn what_nobody_recorded_counts_as_foreign() {
    let mut scene = dockers();
    scene.chain(KUBE, "KUBE-A");
    scene.rule(NOBODY, "FORWARD", "jump", &["KUBE-A"], &[]);
    let plan = scene.plan(&kubernetes());
    let Reason::ForeignReference { by } = refused(&plan, "chain ip filter KUBE-A") else { panic!("{plan}") };
    assert_eq!(by.to_string(), "`rule ip filter FORWARD handle 4` (not recorded)");
    assert!(plan.is_empty());
}

#[test]
fn a_table_with_only_owned_things_is_one_step() {
    let mut scene = Scene::new();
    scene.table(KUBE, &filter());
    scene.base_chain(KUBE, "FORWARD");
    scene.set(KUBE, "s", 0);
    scene.element(KUBE, "s", &[1], &[]);
    scene.rule(FLANNEL, "FORWARD", "r", &[], &["s"]);
    let plan = scene.plan(&kubernetes());
    assert_eq!(steps(&plan), ["table ip filter"]);
    assert_eq!(plan.kept().len(), 4);
    assert_eq!(*kept(&plan, "chain ip filter FORWARD"), KeptReason::GoesWith("table ip filter".to_owned()));
    assert_eq!(plan.implied().len(), 4);
}

#[test]
fn a_shared_table_and_base_chain_are_kept_and_only_the_owners_rule_goes() {
    let mut scene = Scene::new();
    scene.table(KUBE, &filter());
    scene.base_chain(KUBE, "FORWARD");
    scene.base_chain(KUBE, "INPUT");
    scene.rule(KUBE, "FORWARD", "mine", &[], &[]);
    scene.rule(DOCKER, "FORWARD", "docker's", &[], &[]);
    let plan = scene.plan(&kubernetes());
    assert_eq!(steps(&plan), ["rule ip filter FORWARD handle 3", "chain ip filter INPUT"]);
    assert!(matches!(kept(&plan, "table ip filter"), KeptReason::Shared { .. }));
    assert!(matches!(kept(&plan, "chain ip filter FORWARD"), KeptReason::Shared { .. }));
    assert_eq!(plan.refusals(), []);
}

#[test]
fn drift_is_refused_and_so_is_what_the_drifted_rule_needs() {
    let mut scene = dockers();
    scene.chain(KUBE, "KUBE-A");
    let jump = scene.rule(KUBE, "FORWARD", "jump", &["KUBE-A"], &[]);
    scene.object(&jump).digest = Digest::of(b"as recorded");
    let plan = scene.plan(&kubernetes());
    assert!(plan.is_empty());
    assert!(matches!(refused(&plan, "rule ip filter FORWARD handle 4"), Reason::Drifted { by: None, .. }));
    let Reason::ForeignReference { by } = refused(&plan, "chain ip filter KUBE-A") else { panic!("{plan}") };
    assert_eq!(by.named[0].owner, Some(owner(KUBE)));
}

#[test]
fn changed_by_somebody_else_is_drift_but_rewritten_is_not() {
    let mut scene = dockers();
    let changed = scene.rule(KUBE, "FORWARD", "changed", &[], &[]);
    let rewritten = scene.rule(KUBE, "FORWARD", "rewritten", &[], &[]);
    let own = scene.rule(KUBE, "FORWARD", "own", &[], &[]);
    scene.object(&changed).changed = Some(deed(DOCKER, Certainty::Exact));
    scene.object(&rewritten).rewritten = Some(deed(DOCKER, Certainty::Exact));
    scene.object(&own).changed = Some(deed(FLANNEL, Certainty::Exact));
    let plan = scene.plan(&kubernetes());
    assert_eq!(steps(&plan), ["rule ip filter FORWARD handle 4", "rule ip filter FORWARD handle 5"]);
    let reason = refused(&plan, "rule ip filter FORWARD handle 3");
    assert!(matches!(reason, Reason::Drifted { by: Some(by), .. } if *by == owner(DOCKER)));
}

#[test]
fn a_chain_made_again_under_another_handle_is_not_the_recorded_one() {
    let mut scene = dockers();
    let chain = scene.chain(KUBE, "KUBE-A");
    if let Snapshot::Nft(NftSnapshot::Chain(chain)) = &mut scene.object(&chain).snapshot {
        chain.handle = Handle(99);
    }
    let plan = scene.plan(&kubernetes());
    let Reason::Drifted { expected, found, .. } = refused(&plan, "chain ip filter KUBE-A") else { panic!("{plan}") };
    assert_eq!((expected.as_str(), found.as_str()), ("handle 99", "handle 3"));
}

#[test]
fn inferred_owners_need_the_flag_and_unknown_ones_never_pass() {
    let mut scene = dockers();
    scene.certainty = Certainty::Inferred;
    scene.rule(KUBE, "FORWARD", "inferred", &[], &[]);
    scene.certainty = Certainty::Unknown;
    scene.rule(KUBE, "FORWARD", "unknown", &[], &[]);
    let plan = scene.plan(&kubernetes());
    assert!(plan.is_empty());
    assert_eq!(*refused(&plan, "rule ip filter FORWARD handle 3"), Reason::NotProven(Certainty::Inferred));
    let with_flag = Selection { include_inferred: true, ..kubernetes() };
    assert_eq!(steps(&scene.plan(&with_flag)), ["rule ip filter FORWARD handle 3"]);
}

#[test]
fn only_the_classes_asked_for_go() {
    let mut scene = dockers();
    scene.chain(KUBE, "KUBE-A");
    scene.rule(KUBE, "KUBE-A", "a", &[], &[]);
    let chains = Selection { classes: vec![crate::model::subject::Class::Chain], ..kubernetes() };
    let plan = scene.plan(&chains);
    assert!(plan.is_empty());
    assert!(matches!(refused(&plan, "chain ip filter KUBE-A"), Reason::ForeignReference { .. }));
    assert_eq!(plan.refusals().len(), 1);
}

#[test]
fn a_locked_table_is_left_alone() {
    let mut scene = Scene::new();
    scene.flagged_table(KUBE, &filter(), 2);
    scene.chain(KUBE, "c");
    let plan = scene.plan(&kubernetes());
    assert!(plan.is_empty());
    assert_eq!(*refused(&plan, "table ip filter"), Reason::LockedTable);
    assert_eq!(*refused(&plan, "chain ip filter c"), Reason::LockedTable);
}

#[test]
fn owned_elements_of_a_foreign_set_go_one_by_one() {
    let mut scene = dockers();
    scene.chain(KUBE, "KUBE-A");
    scene.set(DOCKER, "map", MAP);
    scene.element(KUBE, "map", &[1], &["KUBE-A"]);
    scene.element(DOCKER, "map", &[2], &[]);
    let plan = scene.plan(&kubernetes());
    assert_eq!(steps(&plan), ["element ip filter map 0x01", "chain ip filter KUBE-A"]);
}

#[test]
fn a_foreign_element_keeps_an_owned_set_and_the_chain_it_jumps_to() {
    let mut scene = dockers();
    scene.chain(KUBE, "KUBE-A");
    scene.set(KUBE, "map", MAP);
    scene.element(KUBE, "map", &[1], &[]);
    scene.element(DOCKER, "map", &[2], &["KUBE-A"]);
    let plan = scene.plan(&kubernetes());
    assert_eq!(steps(&plan), ["element ip filter map 0x01"]);
    assert!(matches!(refused(&plan, "set ip filter map"), Reason::ForeignInside { .. }));
    assert!(matches!(refused(&plan, "chain ip filter KUBE-A"), Reason::ForeignReference { .. }));
}

#[test]
fn elements_made_by_packets_go_with_their_set() {
    let mut scene = dockers();
    scene.set(KUBE, "affinity", TIMEOUT);
    scene.timed_element(NOBODY, "affinity", &[1], &[], true);
    assert_eq!(steps(&scene.plan(&kubernetes())), ["set ip filter affinity"]);
    scene.timed_element(DOCKER, "affinity", &[2], &[], true);
    let plan = scene.plan(&kubernetes());
    assert!(plan.is_empty());
    let Reason::ForeignInside { what } = refused(&plan, "set ip filter affinity") else { panic!("{plan}") };
    assert_eq!(what.to_string(), "`element ip filter affinity 0x02` (docker)");
}

#[test]
fn an_owned_map_is_emptied_before_it_is_deleted_and_before_its_chains() {
    let mut scene = dockers();
    scene.chain(KUBE, "KUBE-A");
    scene.set(KUBE, "map", MAP);
    scene.element(KUBE, "map", &[1], &["KUBE-A"]);
    let plan = scene.plan(&kubernetes());
    assert_eq!(steps(&plan), ["set ip filter map", "chain ip filter KUBE-A"]);
    assert_eq!(plan.steps()[0].action(), Action::DeleteSet { clear_first: true });
    assert!(matches!(kept(&plan, "element ip filter map 0x01"), KeptReason::GoesWith(_)));
}

#[test]
fn anonymous_sets_go_and_stay_with_their_rule() {
    let mut scene = dockers();
    scene.set(KUBE, "__set0", ANONYMOUS | CONSTANT);
    scene.element(KUBE, "__set0", &[80], &[]);
    let rule = scene.rule(KUBE, "FORWARD", "dport { 80 }", &[], &["__set0"]);
    let plan = scene.plan(&kubernetes());
    assert_eq!(steps(&plan), ["rule ip filter FORWARD handle 5"]);
    assert_eq!(plan.implied().len(), 2);
    scene.object(&rule).changed = Some(deed(DOCKER, Certainty::Exact));
    let plan = scene.plan(&kubernetes());
    assert!(plan.is_empty());
    assert_eq!(plan.refusals().len(), 1, "{plan}");
    assert_eq!(*kept(&plan, "element ip filter __set0 0x50"), KeptReason::GoesWith("set ip filter __set0".to_owned()));
}

#[test]
fn a_bound_chain_goes_with_its_rule_unless_somebody_elses_rule_is_in_it() {
    const BINDING: u32 = 4;
    let mut scene = dockers();
    scene.flagged_chain(KUBE, "__chain0", None, BINDING);
    scene.rule(KUBE, "__chain0", "inner", &[], &[]);
    scene.rule(KUBE, "FORWARD", "jump { inner }", &["__chain0"], &[]);
    let plan = scene.plan(&kubernetes());
    assert_eq!(steps(&plan), ["rule ip filter FORWARD handle 5"]);
    scene.rule(DOCKER, "__chain0", "foreign", &[], &[]);
    let plan = scene.plan(&kubernetes());
    assert!(plan.is_empty());
    assert!(matches!(refused(&plan, "rule ip filter FORWARD handle 5"), Reason::ForeignInside { .. }));
}

#[test]
fn both_ends_of_an_interval_go_in_the_order_the_kernel_wants() {
    let mut scene = dockers();
    scene.set(DOCKER, "s", INTERVAL);
    scene.element(KUBE, "s", &[11, 0, 0, 0, 1], &[]);
    scene.element(KUBE, "s", &[10, 0, 0, 0], &[]);
    scene.element(KUBE, "s", &[0, 0, 0, 0, 1], &[]);
    let all = ["0x0000000001", "0x0a000000", "0x0b00000001"].map(|key| format!("element ip filter s {key}"));
    assert_eq!(steps(&scene.plan(&kubernetes())), all);
    // somebody else's interval: the end before the first serves it too
    scene.element(DOCKER, "s", &[20, 0, 0, 0], &[]);
    scene.element(DOCKER, "s", &[21, 0, 0, 0, 1], &[]);
    let plan = scene.plan(&kubernetes());
    assert_eq!(steps(&plan), all[1..]);
    assert!(matches!(kept(&plan, &all[0]), KeptReason::Shared { .. }));
}

#[test]
fn half_an_interval_stays() {
    let mut scene = dockers();
    scene.set(DOCKER, "s", INTERVAL);
    scene.element(KUBE, "s", &[10, 0, 0, 0], &[]);
    scene.element(NOBODY, "s", &[11, 0, 0, 0, 1], &[]);
    let plan = scene.plan(&kubernetes());
    assert!(plan.is_empty());
    assert!(matches!(refused(&plan, "element ip filter s 0x0a000000"), Reason::ForeignReference { .. }));
}

#[test]
fn elements_of_a_constant_set_cannot_go_alone() {
    let mut scene = dockers();
    scene.set(DOCKER, "s", CONSTANT);
    scene.element(KUBE, "s", &[1], &[]);
    assert_eq!(*refused(&scene.plan(&kubernetes()), "element ip filter s 0x01"), Reason::ConstantSet);
}

#[test]
fn an_object_used_by_a_foreign_object_map_stays() {
    let mut scene = dockers();
    scene.counter(KUBE, "used");
    scene.counter(KUBE, "free");
    scene.set(DOCKER, "counts", 64);
    let mut attributes = element_attributes(&[1], false);
    attributes.extend([9, 0, 9, 0]);
    attributes.extend(b"used\0\0\0\0");
    let content = Digest::of(&attributes);
    let element = ElementSnapshot { attributes, chains: Vec::new(), content, has_timeout: false };
    let item = NftItem::Element { set: "counts".into(), key: vec![1] };
    scene.nft(DOCKER, &filter(), item, NftSnapshot::Element(element));
    let plan = scene.plan(&kubernetes());
    assert_eq!(steps(&plan), ["object ip filter free kind 1"]);
    assert!(matches!(refused(&plan, "object ip filter used kind 1"), Reason::ForeignReference { .. }));
}

#[test]
fn what_the_owner_changed_on_others_things_is_reported() {
    let mut scene = dockers();
    let forward = scene.base_chain(DOCKER, "INPUT");
    scene.object(&forward).changed = Some(deed(KUBE, Certainty::Exact));
    let plan = scene.plan(&kubernetes());
    assert_eq!(*refused(&plan, "chain ip filter INPUT"), Reason::Altered { by: owner(KUBE) });
}

#[test]
fn what_is_gone_already_is_said_so_and_legacy_tables_are_refused() {
    let mut scene = dockers();
    let gone = scene.rule(KUBE, "FORWARD", "gone", &[], &[]);
    if let Subject::Nft(nft) = &mut scene.object(&gone).subject {
        nft.item = NftItem::Rule { chain: "FORWARD".into(), handle: Handle(77) };
    }
    let legacy = Subject::Xtables { family: "ip".to_owned(), table: "nat".to_owned() };
    scene.record(KUBE, (legacy, Snapshot::Xtables));
    let plan = scene.plan(&kubernetes());
    assert!(plan.is_empty());
    assert_eq!(*kept(&plan, "rule ip filter FORWARD handle 77"), KeptReason::AlreadyGone);
    assert_eq!(*refused(&plan, "xtables ip nat"), Reason::LegacyTable);
}

#[test]
fn the_order_of_the_journal_does_not_matter() {
    let mut scene = dockers();
    for chain in ["KUBE-A", "KUBE-B"] {
        scene.chain(KUBE, chain);
        scene.rule(KUBE, chain, "x", &[], &[]);
    }
    let live = scene.live(&kubernetes());
    let forwards = plan(&scene.objects, &live, &kubernetes());
    scene.objects.reverse();
    assert_eq!(forwards, plan(&scene.objects, &live, &kubernetes()));
}

#[test]
fn of_two_records_of_one_subject_the_newer_one_counts() {
    let mut scene = dockers();
    let rule = scene.rule(KUBE, "FORWARD", "x", &[], &[]);
    let snapshot = scene.object(&rule).snapshot.clone();
    scene.record(DOCKER, (rule, snapshot));
    assert!(scene.plan(&kubernetes()).is_empty());
    scene.objects.reverse();
    assert!(scene.plan(&kubernetes()).is_empty());
}

#[test]
fn what_leads_to_a_foreign_rule_stays_with_it() {
    let mut scene = dockers();
    scene.base_chain(KUBE, "OUTPUT");
    for chain in ["KUBE-A", "KUBE-B", "KUBE-C"] {
        scene.chain(KUBE, chain);
    }
    scene.rule(KUBE, "OUTPUT", "jump a", &["KUBE-A"], &[]);
    scene.rule(KUBE, "FORWARD", "jump c", &["KUBE-C"], &[]);
    scene.set(KUBE, "verdicts", MAP);
    scene.element(KUBE, "verdicts", &[1], &["KUBE-B"]);
    scene.element(KUBE, "verdicts", &[2], &["KUBE-C"]);
    scene.rule(KUBE, "KUBE-A", "look up", &[], &["verdicts"]);
    scene.rule(KUBE, "KUBE-A", "own", &[], &[]);
    scene.rule("podman", "KUBE-B", "foreign", &[], &[]);
    let plan = scene.plan(&kubernetes());
    assert_eq!(
        steps(&plan),
        [
            "rule ip filter FORWARD handle 8",
            "rule ip filter KUBE-A handle 13",
            "element ip filter verdicts 0x02",
            "chain ip filter KUBE-C"
        ]
    );
    for (what, by_way_of) in [
        ("rule ip filter OUTPUT handle 7", "chain ip filter KUBE-A"),
        ("rule ip filter KUBE-A handle 12", "set ip filter verdicts"),
        ("element ip filter verdicts 0x01", "chain ip filter KUBE-B"),
    ] {
        assert_eq!(*refused(&plan, what), Reason::LeadsToForeign { by_way_of: by_way_of.to_owned() });
    }
    assert!(matches!(refused(&plan, "chain ip filter KUBE-B"), Reason::ForeignInside { .. }));
    assert!(matches!(refused(&plan, "chain ip filter KUBE-A"), Reason::ForeignReference { .. }));
    assert!(matches!(refused(&plan, "chain ip filter OUTPUT"), Reason::NotEmpty { .. }));
}
