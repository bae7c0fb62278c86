//! What the decoders understand and the renderers write, against what the real tools print, in network namespaces of
//! their own. Needs root.
//!
//! - `iptables`, `older`, `nft`: corpora of rules, put in by the tools and compared line by line;
//! - `coverage`: every expression, match and target has to be in a corpus, or the kernel's own refusal beside it;
//! - `ruleset`: whole rulesets with all that tables hold;
//! - `random`: generated rules, thousands of them;
//! - `real`: what Docker, firewalld and podman put in.

mod coverage;
mod harness;
mod iptables;
mod nft;
mod older;
mod random;
mod real;
mod ruleset;
