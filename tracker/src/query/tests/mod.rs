//! Read models over a journal in memory.

mod locate;
mod log;
mod object;
