//! Files and directories.

use std::fs;
use std::os::unix::fs::symlink;

use netdeed_tests::accuracy::Random;
use netdeed_tests::namespace::{in_mount_namespace, mount_tmpfs};
use netdeed_tracker::model::path::AbsPath;

use crate::{compare, live, one, rounds};

#[test]
fn paths_are_removed_as_the_kernel_removes_them() {
    rounds(|seed, _| {
        in_mount_namespace(move |top| {
            let mut random = Random::new(seed);
            let mut directories = vec![top.to_path_buf()];
            let mut paths = Vec::new();
            for number in 0..12 {
                let path = one(&mut random, &directories).join(format!("p{number}"));
                match random.below(5) {
                    0 | 1 => {
                        fs::create_dir(&path).expect("new directory");
                        if random.below(4) == 0 {
                            mount_tmpfs(&path);
                        }
                        directories.push(path.clone());
                    }
                    2 => symlink(top, &path).expect("new link"),
                    3 if !paths.is_empty() => {
                        let other: &AbsPath = one(&mut random, &paths);
                        // of a directory, or across filesystems, there is none
                        if fs::hard_link(other.as_path(), &path).is_err() {
                            fs::write(&path, "x").expect("new file");
                        }
                    }
                    _ => fs::write(&path, "x").expect("new file"),
                }
                paths.push(AbsPath::new(&path).expect("absolute"));
            }
            let first = live(&paths).paths;
            for step in 0..16 {
                let path = one(&mut random, &paths);
                let now = live(&paths).paths;
                // another file at the same place has drifted
                if random.below(6) == 0 && now.get(path).is_some_and(Option::is_some) && path.as_path().is_file() {
                    fs::write(path.as_path(), "longer than before").expect("written");
                }
                let Some(Some(expected)) = first.get(path) else { continue };
                let what = format!("seed {seed}, step {step}: remove `{path}`");
                compare(
                    &what,
                    &paths,
                    |live| live.paths.clone().into_iter().collect(),
                    |host| host.remove_path(path, expected),
                );
            }
            // below a mount point the namespace's end has to find nothing mounted
            for directory in directories.iter().skip(1).rev() {
                let _ = rustix::mount::unmount(directory, rustix::mount::UnmountFlags::DETACH);
            }
        });
    });
}
