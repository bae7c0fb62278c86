//! The BPF programs: loading, attaching, and the ring their records come through.
//!
//! **One ring** carries processes and requests. Their order across CPUs is what attribution lives from: a fork precedes
//! what the child does, a request precedes what it causes. Two rings would keep a flood of one kind from pushing out the
//! other, at the price of having to merge by time stamps taken before the ring position was; the loss accounting in
//! `loss` says which kind lost how many instead.
//!
//! **Causality.** A request's record is in the ring before the kernel can notify anybody of its effect. So whoever has
//! just read a notification and then calls [`BpfSource::drain`](crate::capture::RawSource::drain) until it returns
//! `false` has seen the request. (A record another CPU is still filling would hide it; `drain` waits for that one.)
//!
//! **Degrading.** Programs load and attach one by one. One that cannot is reported with its reason and what to do about
//! it ([`BpfReport`]); the others work without it. The process programs are raw tracepoints and need no tracefs.
//!
//! This folder is the only place that imports `aya`. Besides the programs themselves, `unsafe` stands only here and in
//! the system calls of `fanotify`.

mod environment;
mod keep;
mod load;
mod loss;
mod programs;
mod report;
mod ring;
mod self_test;
mod source;

pub use keep::{adopt, object_digest};
pub use load::{BpfOptions, load};
pub use report::{BpfReport, ProgramReport, ProgramState};
pub use self_test::{SelfTest, SelfTestCheck, self_test};
pub use source::BpfSource;
