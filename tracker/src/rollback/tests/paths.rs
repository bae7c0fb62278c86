//! Directories and files.

use super::*;
use crate::rollback::{Expectation, live::recorded_paths};

fn cni() -> Scene {
    let mut scene = Scene::new();
    scene.path("admin/root", "/etc", PathKind::Dir);
    scene.path(FLANNEL, "/etc/cni", PathKind::Dir);
    scene.path(FLANNEL, "/etc/cni/net.d", PathKind::Dir);
    scene.path(FLANNEL, "/etc/cni/net.d/10-flannel.conflist", PathKind::File);
    scene
}

#[test]
fn the_deepest_goes_first_and_what_is_in_a_directory_before_it() {
    let mut scene = cni();
    scene.path(FLANNEL, "/run/flannel.sock", PathKind::Special);
    let expected =
        ["file /etc/cni/net.d/10-flannel.conflist", "dir /etc/cni/net.d", "dir /etc/cni", "file /run/flannel.sock"];
    assert_eq!(steps(&scene.plan(&kubernetes())), expected);
}

#[test]
fn a_foreign_file_keeps_every_directory_above_it() {
    let mut scene = cni();
    scene.path("podman", "/etc/cni/net.d/87-podman.conflist", PathKind::File);
    scene.path(NOBODY, "/etc/cni/net.d/note", PathKind::File);
    let plan = scene.plan(&kubernetes());
    assert_eq!(steps(&plan), ["file /etc/cni/net.d/10-flannel.conflist"]);
    let Reason::ForeignInside { what } = refused(&plan, "dir /etc/cni/net.d") else { panic!("{plan}") };
    assert_eq!(
        what.to_string(),
        "`file /etc/cni/net.d/87-podman.conflist` (podman), `file /etc/cni/net.d/note` (not recorded)"
    );
    assert!(matches!(refused(&plan, "dir /etc/cni"), Reason::NotEmpty { .. }));
}

#[test]
fn a_changed_file_is_drift() {
    let mut scene = cni();
    scene.host.files.create(&abs("/etc/cni/net.d/10-flannel.conflist"), PathKind::File, 5);
    let plan = scene.plan(&kubernetes());
    assert!(plan.is_empty());
    assert!(matches!(refused(&plan, "file /etc/cni/net.d/10-flannel.conflist"), Reason::Drifted { .. }));
}

#[test]
fn a_mount_at_or_below_keeps_what_is_above() {
    let mut scene = cni();
    scene.host.mounts.mount(&abs("/etc/cni/net.d"), "ext4");
    let plan = scene.plan(&kubernetes());
    assert_eq!(steps(&plan), ["file /etc/cni/net.d/10-flannel.conflist"]);
    for dir in ["dir /etc/cni/net.d", "dir /etc/cni"] {
        let text = refused(&plan, dir).to_string();
        assert_eq!(text, "`mount /etc/cni/net.d` (not recorded) is mounted there");
    }
}

#[test]
fn a_path_that_was_not_read_is_refused_and_one_that_is_gone_is_said_so() {
    let mut scene = cni();
    let mut live = scene.live(&kubernetes());
    live.paths.remove(&abs("/etc/cni"));
    live.paths.insert(abs("/etc/cni/net.d/10-flannel.conflist"), None);
    live.children.insert(abs("/etc/cni/net.d"), Default::default());
    let plan = plan(&scene.objects, &live, &kubernetes());
    assert_eq!(steps(&plan), ["dir /etc/cni/net.d"]);
    assert_eq!(*refused(&plan, "dir /etc/cni"), Reason::NotRead);
    assert_eq!(*kept(&plan, "file /etc/cni/net.d/10-flannel.conflist"), KeptReason::AlreadyGone);
}

#[test]
fn what_somebody_else_moved_stays_where_they_put_it() {
    let mut scene = cni();
    let (backup, own) = (abs("/etc/cni/backup"), abs("/etc/cni/own"));
    for path in [&backup, &own] {
        scene.path(FLANNEL, path.as_path().to_str().expect("text"), PathKind::File);
    }
    scene.object(&Subject::Path(backup)).rewritten = Some(deed("admin/root", Certainty::Exact));
    scene.object(&Subject::Path(own)).rewritten = Some(deed(KUBE, Certainty::Exact));
    let plan = scene.plan(&kubernetes());
    assert!(steps(&plan).contains(&"file /etc/cni/own".to_owned()), "{plan}");
    let reason = refused(&plan, "file /etc/cni/backup");
    assert!(matches!(reason, Reason::Drifted { by: Some(by), .. } if *by == owner("admin/root")), "{reason}");
    assert!(matches!(refused(&plan, "dir /etc/cni"), Reason::NotEmpty { .. }));
}

#[test]
fn a_file_with_further_names_is_refused_before_anything_is_done() {
    let mut scene = cni();
    let file = abs("/etc/cni/net.d/10-flannel.conflist");
    scene.host.files.names.insert(file, 2);
    let plan = scene.plan(&kubernetes());
    assert!(plan.is_empty(), "{plan}");
    assert_eq!(*refused(&plan, "file /etc/cni/net.d/10-flannel.conflist"), Reason::FurtherNames { names: 2 });
}

#[test]
fn the_proof_says_when_somebody_elses_file_is_gone() {
    let mut scene = Scene::new();
    scene.path("admin/root", "/etc/cni", PathKind::Dir);
    scene.path("admin/root", "/etc/cni/own", PathKind::File);
    scene.path(KUBE, "/etc/cni/kube", PathKind::File);
    let planned = scene.plan(&kubernetes());
    let before = scene.host.live(&recorded_paths(&scene.objects)).expect("reads");
    let expectation = Expectation::new(&planned, &before).owned(&scene.objects);
    assert_eq!(expectation.paths().len(), 3);
    let remove = |scene: &mut Scene, path: &str| {
        let path = abs(path);
        let now = scene.host.files.get(&path).cloned().expect("there");
        scene.host.remove_path(&path, &now).expect("removed");
    };
    remove(&mut scene, "/etc/cni/kube");
    let verify = |scene: &mut Scene| expectation.verify(&scene.host.live(&expectation.paths()).expect("reads"));
    let proof = verify(&mut scene);
    assert!(proof.holds() && proof.others.iter().all(|it| it.before == it.after), "{proof:?}");
    assert_eq!(proof.others.iter().map(|it| it.objects).sum::<u64>(), 2);
    remove(&mut scene, "/etc/cni/own");
    let proof = verify(&mut scene);
    assert_eq!(proof.missing, ["file /etc/cni/own"]);
    assert!(proof.others.iter().any(|it| it.before != it.after), "{proof:?}");
}
