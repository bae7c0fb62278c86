//! Removing single planned objects on a real kernel, while links, mounts and other objects get in the way.
//!
//! Needs root (`CAP_SYS_ADMIN`) and `mkfs.ext4`, and fails without.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use netdeed_tests::namespace::{in_mount_namespace, mount_tmpfs, sh};
use netdeed_tracker::capture::scan::snapshot;
use netdeed_tracker::host::files::remove;
use netdeed_tracker::host::{HostError, Removal};
use netdeed_tracker::model::path::{AbsPath, PathSnapshot};

fn abs(path: &Path) -> AbsPath {
    AbsPath::new(path).expect("absolute")
}

fn see(path: &Path) -> PathSnapshot {
    snapshot(&abs(path)).expect("readable").expect("there")
}

#[track_caller]
fn refused(path: &Path, planned: &PathSnapshot) -> HostError {
    let error = remove(&abs(path), planned).expect_err("must be refused");
    assert!(std::fs::symlink_metadata(path).is_ok(), "refused and yet gone: {error}");
    error
}

#[test]
fn a_link_swapped_into_the_path_is_not_followed() {
    in_mount_namespace(|top| {
        std::fs::create_dir(top.join("cni")).expect("mkdir");
        std::fs::write(top.join("cni/conf"), "").expect("write");
        let planned = see(&top.join("cni/conf"));
        std::fs::rename(top.join("cni"), top.join("kept")).expect("rename");
        symlink("kept", top.join("cni")).expect("symlink");
        let error = refused(&top.join("cni/conf"), &planned);
        let HostError::Io { source, .. } = &error else { panic!("{error:?}") };
        assert_eq!(source.raw_os_error(), Some(rustix::io::Errno::LOOP.raw_os_error()));
    });
}

#[test]
fn mount_points_and_what_is_mounted_stay() {
    in_mount_namespace(|top| {
        std::fs::create_dir_all(top.join("cni/volume")).expect("mkdir");
        std::fs::create_dir(top.join("cni/conf")).expect("mkdir");
        let (volume, conf) = (see(&top.join("cni/volume")), see(&top.join("cni/conf")));
        mount_tmpfs(&top.join("cni/volume"));
        let error = refused(&top.join("cni/volume"), &volume);
        assert!(error.to_string().contains("a mount point"), "{error}");
        mount_tmpfs(&top.join("cni"));
        std::fs::create_dir(top.join("cni/conf")).expect("mkdir");
        assert!(matches!(refused(&top.join("cni/conf"), &conf), HostError::Drifted { .. }));
    });
}

#[test]
fn a_bind_mount_of_the_same_filesystem_is_a_mount_point_too() {
    in_mount_namespace(|top| {
        std::fs::create_dir(top.join("data")).expect("mkdir");
        std::fs::create_dir(top.join("volume")).expect("mkdir");
        let (data, volume) = (see(&top.join("data")), see(&top.join("volume")));
        rustix::mount::mount_bind(top.join("data"), top.join("volume")).expect("bind");
        for planned in [&data, &volume] {
            let error = refused(&top.join("volume"), planned);
            assert!(error.to_string().contains("a mount point"), "{error}");
        }
    });
}

#[test]
fn another_object_of_the_same_name_stays() {
    in_mount_namespace(|top| {
        let file = top.join("conf");
        std::fs::write(&file, "same").expect("write");
        let planned = see(&file);
        std::fs::write(top.join("other"), "same").expect("write");
        std::fs::rename(top.join("other"), &file).expect("rename");
        assert!(matches!(refused(&file, &planned), HostError::Drifted { .. }));

        std::fs::remove_file(&file).expect("remove");
        symlink("elsewhere", &file).expect("symlink");
        assert!(matches!(refused(&file, &planned), HostError::Drifted { .. }));

        let dir = top.join("dir");
        std::fs::create_dir(&dir).expect("mkdir");
        let planned = see(&dir);
        std::fs::remove_dir(&dir).expect("rmdir");
        std::fs::create_dir(&dir).expect("mkdir");
        assert!(matches!(refused(&dir, &planned), HostError::Drifted { .. }));
    });
}

#[test]
fn a_file_with_a_second_name_stays() {
    in_mount_namespace(|top| {
        let file = top.join("conf");
        std::fs::write(&file, "x").expect("write");
        let planned = see(&file);
        std::fs::hard_link(&file, top.join("second")).expect("link");
        let error = refused(&file, &planned);
        assert!(error.to_string().contains("one with 2"), "{error}");
        // another file linked to the planned name
        std::fs::remove_file(&file).expect("remove");
        std::fs::write(top.join("third"), "x").expect("write");
        std::fs::hard_link(top.join("third"), &file).expect("link");
        assert!(matches!(refused(&file, &planned), HostError::Drifted { .. }));
    });
}

#[test]
fn a_directory_with_foreign_files_stays() {
    in_mount_namespace(|top| {
        let dir = top.join("net.d");
        std::fs::create_dir(&dir).expect("mkdir");
        let planned = see(&dir);
        std::fs::write(dir.join("foreign"), "").expect("write");
        let HostError::Io { source, .. } = refused(&dir, &planned) else { panic!("must be the kernel's refusal") };
        assert_eq!(source.kind(), std::io::ErrorKind::DirectoryNotEmpty);
        std::fs::remove_file(dir.join("foreign")).expect("remove");
        assert_eq!(remove(&abs(&dir), &planned).expect("empty now"), Removal::Removed);
    });
}

#[test]
fn a_reused_inode_number_is_another_object() {
    in_mount_namespace(|top| {
        // ext4 gives the number of a removed file to the next one; tmpfs does not
        sh("truncate -s 4M image; mkfs.ext4 -q image; mkdir disk; mount -o loop image disk", top);
        let file = top.join("disk/conf");
        std::fs::write(&file, "x").expect("write");
        let planned = see(&file);
        let modified = std::fs::metadata(&file).and_then(|file| file.modified()).expect("time");
        let started = Instant::now();
        loop {
            std::fs::remove_file(&file).expect("remove");
            std::fs::write(&file, "x").expect("write");
            if see(&file).inode.ino == planned.inode.ino {
                break;
            }
            assert!(started.elapsed() < Duration::from_secs(10), "no inode number was reused");
        }
        std::fs::File::options().write(true).open(&file).and_then(|file| file.set_modified(modified)).expect("time");
        let now = see(&file);
        assert_eq!((now.size, now.modified), (planned.size, planned.modified), "only the birth time tells");
        assert!(matches!(refused(&file, &planned), HostError::Drifted { .. }));
        assert_eq!(remove(&abs(&file), &now).expect("as planned"), Removal::Removed);
        sh("umount disk", top);
    });
}
