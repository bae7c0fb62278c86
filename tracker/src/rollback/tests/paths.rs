//! Directories and files.

use super::*;

fn cni() -> Scene {
    let mut scene = Scene::new();
    scene.path("admin/root", "/etc", PathKind::Dir);
    scene.path(FLANNEL, "/etc/cni", PathKind::Dir);
    scene.path(FLANNEL, "/etc/cni/net.d", PathKind::Dir);
    scene.path(FLANNEL, "/etc/cni/net.d/10-flannel.conflist", PathKind::File);
    scene
}

#[test]
fn files_go_first_then_directories_from_the_deepest() {
    let mut scene = cni();
    scene.path(FLANNEL, "/run/flannel.sock", PathKind::Special);
    let expected =
        ["file /etc/cni/net.d/10-flannel.conflist", "file /run/flannel.sock", "dir /etc/cni/net.d", "dir /etc/cni"];
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
    scene.host.files.mounts.insert(abs("/etc/cni/net.d"));
    let plan = scene.plan(&kubernetes());
    assert_eq!(steps(&plan), ["file /etc/cni/net.d/10-flannel.conflist"]);
    assert_eq!(*refused(&plan, "dir /etc/cni/net.d"), Reason::MountBelow { mount: abs("/etc/cni/net.d") });
    assert_eq!(*refused(&plan, "dir /etc/cni"), Reason::MountBelow { mount: abs("/etc/cni/net.d") });
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
