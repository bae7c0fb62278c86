//! What a cgroup path says: container, pod, systemd unit, login session. Text only, no I/O.

use crate::model::process::Placement;

/// Parses the text of `/proc/PID/cgroup` (v1, v2 or both): takes the hierarchy with the most to say, the v2 one and then
/// systemd's own where several say as much.
///
/// Names of pods are not in a cgroup path: [`Placement::pod`] stays empty.
pub fn parse(text: &str) -> Placement {
    let mut best: Option<(usize, u8, Placement)> = None;
    for line in text.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(hierarchy), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let preference = match (hierarchy, controllers) {
            ("0", "") => 2,
            (_, "name=systemd") => 1,
            _ => 0,
        };
        let placement = of_path(path);
        let said = facts(&placement);
        if best.as_ref().is_none_or(|(most, preferred, _)| (said, preference) > (*most, *preferred)) {
            best = Some((said, preference, placement));
        }
    }
    best.map(|(.., placement)| placement).unwrap_or_default()
}

/// The only path of a host that uses nothing but cgroup v2; there the record's cgroup id names this path.
pub(super) fn v2_only(text: &str) -> Option<&str> {
    let mut lines = text.lines();
    let path = lines.next()?.strip_prefix("0::")?;
    lines.next().is_none().then_some(path)
}

/// The user a path below `user.slice` belongs to.
pub(crate) fn slice_user(path: &str) -> Option<u32> {
    path.split('/').find_map(|part| part.strip_prefix("user-")?.strip_suffix(".slice")?.parse().ok())
}

/// How much a path says.
pub(super) fn facts(placement: &Placement) -> usize {
    let Placement { cgroup: _, container, runtime, pod_uid, pod: _, unit, session } = placement;
    [container, runtime, pod_uid, unit, session].iter().filter(|fact| fact.is_some()).count()
}

/// What one path says.
pub(super) fn of_path(path: &str) -> Placement {
    let mut placement = Placement { cgroup: path.to_owned(), ..Placement::default() };
    let mut parent = "";
    let mut below_kubepods = false;
    for part in path.split('/').filter(|part| !part.is_empty()) {
        below_kubepods |= part.starts_with("kubepods") || part.contains("-kubepods");
        if let Some(uid) = pod_uid(part).filter(|_| below_kubepods) {
            placement.pod_uid = Some(uid);
        } else if let Some((runtime, container)) = container(part, parent) {
            placement.runtime = runtime.map(str::to_owned).or(placement.runtime.take());
            placement.container = container.map(str::to_owned).or(placement.container.take());
        } else if part.ends_with(".service") {
            placement.unit = Some(part.to_owned());
        } else if part.starts_with("session-") && part.ends_with(".scope") {
            placement.session = Some(part.to_owned());
        }
        parent = part;
    }
    placement
}

/// `pod<uid>` (cgroupfs driver) or `...-pod<uid>.slice` (systemd driver, dashes written as underscores). Static pods
/// have a uid of 32 digits without dashes.
fn pod_uid(part: &str) -> Option<String> {
    let uid = match part.strip_suffix(".slice") {
        Some(name) => name.rsplit_once("-pod").map(|(_, uid)| uid)?.replace('_', "-"),
        None => part.strip_prefix("pod")?.to_owned(),
    };
    let digits = uid.bytes().filter(u8::is_ascii_hexdigit).count();
    let dashes = uid.bytes().filter(|byte| *byte == b'-').count();
    (digits == 32 && matches!(dashes, 0 | 4) && digits + dashes == uid.len()).then_some(uid)
}

/// Runtime and container id of one path part; `None` when it is no container's.
fn container<'a>(part: &'a str, parent: &str) -> Option<(Option<&'static str>, Option<&'a str>)> {
    /// Scope (or, with the cgroupfs driver, directory) prefix and the runtime that writes it; longer ones first.
    const PREFIXES: [(&str, &str); 8] = [
        ("cri-containerd-", "containerd"),
        ("crio-conmon-", "crio"),
        ("crio-", "crio"),
        ("docker-", "docker"),
        ("libpod-conmon-", "podman"),
        ("libpod-payload-", "podman"),
        ("libpod-", "podman"),
        ("nerdctl-", "nerdctl"),
    ];
    let name = part.strip_suffix(".scope").unwrap_or(part);
    for (prefix, runtime) in PREFIXES {
        if let Some(id) = name.strip_prefix(prefix).filter(|id| is_container_id(id)) {
            // the monitor stands next to its container, not in it
            let inside = !prefix.ends_with("conmon-");
            return Some((Some(runtime), inside.then_some(id)));
        }
    }
    if part.starts_with("lxc.payload.") || parent == "lxc" {
        return Some((Some("lxc"), None));
    }
    is_container_id(part).then(|| (runtime_of_parent(parent), Some(part)))
}

fn runtime_of_parent(parent: &str) -> Option<&'static str> {
    match parent {
        "docker" => Some("docker"),
        "libpod_parent" => Some("podman"),
        _ => None,
    }
}

fn is_container_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const UID: &str = "8a1e3a52-9c0d-4b6e-8f11-0123456789ab";
    const UID_: &str = "8a1e3a52_9c0d_4b6e_8f11_0123456789ab";
    const STATIC: &str = "00112233445566778899aabbccddeeff";

    /// Path (with `ID`, `UID`, `UID_`, `STATIC` filled in), then runtime, has container, pod uid, unit, session.
    type Row = (&'static str, Option<&'static str>, bool, Option<&'static str>, Option<&'static str>, bool);

    const ROWS: [Row; 25] = [
        ("/", None, false, None, None, false),
        ("/init.scope", None, false, None, None, false),
        ("/docker/ID", Some("docker"), true, None, None, false),
        ("/system.slice/docker-ID.scope", Some("docker"), true, None, None, false),
        ("/system.slice/kubelet.service", None, false, None, Some("kubelet.service"), false),
        ("/user.slice/user-1000.slice/session-3.scope", None, false, None, None, true),
        ("/user.slice/user-0.slice/user@0.service/app.slice/x.service", None, false, None, Some("x.service"), false),
        ("/kubepods/burstable/podUID/ID", None, true, Some(UID), None, false),
        ("/kubepods/podUID/ID", None, true, Some(UID), None, false),
        ("/kubepods/burstable/podSTATIC/ID", None, true, Some(STATIC), None, false),
        ("/kubepods/besteffort/podUID/crio-ID", Some("crio"), true, Some(UID), None, false),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUID_.slice/cri-containerd-ID.scope",
            Some("containerd"),
            true,
            Some(UID),
            None,
            false,
        ),
        ("/kubepods.slice/kubepods-podUID_.slice/crio-ID.scope", Some("crio"), true, Some(UID), None, false),
        ("/kubepods.slice/kubepods-podUID_.slice/crio-conmon-ID.scope", Some("crio"), false, Some(UID), None, false),
        ("/kubepods.slice/kubepods-podUID_.slice/docker-ID.scope", Some("docker"), true, Some(UID), None, false),
        (
            "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podUID_.slice/cri-containerd-ID.scope",
            Some("containerd"),
            true,
            Some(UID),
            None,
            false,
        ),
        ("/docker/ID/kubelet/kubepods/podUID/ID", Some("docker"), true, Some(UID), None, false),
        (
            "/system.slice/docker-ID.scope/kubelet.slice/kubelet.service",
            Some("docker"),
            true,
            None,
            Some("kubelet.service"),
            false,
        ),
        ("/machine.slice/libpod-ID.scope", Some("podman"), true, None, None, false),
        ("/machine.slice/libpod-ID.scope/container", Some("podman"), true, None, None, false),
        ("/machine.slice/libpod-conmon-ID.scope", Some("podman"), false, None, None, false),
        ("/system.slice/web.service/libpod-payload-ID", Some("podman"), true, None, Some("web.service"), false),
        ("/libpod_parent/libpod-ID", Some("podman"), true, None, None, false),
        ("/system.slice/nerdctl-ID.scope", Some("nerdctl"), true, None, None, false),
        ("/lxc.payload.web/system.slice/ssh.service", Some("lxc"), false, None, Some("ssh.service"), false),
    ];

    fn fill(path: &str) -> String {
        path.replace("UID_", UID_).replace("UID", UID).replace("STATIC", STATIC).replace("ID", ID)
    }

    #[test]
    fn paths_of_every_runtime_and_driver_are_understood() {
        for (path, runtime, has_container, pod_uid, unit, has_session) in ROWS {
            let path = fill(path);
            let placement = parse(&format!("0::{path}\n"));
            assert_eq!(placement.runtime.as_deref(), runtime, "{path}");
            assert_eq!(placement.container.as_deref(), has_container.then_some(ID), "{path}");
            assert_eq!(placement.pod_uid.as_deref(), pod_uid, "{path}");
            assert_eq!(placement.unit.as_deref(), unit, "{path}");
            assert_eq!(placement.session.is_some(), has_session, "{path}");
            assert_eq!(placement.cgroup, path);
        }
    }

    #[test]
    fn what_only_looks_like_a_pod_or_a_container_is_neither() {
        for path in [
            format!("/system.slice/pod{UID}"),
            format!("/machine.slice/machine-libpod_pod_{ID}.slice"),
            "/kubepods/podcast".to_owned(),
            "/kubepods.slice/kubepods-pod12.slice".to_owned(),
            "/system.slice/docker-registry.scope".to_owned(),
            format!("/user.slice/{}", &ID[..63]),
        ] {
            let placement = parse(&format!("0::{path}"));
            assert_eq!((placement.pod_uid, placement.container, placement.runtime), (None, None, None), "{path}");
        }
    }

    #[test]
    fn of_several_hierarchies_the_one_with_most_to_say_counts() {
        let hybrid = format!(
            "12:pids:/kubepods/burstable/pod{UID}/{ID}\n2:cpuset:/\n1:name=systemd:/system.slice/x.service\n0::/x.scope\n"
        );
        assert_eq!(parse(&hybrid).pod_uid.as_deref(), Some(UID));
        let v1 = "9:pids:/system.slice/ssh.service\n1:name=systemd:/user.slice/user-0.slice/session-c1.scope\n";
        assert_eq!(parse(v1).session.as_deref(), Some("session-c1.scope"));
        assert_eq!(parse("9:pids:/\n8:name=systemd:/\n"), Placement { cgroup: "/".to_owned(), ..Placement::default() });
    }

    #[test]
    fn only_a_single_v2_line_is_v2_only() {
        assert_eq!(v2_only("0::/a/b\n"), Some("/a/b"));
        assert_eq!(v2_only("9:pids:/a\n0::/a\n"), None);
        assert_eq!(v2_only("0::/a\n9:pids:/a\n"), None);
    }

    #[test]
    fn nonsense_gives_an_empty_placement() {
        for text in ["", "\n\n", "0", "::", "0:", "a:b", "\u{0}"] {
            let Placement { container, runtime, pod_uid, pod, unit, session, .. } = parse(text);
            assert_eq!((container, runtime, pod_uid, pod, unit, session), (None, None, None, None, None, None));
        }
    }

    #[test]
    fn the_user_of_a_session_is_in_its_slice() {
        assert_eq!(slice_user("/user.slice/user-1000.slice/session-3.scope"), Some(1000));
        assert_eq!(slice_user("/system.slice/ssh.service"), None);
    }
}
