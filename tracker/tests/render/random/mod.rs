//! Generated rules, put in by the real tools and compared with what they print: where ours says that it is exact, it
//! has to be equal.
//!
//! `NETDEED_RENDER_SEED` starts from another seed, `NETDEED_RENDER_SECONDS` (10 for each tool, and 3000 rules at least) goes on for longer. A
//! failure tells both and the smallest rule that still fails.

pub(crate) mod batch;
mod generator;
pub(crate) mod iptables;
mod iptables_matches;
mod iptables_targets;
mod legacy;
mod nft;
mod nft_matches;
mod nft_statements;
