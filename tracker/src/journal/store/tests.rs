//! Tests of the store over both backends.

mod append;
mod chain;
mod crash;
mod full;
mod model;
mod property;
mod rate;
mod retain;
mod scope;

use std::ops::ControlFlow;

use crate::journal::backend::{Backend, Batch, Direction, KeyRange};
use crate::journal::memory::MemoryBackend;

/// A copy of a backend with one row put, or removed.
fn edited(backend: &dyn Backend, key: &[u8], value: Option<&[u8]>) -> MemoryBackend {
    let mut batch = Batch::default();
    let mut put = |key: &[u8], value: &[u8]| {
        let bytes = |out: &mut Vec<u8>| {
            out.extend_from_slice(value);
            Ok(())
        };
        batch.put(key, bytes).expect("put");
    };
    let everything = KeyRange { start: Vec::new(), end: vec![255] };
    backend
        .scan(everything, Direction::Forward, &mut |key, value| {
            put(key, value);
            ControlFlow::Continue(())
        })
        .expect("scan");
    match value {
        Some(value) => put(key, value),
        None => batch.delete(key),
    }
    let copy = MemoryBackend::default();
    copy.apply(&batch).expect("apply");
    copy
}
