//! rtnetlink against the running kernel, in network namespaces of its own. Needs root and `ip`.

mod capture;
mod delete;
mod netns;
