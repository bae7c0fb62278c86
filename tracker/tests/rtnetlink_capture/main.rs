//! rtnetlink against the running kernel, in network namespaces of its own. Needs root and `ip`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod capture;
mod delete;
mod listing;
