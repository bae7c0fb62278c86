//! Why the kernel would not, and what to do about it.

use std::error::Error;

/// `CAP_SYS_ADMIN`, which includes the other two.
const CAP_SYS_ADMIN: u32 = 21;
/// `CAP_PERFMON`: reading kernel memory and attaching, from 5.8 on.
const CAP_PERFMON: u32 = 38;
/// `CAP_BPF`: loading, from 5.8 on.
const CAP_BPF: u32 = 39;

/// An error and what it came from, in one line.
pub(super) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !parts.last().is_some_and(|last| last.ends_with(&text)) {
            parts.push(text);
        }
        next = error.source();
    }
    last_lines(&parts.join(": "), 6)
}

/// The last lines of a text, in one line: a verifier says at the end what it minds.
pub(super) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match lines.len().checked_sub(count) {
        Some(cut) if cut > 0 => format!("[…] {}", lines[cut..].join(" | ")),
        _ => lines.join(" | "),
    }
}

/// What to do about an error, if it says that something is not permitted.
pub(super) fn remedy(error: &(dyn Error + 'static)) -> Option<String> {
    is_refused(error).then(|| {
        let capabilities = std::fs::read_to_string("/proc/self/status").ok().and_then(|text| effective(&text));
        let lockdown = std::fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default();
        explain(capabilities, &lockdown)
    })
}

/// Whether the kernel said `EPERM` or `EACCES` anywhere in the chain.
fn is_refused(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let errno = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
        if matches!(errno, Some(libc::EPERM | libc::EACCES)) {
            return true;
        }
        next = error.source();
    }
    false
}

/// The effective capabilities in the text of `/proc/self/status`.
fn effective(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

fn explain(capabilities: Option<u64>, lockdown: &str) -> String {
    let has = |capability: u32| capabilities.is_none_or(|set| set >> capability & 1 == 1);
    if !has(CAP_SYS_ADMIN) && !(has(CAP_BPF) && has(CAP_PERFMON)) {
        return "run as root, or with CAP_BPF and CAP_PERFMON (CAP_SYS_ADMIN before 5.8)".to_owned();
    }
    if lockdown.contains("[confidentiality]") {
        return "the kernel is locked down for confidentiality, which forbids BPF programs to read its memory; boot \
                with lockdown=integrity or none"
            .to_owned();
    }
    "the capabilities are there, so a security module, a seccomp filter or a user namespace refuses: check the audit log"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_fits_what_is_missing() {
        let status = "Name:\tx\nCapInh:\t0000000000000000\nCapEff:\t000000c000000000\nCapBnd:\t000001ffffffffff\n";
        let both = effective(status);
        assert_eq!(both, Some(1 << CAP_BPF | 1 << CAP_PERFMON));
        assert!(explain(both, "none [integrity] confidentiality").contains("security module"));
        assert!(explain(both, "none integrity [confidentiality]").contains("lockdown=integrity"));
        assert!(explain(Some(1 << CAP_BPF), "").contains("CAP_PERFMON"));
        assert!(explain(Some(1 << CAP_SYS_ADMIN), "").contains("security module"));
    }

    #[test]
    fn only_refusals_have_a_remedy() {
        assert!(remedy(&std::io::Error::from_raw_os_error(libc::EPERM)).is_some());
        assert_eq!(remedy(&std::io::Error::from_raw_os_error(libc::E2BIG)), None);
    }

    #[test]
    fn long_verifier_logs_keep_their_end() {
        let log = (0..50).map(|line| format!("line {line}\n")).collect::<String>();
        let text = causes(&std::io::Error::other(log));
        assert!(text.starts_with("[…] line 44 | "), "{text}");
        assert!(text.ends_with("line 49"));
    }
}
