//! Programs that do nothing but become another: what their process did was done by what they became.

use crate::model::process::Image;

/// Directories of the distribution's own programs: elsewhere a name proves nothing.
const DIRS: [&str; 4] = ["/bin", "/sbin", "/usr/bin", "/usr/sbin"];

/// Programs that set up their process and execute what they are told to.
const WRAPPERS: [&str; 14] = [
    "nsenter", "setpriv", "unshare", "env", "nice", "ionice", "chrt", "taskset", "nohup", "setsid", "stdbuf",
    "prlimit", "choom", "setarch",
];

/// Whether an image makes nothing itself and only executes another program.
pub fn only_executes(image: &Image) -> bool {
    let Some((dir, program)) = image.exe.as_deref().and_then(|exe| exe.rsplit_once('/')) else { return false };
    let is_netns_exec = || program == "ip" && image.argv.windows(2).any(|pair| pair[0] == "netns" && pair[1] == "exec");
    DIRS.contains(&dir) && (WRAPPERS.contains(&program) || is_netns_exec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::{NetnsId, Tgid};
    use crate::model::process::{ExecId, Placement, ProcessKey, ProcessSource};
    use crate::model::time::BootTime;

    fn image(argv: &[&str]) -> Image {
        Image {
            id: ExecId { process: ProcessKey { tgid: Tgid(7), start: BootTime(1) }, exec: 1 },
            parent: None,
            exe: Some(argv[0].to_owned()),
            comm: String::new(),
            argv: argv.iter().map(|arg| (*arg).to_owned()).collect(),
            argv_truncated: false,
            uid: 0,
            login_uid: None,
            netns: NetnsId(1),
            placement: Placement::default(),
            seat: Default::default(),
            cni: None,
            source: ProcessSource::Kernel,
        }
    }

    #[test]
    fn wrappers_are_known_by_place_and_purpose() {
        assert!(only_executes(&image(&["/usr/bin/nsenter", "--net", "true"])));
        assert!(only_executes(&image(&["/sbin/ip", "netns", "exec", "a", "true"])));
        assert!(!only_executes(&image(&["/sbin/ip", "netns", "add", "exec"])));
        assert!(!only_executes(&image(&["/opt/bin/nsenter"])));
        assert!(!only_executes(&image(&["/bin/sh", "-c", "exec true"])), "a shell writes files");
    }
}
