//! Mounts: deepest first, before what they are mounted on, and never somebody else's along with them.

use super::*;
use crate::model::mount::MountPlace;

impl Scene {
    fn mounted(&mut self, by: &str, path: &str, fs_type: &str) -> u32 {
        let made = self.host.mounts.mount(&abs(path), fs_type);
        match self.record(by, made) {
            Subject::Mount(mount) => mount.id,
            _ => 0,
        }
    }

    fn placed(&mut self, id: u32, edit: impl FnOnce(&mut MountPlace)) {
        edit(self.host.mounts.place(id).expect("mounted"));
    }
}

/// A pod's directory with a volume in memory.
fn pod() -> Scene {
    let mut scene = Scene::new();
    scene.path("admin/root", "/var", PathKind::Dir);
    scene.path(KUBE, "/var/pod", PathKind::Dir);
    scene.path(KUBE, "/var/pod/volume", PathKind::Dir);
    scene
}

#[test]
fn a_mount_goes_after_what_is_in_it_and_before_what_it_is_on() {
    let mut scene = pod();
    scene.mounted(KUBE, "/var/pod/volume", "tmpfs");
    scene.path(KUBE, "/var/pod/volume/file", PathKind::File);
    scene.path(KUBE, "/var/pod/volume/sub", PathKind::Dir);
    scene.mounted(KUBE, "/var/pod/volume/sub", "ext4");
    scene.mounted(KUBE, "/var/pod/volume/sub", "xfs");
    let expected = [
        "mount /var/pod/volume/sub",
        "mount /var/pod/volume/sub",
        "file /var/pod/volume/file",
        "dir /var/pod/volume/sub",
        "mount /var/pod/volume",
        "dir /var/pod/volume",
        "dir /var/pod",
    ];
    let plan = scene.plan(&kubernetes());
    assert_eq!(steps(&plan), expected);
    let types: Vec<&Snapshot> = plan.steps()[..2].iter().map(crate::rollback::Step::snapshot).collect();
    assert!(matches!(types[0], Snapshot::Mount(top) if top.fs_type == "xfs"), "the topmost first");
    let (_, execution, is_proven) = scene.roll_back(&kubernetes());
    assert!(is_proven, "{execution:?}");
    assert!(scene.host.mounts.dump().is_empty());
}

#[test]
fn what_nobody_recorded_in_memory_is_told_and_what_others_recorded_keeps_it() {
    let mut scene = pod();
    scene.mounted(KUBE, "/var/pod/volume", "tmpfs");
    scene.path(NOBODY, "/var/pod/volume/token", PathKind::File);
    scene.path(NOBODY, "/var/pod/volume/ca", PathKind::File);
    assert_eq!(steps(&scene.plan(&kubernetes()))[0], "mount /var/pod/volume and the 2 files in it");
    scene.path(DOCKER, "/var/pod/volume/theirs", PathKind::File);
    let plan = scene.plan(&kubernetes());
    assert!(plan.is_empty(), "{plan}");
    let Reason::ForeignInside { what } = refused(&plan, "mount /var/pod/volume") else { panic!("{plan}") };
    assert_eq!(what.to_string(), "`file /var/pod/volume/theirs` (docker)");
    assert!(matches!(refused(&plan, "dir /var/pod/volume"), Reason::MountBelow { .. }));
}

#[test]
fn a_mount_point_that_only_a_mount_showed_is_not_missing_afterwards() {
    let mut scene = pod();
    scene.mounted(KUBE, "/var/pod/volume", "tmpfs");
    scene.path(NOBODY, "/var/pod/volume/in", PathKind::Dir);
    scene.mounted(KUBE, "/var/pod/volume/in", "ext4");
    let (plan, execution, is_proven) = scene.roll_back(&kubernetes());
    assert!(is_proven, "{plan}\n{execution:?}");
    assert!(scene.host.mounts.dump().is_empty());
}

#[test]
fn a_filesystem_that_is_mounted_elsewhere_too_loses_nothing() {
    let mut scene = pod();
    scene.path("admin/root", "/srv", PathKind::Dir);
    let made = scene.host.mounts.put(&abs("/srv"), "tmpfs", 7);
    scene.record("admin/root", made);
    let made = scene.host.mounts.put(&abs("/var/pod/volume"), "tmpfs", 7);
    scene.record(KUBE, made);
    scene.path(NOBODY, "/var/pod/volume/file", PathKind::File);
    let plan = scene.plan(&kubernetes());
    assert_eq!(steps(&plan), ["mount /var/pod/volume", "dir /var/pod/volume", "dir /var/pod"]);
    assert_eq!(plan.steps()[0].action(), Action::Unmount { loses: None });
}

#[test]
fn a_file_that_only_a_mount_shows_there_is_not_its_owners_by_name() {
    let mut scene = pod();
    scene.path("admin/root", "/srv", PathKind::Dir);
    let made = scene.host.mounts.put(&abs("/srv"), "ext4", 7);
    scene.record("admin/root", made);
    let made = scene.host.mounts.put(&abs("/var/pod/volume"), "ext4", 7);
    scene.record(KUBE, made);
    scene.certainty = Certainty::Inferred;
    scene.path(KUBE, "/var/pod/volume/precious", PathKind::File);
    let plan = scene.plan(&Selection { include_inferred: true, ..kubernetes() });
    let text = refused(&plan, "file /var/pod/volume/precious").to_string();
    assert_eq!(text, "it is `/srv/precious`, which is mounted there");
    assert_eq!(steps(&plan), ["mount /var/pod/volume", "dir /var/pod/volume", "dir /var/pod"]);
}

#[test]
fn what_stays_on_top_or_covers_keeps_a_mount_and_all_below() {
    let mut scene = pod();
    scene.mounted(KUBE, "/var/pod/volume", "ext4");
    scene.mounted(DOCKER, "/var/pod/volume", "xfs");
    let plan = scene.plan(&kubernetes());
    let text = refused(&plan, "mount /var/pod/volume").to_string();
    assert_eq!(text, "`mount /var/pod/volume` (docker) is mounted there");
    assert!(plan.is_empty(), "{plan}");

    let mut scene = pod();
    let own = scene.mounted(KUBE, "/var/pod/volume", "ext4");
    let over = scene.mounted(DOCKER, "/var/pod", "xfs");
    scene.placed(own, |place| place.parent = 90);
    let root = scene.mounted("admin/root", "/", "ext4");
    scene.placed(own, |place| place.parent = root);
    scene.placed(over, |place| place.parent = root);
    let plan = scene.plan(&kubernetes());
    assert_eq!(refused(&plan, "mount /var/pod/volume").to_string(), "`mount /var/pod` (docker) covers it");
}

#[test]
fn what_would_go_along_by_propagation_has_to_be_the_owners() {
    for (by, is_refused) in [(DOCKER, true), (KUBE, false)] {
        let mut scene = pod();
        scene.path("admin/root", "/srv", PathKind::Dir);
        let (one, other) = (scene.mounted("admin/root", "/", "ext4"), scene.mounted("admin/root", "/srv", "ext4"));
        scene.placed(one, |place| place.peers = Some(1));
        scene.placed(other, |place| (place.receives, place.peers) = (Some(1), None));
        let own = scene.mounted(KUBE, "/var/pod/volume", "xfs");
        let twin = scene.mounted(by, "/srv/var/pod/volume", "xfs");
        scene.placed(own, |place| place.parent = one);
        scene.placed(twin, |place| place.parent = other);
        let plan = scene.plan(&kubernetes());
        if is_refused {
            let text = refused(&plan, "mount /var/pod/volume").to_string();
            assert_eq!(text, "unmounting it would unmount `mount /srv/var/pod/volume` (docker) too");
        } else {
            // the twin is deeper, and nothing receives from what it is on
            assert_eq!(steps(&plan)[..2], ["mount /srv/var/pod/volume", "mount /var/pod/volume"]);
        }
    }
}

#[test]
fn a_mount_that_may_hang_or_is_worked_in_stays() {
    let mut scene = pod();
    let own = scene.mounted(KUBE, "/var/pod/volume", "nfs4");
    scene.placed(own, |place| place.may_hang = true);
    let plan = scene.plan(&kubernetes());
    assert_eq!(refused(&plan, "mount /var/pod/volume").to_string(), "unmounting nfs4 may wait for ever");

    let mut scene = pod();
    let own = scene.mounted(KUBE, "/var/pod/volume", "nsfs");
    assert_eq!(*refused(&scene.plan(&kubernetes()), "mount /var/pod/volume"), Reason::NotRead);
    scene.host.mounts.users.insert(own, vec!["process 7 (pause)".to_owned()]);
    let plan = scene.plan(&kubernetes());
    let text = refused(&plan, "mount /var/pod/volume").to_string();
    assert_eq!(text, "process 7 (pause) run in its network namespace");
    scene.host.mounts.users.insert(own, Vec::new());
    assert_eq!(steps(&scene.plan(&kubernetes()))[0], "mount /var/pod/volume");
}
