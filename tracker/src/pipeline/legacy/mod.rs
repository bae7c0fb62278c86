//! Legacy tables: from whole replacements to who changed which rule. Pure.
//!
//! Every change of such a table replaces all of it, so what a call changed is the difference to what was there before
//! it. [`outline`] is what is remembered of a table, [`align`] tells which rule goes on as which, [`blame`] whose a
//! difference is, [`ledger`] keeps the calls that wait for a verdict.

pub mod align;
pub mod blame;
pub mod ledger;
pub mod outline;
pub mod pieces;
mod unordered;
