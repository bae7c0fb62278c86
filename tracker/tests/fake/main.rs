//! The fake kernel against the real one: both are given the same state and the same changes, sensible and not, and must
//! answer and end alike. What the laws of a rollback say about the fake is then worth something.
//!
//! `NETDEED_FAKE_SEED` is the first seed, `NETDEED_FAKE_ROUNDS` says how many are tried (40). Needs root, nft(8), ip(8),
//! tc(8), ipset(8), iptables-legacy.

mod files;
mod ipset;
mod legacy;
mod net;
mod nft;

use std::collections::BTreeMap;
use std::fmt::Debug;

use netdeed_tests::accuracy::Random;
use netdeed_tracker::host::{FakeHost, Host, HostError, RealHost};
use netdeed_tracker::model::digest::Digest;
use netdeed_tracker::model::live::LiveState;
use netdeed_tracker::model::path::AbsPath;
use netdeed_tracker::model::subject::{Snapshot, Subject};

/// Calls `round` with a generator for each seed.
#[expect(clippy::disallowed_methods, reason = "how long a test runs is chosen by its caller")]
fn rounds(round: impl Fn(u64, &mut Random)) {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
    };
    let first = number("NETDEED_FAKE_SEED", 1);
    for seed in first..first + number("NETDEED_FAKE_ROUNDS", 40) {
        round(seed, &mut Random::new(seed));
    }
}

/// One of several.
fn one<'a, T>(random: &mut Random, from: &'a [T]) -> &'a T {
    &from[random.below(from.len())]
}

/// How a change ended, as far as both have to agree: what was done, or the kernel's error number.
fn ending<T: Debug>(result: &Result<T, HostError>) -> String {
    match result {
        Ok(done) => format!("{done:?}"),
        Err(HostError::Io { source, .. }) => match source.raw_os_error() {
            Some(code) => format!("errno {code}"),
            None => "refused".to_owned(),
        },
        Err(HostError::Drifted { .. }) => "drifted".to_owned(),
        Err(HostError::GenerationConflict { .. } | HostError::TableConflict { .. }) => "conflict".to_owned(),
        Err(HostError::Collateral { .. }) => "collateral".to_owned(),
        Err(other) => format!("{other:?}"),
    }
}

/// The node's state, read.
fn live(paths: &[AbsPath]) -> LiveState {
    RealHost.live(paths).expect("the live state can be read")
}

/// Every object with the digest of its content.
fn digests(objects: &[(Subject, Snapshot)]) -> Vec<(Subject, Digest)> {
    let digests: BTreeMap<Subject, Digest> =
        objects.iter().map(|(subject, content)| (subject.clone(), content.digest())).collect();
    digests.into_iter().collect()
}

/// Does a change on the real node and on a fake in the same state, and compares how it ended and what `of` sees.
#[track_caller]
fn compare<T: Debug, E: PartialEq + Debug>(
    what: &str,
    paths: &[AbsPath],
    of: impl Fn(&LiveState) -> Vec<E>,
    change: impl Fn(&mut dyn Host) -> Result<T, HostError>,
) {
    let mut fake = FakeHost::of(&live(paths));
    let faked = change(&mut fake);
    let real = change(&mut RealHost);
    assert_eq!(ending(&faked), ending(&real), "fake and real after {what}: {faked:?} and {real:?}");
    let [faked, real] = [of(&fake.live(paths).expect("in memory")), of(&live(paths))];
    let only = |one: &[E], other: &[E]| {
        let missing = one.iter().filter(|entry| !other.contains(entry));
        missing.map(|entry| format!("{entry:?}")).collect::<Vec<_>>()
    };
    let (of_fake, of_real) = (only(&faked, &real), only(&real, &faked));
    assert!(faked == real, "after {what}: only the fake has {of_fake:#?}, only the kernel {of_real:#?}");
}
