//! The attribution stage: whose a deed is.
//!
//! Two sources, never mixed up: [`OwnerRules`] classify the lineage of a process that was seen acting; [`infer`] says
//! what names, comments and numbers tell of a thing that nobody was seen making. Both are ordered, labelled tables, and
//! what no row fits stays unknown: there is no fallback owner. [`requests`] joins a notification with the request that
//! caused it, [`notifications`] with the task it was sent in, [`verdict`] makes an attribution of both.

mod classify;
pub mod cri;
mod default_rules;
pub mod ipsets;
pub mod ipvs;
pub mod mounts;
pub mod names;
pub mod notifications;
mod pattern;
pub mod pending;
pub mod requests;
mod rules;
mod users;
pub mod verdict;
pub mod wrappers;

pub use classify::{Classification, OwnerRules};
pub use names::infer;
pub use rules::{Condition, OwnerTemplate, Position, Rule, RulesError};
pub use users::{PasswdUsers, Users};
