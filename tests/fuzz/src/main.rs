//! One libFuzzer program for all targets; `NETDEED_FUZZ_TARGET` says which.
#![no_main]

mod targets;

use std::sync::LazyLock;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let wanted = std::env::var("NETDEED_FUZZ_TARGET").unwrap_or_default();
    let target = targets::TARGETS.iter().find(|(name, _)| *name == wanted);
    target.unwrap_or_else(|| panic!("NETDEED_FUZZ_TARGET has to name a target, and is `{wanted}`")).1
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET(data));
