//! Legacy tables in network namespaces of their own: read, rendered as iptables-legacy-save prints them, and the same
//! whether the kernel or the program that wrote them is asked. Needs root, `iptables-legacy`, `ip6tables-legacy` and
//! `arptables-legacy`.

mod bridge;
mod lines;
#[path = "../render/harness.rs"]
#[expect(dead_code, reason = "what the tests of nf_tables rules need besides")]
mod render;
