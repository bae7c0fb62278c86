//! The fuzz targets with their corpus and some seconds of random mutations of it. `cargo xtask fuzz` goes on for longer,
//! guided by coverage.
//!
//! `NETDEED_FUZZ_SECONDS` (1 for each target) and `NETDEED_FUZZ_SEED` change how much and what. A failure leaves its
//! bytes in hexadecimal on the standard error.

#[path = "../../tests/fuzz/src/targets.rs"]
mod targets;

use std::path::Path;
use std::time::{Duration, Instant};

/// The corpus of a target, in the order of the names.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus").join(target);
    let entries =
        std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("no corpus in {}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "the corpus of {target} is empty");
    paths.iter().map(|path| std::fs::read(path).expect("readable")).collect()
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % (end.max(1) as u64)).expect("below a length")
    }

    /// Some changes to one of the corpus.
    fn mutate(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(8) {
                0..=2 if !bytes.is_empty() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, 4, 8][self.below(7)],
                3 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
                4 => bytes.truncate(at),
                5 => {
                    let end = at + self.below(bytes.len() - at);
                    let piece = bytes[at..end].to_vec();
                    let to = self.below(bytes.len() + 1);
                    bytes.splice(to..to, piece);
                }
                6 => {
                    let other = &corpus[self.below(corpus.len())];
                    let from = self.below(other.len());
                    bytes.truncate(at);
                    bytes.extend_from_slice(&other[from..]);
                }
                // a length or number of two bytes
                _ if bytes.len() > at + 1 => {
                    let number = u16::try_from(self.below(300)).expect("small").to_ne_bytes();
                    bytes[at..at + 2].copy_from_slice(&number);
                }
                _ => {}
            }
        }
        bytes.truncate(8192);
        bytes
    }
}

#[expect(clippy::disallowed_methods, reason = "what a test does may depend on its environment")]
fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} has to be a number, and is `{text}`")),
        Err(_) => default,
    }
}

/// Runs a target; when it panics, its bytes are shown first.
fn run(name: &str, target: fn(&[u8]), bytes: &[u8]) {
    if let Err(panic) = std::panic::catch_unwind(|| target(bytes)) {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        eprintln!("{name} fails with {hex}");
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn no_bytes_are_too_much_for_a_decoder() {
    let time = Duration::from_secs(number("NETDEED_FUZZ_SECONDS", 1));
    for (name, target) in targets::TARGETS {
        let corpus = corpus(name);
        corpus.iter().for_each(|bytes| run(name, *target, bytes));
        let mut random = Random(number("NETDEED_FUZZ_SEED", 1));
        let (until, mut count) = (Instant::now() + time, 0_u64);
        while Instant::now() < until {
            run(name, *target, &random.mutate(&corpus));
            count += 1;
        }
        println!("{name}: {} of the corpus, {count} mutations", corpus.len());
        assert!(count > 100, "{name}: {count} in {time:?}");
    }
}
