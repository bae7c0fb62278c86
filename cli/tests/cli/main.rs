//! The built binary against a small tracker: what it prints, where, and how it ends.

use netdeed_tracker::{control, decode, journal, model, query};

#[path = "../../../tracker/src/control/tests/fixture/mod.rs"]
mod fixture;
mod support;

mod answers;
mod endings;
mod resets;
mod stopped;
