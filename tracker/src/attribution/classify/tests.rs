//! The default rules against recorded cases: which rule decides, and which rules of other owners would have if it had
//! not.

use std::collections::BTreeSet;

use super::cases::*;
use super::*;

#[test]
fn every_rule_decides_a_case_and_every_overlap_is_on_record() {
    let rules = OwnerRules::default();
    let mut decided = BTreeSet::new();
    for (lineage, label, owner, also) in [kubernetes_cases(), daemon_cases(), people_cases()].concat() {
        let actor = actor(lineage);
        let Classification { owner: found, evidence, weak } = rules.classify(&actor, &users);
        let Evidence::OwnerRule { rule, .. } = &evidence else { panic!("{actor}: {evidence}") };
        assert_eq!((rule.as_str(), found.as_str()), (label, owner), "{actor}");
        assert!(!weak || label == "kernel-thread", "{actor}");
        let images: Vec<&Image> = actor.lineage().collect();
        // who selects kubernetes selects all of cni
        let class =
            |rule: &Rule| rule.owner.to_string().split('/').next().map(|class| class.replace("cni", "kubernetes"));
        let matching: Vec<&Rule> = rules.rules().iter().filter(|rule| rule.matches(&images).is_some()).collect();
        let others: Vec<&str> =
            matching.iter().filter(|rule| class(rule) != class(matching[0])).map(|rule| rule.label.as_str()).collect();
        assert_eq!(others, also, "{actor}");
        decided.insert(label);
    }
    let labels: BTreeSet<&str> = rules.rules().iter().map(|rule| rule.label.as_str()).collect();
    assert_eq!(labels.len(), rules.rules().len(), "labels are unique");
    assert_eq!(decided, labels, "a rule without a case, or a case of no rule");
}

#[test]
fn default_owners_are_well_formed() {
    for rule in OwnerRules::default().rules() {
        assert!(crate::attribution::OwnerTemplate::try_from(rule.owner.to_string()).is_ok(), "{}", rule.owner);
    }
}

#[test]
fn what_no_rule_matches_is_unknown() {
    for lineage in [
        vec![iptables(), systemd()],
        vec![ran("/usr/bin/thing")],
        // a plugin that nobody known runs for no pod
        vec![plugin("/opt/cni/bin/bridge", None), ran("/usr/local/bin/thing")],
        // sudo's own deeds are the caller's, and who that is nobody knows
        vec![ran("/usr/bin/sudo")],
    ] {
        let actor = actor(lineage);
        let Classification { owner, evidence, weak } = OwnerRules::default().classify(&actor, &users);
        assert_eq!((owner, weak), (Owner::unknown(), false), "{actor}");
        assert_eq!(evidence, Evidence::NoOwnerRule { lineage: actor.to_string() });
    }
}

#[test]
fn a_task_name_is_weak_and_never_beats_a_path() {
    let rules = OwnerRules::default();
    let by_name = rules.classify(&actor(vec![ran("kube-proxy")]), &users);
    assert_eq!((by_name.owner.as_str(), by_name.weak), ("kubernetes/kube-proxy", true));
    let cut = rules.classify(&actor(vec![ran("kube-controller-manager")]), &users);
    assert_eq!((cut.owner.as_str(), cut.weak), ("kubernetes/kube-controller", true), "task names have 15 bytes");
    let disguised = Image { comm: "kube-proxy".to_owned(), ..ran("/tmp/evil") };
    assert_eq!(rules.classify(&actor(vec![disguised]), &users).owner, Owner::unknown());
}

#[test]
fn whose_a_plugin_is_nobody_says_when_its_runner_was_not_seen() {
    let owner = |lineage| OwnerRules::default().classify(&actor(lineage), &users).owner;
    let podman = || ran("/usr/bin/podman");
    let host_local = || plugin("/opt/cni/bin/host-local", Some("web"));
    // the plugin between them: its records are lost
    assert_eq!(owner(vec![host_local(), ran("?"), podman()]), Owner::unknown());
    assert_eq!(owner(vec![iptables(), plugin("/opt/cni/bin/flannel", None), ran("?"), podman()]), Owner::unknown());
    let known = plugin("/opt/cni/bin/bridge", Some("web"));
    assert_eq!(owner(vec![host_local(), known, podman()]).as_str(), "podman");
}

#[test]
fn a_users_rules_come_first() {
    let extra = OwnerRules::from_toml(
        r#"
        [[rule]]
        label = "ci"
        owner = "ci/{program}"
        when = { program = ["runner-*"], at = "ancestor" }
        unless = [{ pod = true }]
        "#,
    )
    .expect("well-formed");
    let rules = OwnerRules::default().extended(extra);
    let lineage = |runner: Image| actor(vec![iptables(), ran("/usr/bin/dockerd"), runner]);
    assert_eq!(rules.classify(&lineage(ran("/opt/runner-7")), &users).owner.as_str(), "ci/runner-7");
    let in_pod = rules.classify(&lineage(in_pod("/opt/runner-7", "a/b")), &users);
    assert_eq!(in_pod.owner.as_str(), "kubernetes/pod/a/b");
    let itself = rules.classify(&actor(vec![ran("/opt/runner-7")]), &users);
    assert_eq!(itself.owner, Owner::unknown());
}

#[test]
fn bad_rule_files_are_refused() {
    let refused = |text: &str| OwnerRules::from_toml(text).expect_err("refused");
    let rule = |rest: &str| format!("[[rule]]\nlabel = \"a\"\n{rest}\n");
    assert!(matches!(refused(&rule("owner = \"a\"\nwhen = {}")), RulesError::NoCondition(_)));
    assert!(matches!(refused(&rule("owner = \"a\"\nwhen = { at = \"self\" }")), RulesError::NoCondition(_)));
    let good = rule("owner = \"a\"\nwhen = { program = [\"x\"] }");
    assert!(matches!(refused(&format!("{good}unless = [{{}}]")), RulesError::EmptyException(_)));
    assert!(matches!(refused(&format!("{good}{good}")), RulesError::DuplicateLabel(_)));
    for text in [
        rule("owner = \"a b\"\nwhen = { program = [\"x\"] }"),
        rule("owner = \"a/{nobody}\"\nwhen = { program = [\"x\"] }"),
        rule("owner = \"{program}\"\nwhen = { program = [\"x\"] }"),
        rule("owner = \"a/{program\"\nwhen = { program = [\"x\"] }"),
        rule("owner = \"a\"\nwhen = { programme = [\"x\"] }"),
        "rules = 1".to_owned(),
    ] {
        assert!(matches!(refused(&text), RulesError::Syntax(_)), "{text}");
    }
    assert_eq!(OwnerRules::from_toml("").expect("no rules").len(), 0);
}

#[test]
fn odd_names_make_no_odd_paths() {
    let odd = within("/bin/sh", "/system.slice/a b/c.service");
    let owner = OwnerRules::default().classify(&actor(vec![odd]), &users).owner;
    assert_eq!(owner.as_str(), "unit/c.service");
    let mut image = ran("/bin/sh");
    image.placement.unit = Some("x y/z.service".to_owned());
    let owner = OwnerRules::default().classify(&actor(vec![image]), &users).owner;
    assert_eq!(owner.as_str(), "unit/x_y_z.service");
}

#[test]
fn the_documented_file_is_valid() {
    let document = include_str!("../../../../docs/owner-rules.md");
    let (_, rest) = document.split_once("```toml\n").expect("an example");
    let (example, _) = rest.split_once("```").expect("its end");
    let labels: Vec<String> =
        OwnerRules::from_toml(example).expect("well-formed").into_iter().map(|rule| rule.label).collect();
    assert_eq!(labels, ["ci-runner", "provisioning", "acme-agent", "acme-pods"]);
}
