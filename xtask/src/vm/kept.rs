//! What was found out about each kernel, over several runs: a slow machine need not do everything at once.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::XtaskError;
use crate::shell;

use super::kernel::file_error;
use super::outcome::Outcome;

/// What is kept of a kernel.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// Digest of the BPF object that it is about.
    object: String,
    outcome: Outcome,
}

/// Adds a run to what is known. Steps it did not do stay, if they were done on this kernel with these BPF programs.
pub(super) fn add(suite: &str, mut outcome: Outcome) -> Result<(), XtaskError> {
    if let Some(before) = all(suite)?.filter(|before| before.release == outcome.release) {
        let is_new = |name: &str| !outcome.steps.iter().any(|step| step.name == name);
        let mut steps: Vec<_> = before.steps.into_iter().filter(|step| is_new(&step.name)).collect();
        steps.append(&mut outcome.steps);
        outcome.steps = steps;
    }
    let text = serde_json::to_vec_pretty(&Kept { object: object()?, outcome })
        .map_err(|error| XtaskError::Wrong(format!("the outcome cannot be written: {error}")))?;
    let path = path(suite);
    std::fs::write(&path, text).map_err(|source| file_error("write", &path, source))
}

/// What is known of the kernel with the present BPF programs.
pub(super) fn all(suite: &str) -> Result<Option<Outcome>, XtaskError> {
    let path = path(suite);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(file_error("read", &path, source)),
    };
    let object = object()?;
    // of another version of these programs: as if there were none
    let kept = serde_json::from_slice::<Kept>(&bytes).ok();
    Ok(kept.filter(|kept| kept.object == object).map(|kept| kept.outcome))
}

fn path(suite: &str) -> PathBuf {
    super::cache().join("machines").join(suite).join("kept.json")
}

fn object() -> Result<String, XtaskError> {
    let path = shell::workspace().join("tracker-ebpf/object/netdeed.bpf.o");
    let bytes = std::fs::read(&path).map_err(|source| file_error("read", &path, source))?;
    Ok(blake3::hash(&bytes).to_string())
}
