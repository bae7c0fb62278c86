//! Accuracy: 32 writers of all kinds at once, acting as several owners, each logging what it made. No owner may be wrong, no
//! object missing, and what is not proven must say why.
//!
//! `cargo xtask test --tier accuracy` runs the large one. Another seed: `NETDEED_SEED=7`; another size: `NETDEED_OBJECTS=500`.

use netdeed_tests::accuracy::{Burners, Limits, Run};
use netdeed_tests::node::Node;
use netdeed_tests::tracker::{Files, Tracker};

const WRITERS: usize = 32;
/// Some hundred objects, without forced losses: one process in doubt is several of them at once.
const SMALL: Limits = Limits { unproven_per_mille: Some(10) };
/// Thousands, without forced losses.
const STRICT: Limits = Limits { unproven_per_mille: Some(1) };
/// With rings and buffers that are made too small.
const LOSSY: Limits = Limits { unproven_per_mille: None };

#[expect(clippy::disallowed_methods, reason = "a test's seed and size come from outside, to repeat what failed")]
fn number<T: std::str::FromStr>(variable: &str) -> Option<T> {
    std::env::var(variable).ok().and_then(|number| number.parse().ok())
}

fn seed() -> u64 {
    number("NETDEED_SEED").unwrap_or(1)
}

fn run(objects: usize, config: &str, limits: Limits) {
    let node = Node::new().expect("a node");
    // the first one makes /run/netns a mount, and files of just that moment are only found by comparison
    node.sh("ip netns add first").expect("a network namespace");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, config).expect("a tracker");
    let run = Run { seed: seed(), writers: WRITERS, objects: number("NETDEED_OBJECTS").unwrap_or(objects) };
    let verdict = run.on(&node, &tracker).unwrap_or_else(|error| panic!("{error}\n{}", tracker.log()));
    println!("{verdict}");
    verdict.assert(limits);
    tracker.stop().expect("a clean stop");
}

#[test]
fn writers_of_all_kinds_are_told_apart() {
    run(1_000, "", SMALL);
}

#[test]
fn writers_are_told_apart_on_a_busy_machine() {
    let _burners = Burners::start(std::thread::available_parallelism().map_or(2, usize::from));
    run(600, "", SMALL);
}

#[test]
fn what_tiny_queues_lose_lies_in_gaps_and_nobody_is_named_wrongly() {
    let config = "[capture]\nring_bytes = 4096\nnftables_receive_buffer = 8192\nrtnetlink_receive_buffer = 8192\n";
    run(600, config, LOSSY);
}

#[test]
#[ignore = "takes minutes: cargo xtask test --tier accuracy"]
fn twenty_thousand_objects() {
    run(20_000, "", STRICT);
}

#[test]
#[ignore = "takes minutes: cargo xtask test --tier accuracy"]
fn five_thousand_objects_on_a_busy_machine() {
    let _burners = Burners::start(std::thread::available_parallelism().map_or(2, usize::from));
    run(5_000, "", STRICT);
}

#[test]
#[ignore = "takes minutes: cargo xtask test --tier accuracy"]
fn five_thousand_objects_through_tiny_queues() {
    let config = "[capture]\nring_bytes = 8192\nnftables_receive_buffer = 16384\nrtnetlink_receive_buffer = 16384\n";
    run(5_000, config, LOSSY);
}
