//! Descriptors that outlive the tracker: the kernel's queues, kept by the service manager from one run to the next.
//!
//! While a copy of a descriptor is kept, the BPF programs stay attached, the ring and the sockets go on filling, and the
//! next tracker finds in them what happened meanwhile. The protocol is sd_notify(3)'s descriptor store: `FDSTORE=1` with a
//! name hands one over, and the next start finds all of them as `LISTEN_FDS` with their names.
//!
//! All or nothing: a set that is not whole, or that another version handed over, is given up, and the time between the runs
//! is a gap.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};

use sd_notify::NotifyState;

/// The last of a set to be handed over: with it, the others are there.
const WHOLE: &str = "whole";
/// To be raised whenever what is subscribed to, or how a queue is read, changes.
const LAYOUT: u32 = 1;

/// Descriptors of a former run.
#[derive(Debug, Default)]
pub struct Kept {
    descriptors: BTreeMap<String, OwnedFd>,
}

impl Kept {
    /// What the service manager passed to this process; nothing without one.
    ///
    /// To be called once, before anything else opens descriptors.
    pub fn receive() -> Self {
        let mut descriptors = BTreeMap::new();
        match sd_notify::listen_fds_with_names(true) {
            Ok(passed) => {
                for (fd, name) in passed {
                    // SAFETY: the manager passed it to this process, and nobody else here knows its number.
                    descriptors.insert(name, unsafe { OwnedFd::from_raw_fd(fd) });
                }
            }
            Err(error) => tracing::warn!(%error, "what the service manager kept is not understood"),
        }
        Self { descriptors }
    }

    /// Takes out the whole set of this version in this network namespace; everything else is given up. `None` when
    /// there is no whole one.
    pub fn of_version(self, version: &str) -> Option<KeptSet> {
        let mut set = BTreeMap::new();
        for (name, descriptor) in self.descriptors {
            match name.strip_prefix(&prefix(version)) {
                Some(part) => {
                    set.insert(part.to_owned(), descriptor);
                }
                None => forget(&name),
            }
        }
        if set.remove(WHOLE).is_some() {
            return Some(KeptSet(set));
        }
        for part in set.into_keys() {
            forget(&(prefix(version) + &part));
        }
        None
    }
}

/// A whole set.
#[derive(Debug)]
pub struct KeptSet(BTreeMap<String, OwnedFd>);

impl KeptSet {
    /// Takes out one descriptor.
    pub fn take(&mut self, part: &str) -> Option<OwnedFd> {
        self.0.remove(part)
    }

    /// Takes out those whose names start so, with the rest of the names.
    pub fn take_all(&mut self, start: &str) -> Vec<(String, OwnedFd)> {
        let names: Vec<String> = self.0.keys().filter(|name| name.starts_with(start)).cloned().collect();
        let taken = names.into_iter().filter_map(|name| {
            let descriptor = self.0.remove(&name)?;
            Some((name[start.len()..].to_owned(), descriptor))
        });
        taken.collect()
    }
}

/// A netlink socket of a former run.
pub(crate) fn netlink_socket(kept: OwnedFd) -> netlink_sys::Socket {
    // SAFETY: the descriptor is given away, and whatever it is, system calls on it are checked by the kernel.
    unsafe { netlink_sys::Socket::from_raw_fd(kept.into_raw_fd()) }
}

/// What makes queues of one tracker readable by another: the program version, the BPF object, and the network namespace.
pub fn version(object: &str, netns: u32) -> String {
    format!("{}-{LAYOUT}-{object}-{netns}", env!("CARGO_PKG_VERSION"))
}

/// Hands a set over to the service manager; without one, nothing happens. Returns whether it was taken over: a manager
/// that keeps no descriptors does not say so.
pub fn hand_over<'a>(version: &str, set: impl Iterator<Item = (&'a str, BorrowedFd<'a>)>) -> bool {
    let mut last = None;
    // one of these names may be left of a run that ended before it had handed over all
    forget(&(prefix(version) + WHOLE));
    for (part, descriptor) in set {
        forget(&(prefix(version) + part));
        if !keep(&(prefix(version) + part), descriptor) {
            return false;
        }
        last = Some(descriptor);
    }
    // any descriptor will do, only the name counts; a duplicate of a kept one would be dropped
    match last.and_then(|_| rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).ok()) {
        Some(mark) => keep(&(prefix(version) + WHOLE), mark.as_fd()),
        None => false,
    }
}

fn keep(name: &str, descriptor: BorrowedFd<'_>) -> bool {
    // not to be watched: a socket that overran is readable with an error, and still wanted
    let state = [NotifyState::FdStore, NotifyState::FdName(name), NotifyState::Custom("FDPOLL=0")];
    let result = sd_notify::notify_with_fds(false, &state, &[descriptor]);
    if let Err(error) = &result {
        tracing::warn!(%error, name, "the service manager does not keep a descriptor");
    }
    result.is_ok()
}

fn forget(name: &str) {
    if let Err(error) = sd_notify::notify(false, &[NotifyState::FdStoreRemove, NotifyState::FdName(name)]) {
        tracing::warn!(%error, name, "the service manager does not forget a descriptor");
    }
}

/// Names may hold anything but a colon and control characters, at most 255 bytes.
fn prefix(version: &str) -> String {
    format!("netdeed/{version}/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(names: &[&str]) -> Kept {
        let descriptor = || OwnedFd::from(std::fs::File::open("/dev/null").expect("open"));
        Kept { descriptors: names.iter().map(|name| ((*name).to_owned(), descriptor())).collect() }
    }

    #[test]
    fn only_a_whole_set_of_the_same_version_is_taken() {
        let mine = version("abc", 7);
        let all = [format!("netdeed/{mine}/ring"), format!("netdeed/{mine}/link-a"), format!("netdeed/{mine}/whole")];
        let mut set = kept(&[&all[0], &all[1], &all[2], "other"]).of_version(&mine).expect("it is whole");
        assert!(set.take("ring").is_some() && set.take("ring").is_none() && set.take("other").is_none());
        let links = set.take_all("link-");
        assert_eq!(links.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a"]);
        assert!(kept(&[&all[0], &all[1]]).of_version(&mine).is_none(), "its end is missing");
        assert!(kept(&[&all[0], &all[2]]).of_version(&version("abd", 7)).is_none(), "another object's");
        assert!(kept(&[&all[0], &all[2]]).of_version(&version("abc", 8)).is_none(), "another network namespace's");
        assert!(kept(&[]).of_version(&mine).is_none());
    }
}
