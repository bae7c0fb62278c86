//! Kernel type information: where the running kernel keeps which structure member.
//!
//! rustc emits no relocations for kernel structures, so offsets are looked up here and handed to the BPF programs as
//! frozen constants. The reader understands the whole format but answers one question only: the offset and the size of
//! a member. What is missing, ambiguous, a bit-field or of another size than expected is an error with its reason;
//! nothing is guessed.

mod offsets;
mod types;

use std::path::Path;

use crate::capture::CaptureError;

pub use offsets::{MissingOffset, resolve};
pub use types::{Btf, BtfError, Member, MemberError};

/// Where the kernel publishes its own type information, from 5.4 on with `CONFIG_DEBUG_INFO_BTF`.
pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// Reads the type information at `path`, normally [`VMLINUX`].
///
/// # Errors
/// [`CaptureError::Unavailable`] when the file is not there, [`CaptureError::Io`] when it cannot be read,
/// [`CaptureError::Btf`] when it is not understood.
pub fn read(path: &Path) -> Result<Btf, CaptureError> {
    let bytes = std::fs::read(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => CaptureError::Unavailable {
            what: format!("the kernel publishes no type information at `{}`", path.display()),
            remedy: "use a kernel built with CONFIG_DEBUG_INFO_BTF".to_owned(),
        },
        _ => CaptureError::Io { operation: "read type information", object: path.display().to_string(), source },
    })?;
    Btf::parse(bytes).map_err(|error| CaptureError::Btf { path: path.to_owned(), reason: error.to_string() })
}
