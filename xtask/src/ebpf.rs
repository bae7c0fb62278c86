//! Builds the BPF object from source.
//!
//! rustc makes BPF code only with unstable options (`core` has to be built for the target) and with `bpf-linker`. So the
//! built object is kept in the tree, for everybody who only has stable Rust, with a digest of the sources it was built
//! from. Two toolchains can build it:
//! - rustup's nightly with the `rust-src` component;
//! - Debian's `rustc-web` and `rust-web-src`, with unstable options allowed by `RUSTC_BOOTSTRAP`.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "bpfel-unknown-none";
const OBJECT: &str = "tracker-ebpf/object/netdeed.bpf.o";
const DIGEST: &str = "tracker-ebpf/object/sources.digest";
const LINKER: &str = "bpf-linker";
const LINKER_VERSION: &str = "0.13.0";
/// Where Debian's LLVM 22 is, which `rustc-web` 1.96 is built with.
const DEBIAN_LLVM: &str = "/usr/lib/llvm-22";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
/// Where a compiler's own library sources are, below its sysroot.
const LIBRARY: &str = "lib/rustlib/src/rust";
const DEBIAN_PACKAGES: [&str; 6] =
    ["rustc-web", "rust-web-src", "llvm-22-dev", "libpolly-22-dev", "zlib1g-dev", "libzstd-dev"];

/// Why the object was not built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EbpfError {
    /// A file could not be read or written.
    #[error("cannot {operation} `{path}`")]
    File {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A command could not be started.
    #[error("cannot run `{command}`")]
    Start {
        /// The command.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// A command failed.
    #[error("`{command}` failed ({status})")]
    Failed {
        /// The command.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// No toolchain can build for BPF here.
    #[error("no toolchain for BPF: run `rustup component add rust-src --toolchain nightly`, or on Debian `apt-get install {}`", DEBIAN_PACKAGES.join(" "))]
    NoToolchain,
    /// A program to strip the object with is missing.
    #[error("no `llvm-objcopy`: install LLVM's binary tools, or `rustup component add llvm-tools`")]
    NoObjcopy,
    /// The object in the tree was built from other sources.
    #[error(
        "the BPF object in the tree is stale (sources {sources}, object from {shipped}): run `cargo xtask build-ebpf`"
    )]
    Stale {
        /// Digest of the sources.
        sources: String,
        /// Digest the object was built from.
        shipped: String,
    },
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EbpfReport {
    /// The toolchain that built it.
    pub toolchain: String,
    /// Bytes of the object.
    pub bytes: usize,
    /// Digest of the sources.
    pub digest: String,
    /// Whether what was built is, byte for byte, what the tree had before. Only the same compiler and linker can be
    /// expected to achieve that; what decides whether the object is current is the digest.
    pub is_identical: bool,
}

impl std::fmt::Display for EbpfReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { toolchain, bytes, digest, is_identical } = self;
        let identical = if *is_identical { "identical to" } else { "different from" };
        write!(f, "built {bytes} bytes with {toolchain}, {identical} the object in the tree (sources {digest})")
    }
}

/// Builds the object, installing what is missing of one of the toolchains, and puts it into the tree with its digest.
/// With `check` the tree is left as it is: instead, the object in it must have been built from the present sources.
///
/// # Errors
/// [`EbpfError`] when a step fails, or when `check` finds the object stale.
pub fn build(check: bool) -> Result<EbpfReport, EbpfError> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let digest = sources_digest(root)?;
    if check {
        let shipped = read_text(&root.join(DIGEST)).unwrap_or_else(|_| "none".to_owned());
        if shipped.trim() != digest {
            return Err(EbpfError::Stale { sources: digest, shipped: shipped.trim().to_owned() });
        }
    }
    let toolchain = Toolchain::find_or_install()?;
    toolchain.provide_linker()?;
    let built = toolchain.compile(root)?;
    let stripped = strip(root, &built)?;
    let before = fs::read(root.join(OBJECT)).unwrap_or_default();
    if !check {
        write(&root.join(OBJECT), &stripped)?;
        write(&root.join(DIGEST), format!("{digest}\n").as_bytes())?;
    }
    let is_identical = stripped == before;
    Ok(EbpfReport { toolchain: toolchain.describe(), bytes: stripped.len(), digest, is_identical })
}

/// Digest of everything the object is built from: the manifest, the records and the programs, each with its path, in the
/// order of their paths.
fn sources_digest(root: &Path) -> Result<String, EbpfError> {
    let mut files = vec![PathBuf::from("tracker-ebpf/Cargo.toml")];
    list_sources(root, Path::new("tracker-ebpf/src"), &mut files)?;
    files.sort();
    let mut hasher = blake3::Hasher::new();
    for file in files {
        let path = root.join(&file);
        let content = fs::read(&path).map_err(|source| EbpfError::File { operation: "read", path, source })?;
        for part in [file.as_os_str().as_encoded_bytes(), &content] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}

fn list_sources(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), EbpfError> {
    let path = root.join(folder);
    let error = |source| EbpfError::File { operation: "list", path: path.clone(), source };
    for entry in fs::read_dir(&path).map_err(error)? {
        let entry = entry.map_err(error)?;
        let name = folder.join(entry.file_name());
        if entry.file_type().map_err(error)?.is_dir() {
            list_sources(root, &name, files)?;
        } else if name.extension() == Some(OsStr::new("rs")) {
            files.push(name);
        }
    }
    Ok(())
}

/// A compiler that can build `core` for BPF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Toolchain {
    /// rustup's nightly, with its sources.
    Nightly,
    /// Debian's rustc, with its sources and its LLVM.
    Debian,
}

impl Toolchain {
    /// The first toolchain that is complete; on Debian, its packages are installed if none is.
    fn find_or_install() -> Result<Self, EbpfError> {
        if let Some(found) = Self::find() {
            return Ok(found);
        }
        if Path::new("/usr/bin/apt-get").exists() {
            let mut install = Command::new("apt-get");
            install.args(["install", "--yes", "--no-install-recommends"]).args(DEBIAN_PACKAGES);
            run(install.env("DEBIAN_FRONTEND", "noninteractive"))?;
        }
        Self::find().ok_or(EbpfError::NoToolchain)
    }

    fn find() -> Option<Self> {
        let has_sources = |toolchain: &Self| {
            toolchain.sysroot().is_some_and(|sysroot| sysroot.join(LIBRARY).join("library/core/Cargo.toml").exists())
        };
        [Self::Nightly, Self::Debian]
            .into_iter()
            .filter(has_sources)
            .find(|toolchain| *toolchain == Self::Nightly || Path::new(DEBIAN_LLVM).exists())
    }

    fn rustc(self) -> Command {
        match self {
            Self::Nightly => {
                let mut rustup = Command::new("rustup");
                rustup.args(["run", "nightly", "rustc"]);
                rustup
            }
            Self::Debian => Command::new(DEBIAN_RUSTC),
        }
    }

    fn sysroot(self) -> Option<PathBuf> {
        output(self.rustc().args(["--print", "sysroot"])).map(PathBuf::from)
    }

    fn describe(self) -> String {
        output(self.rustc().arg("--version")).unwrap_or_else(|| format!("{self:?}"))
    }

    /// Installs the linker unless this version of it is there. It has to be built with the compiler's version of LLVM.
    fn provide_linker(self) -> Result<(), EbpfError> {
        let wanted = format!("{LINKER} {LINKER_VERSION}");
        if output(Command::new(LINKER).arg("--version")).is_some_and(|version| version.trim() == wanted) {
            return Ok(());
        }
        let mut install = Command::new("cargo");
        install.args(["install", LINKER, "--version", LINKER_VERSION, "--locked", "--force"]);
        if self == Self::Debian {
            install.args(["--no-default-features", "--features", "llvm-22"]).env("LLVM_PREFIX", DEBIAN_LLVM);
        }
        run(&mut install)
    }

    /// Builds the programs and returns where the linker put them.
    fn compile(self, root: &Path) -> Result<PathBuf, EbpfError> {
        let folder = root.join("target/bpf");
        let mut build = match self {
            Self::Nightly => {
                let mut rustup = Command::new("rustup");
                rustup.args(["run", "nightly", "cargo"]);
                rustup
            }
            Self::Debian => {
                let mut cargo = Command::new("cargo");
                cargo.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
                cargo
            }
        };
        build
            .current_dir(root)
            .args(["build", "--locked", "--package", "netdeed-tracker-ebpf", "--bin", "netdeed-bpf"])
            .args(["--features", "bpf", "--profile", "bpf", "--target", TARGET, "-Zbuild-std=core", "--target-dir"])
            .arg(&folder)
            .env("CARGO_ENCODED_RUSTFLAGS", flags(root, self.sysroot().as_deref()))
            // What cargo set for this task is about another toolchain.
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("RUSTC_WRAPPER");
        if self == Self::Nightly {
            build.env_remove("RUSTC").env_remove("CARGO");
        }
        run(&mut build)?;
        Ok(folder.join(TARGET).join("bpf/netdeed-bpf"))
    }
}

/// Compiler flags: the linker, type information in the object, and paths that do not depend on where things are.
fn flags(root: &Path, sysroot: Option<&Path>) -> String {
    let cargo_home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
    let library = sysroot.map(|sysroot| sysroot.join(LIBRARY));
    let renamed = [(Some(root.to_owned()), "netdeed"), (cargo_home, "cargo"), (library, "rust")];
    let mut flags = vec![format!("-Clinker={LINKER}"), "-Clink-arg=--btf".to_owned()];
    for (path, name) in renamed {
        flags.extend(path.map(|path| format!("--remap-path-prefix={}={name}", path.display())));
    }
    flags.join("\x1f")
}

/// Leaves of an object what loading needs: code, maps, symbols and type information, but no debug information.
fn strip(root: &Path, built: &Path) -> Result<Vec<u8>, EbpfError> {
    let stripped = root.join("target/bpf/netdeed.bpf.o");
    let candidates = [format!("{DEBIAN_LLVM}/bin/llvm-objcopy"), "llvm-objcopy".to_owned(), "rust-objcopy".to_owned()];
    let objcopy = candidates
        .iter()
        .find(|candidate| output(Command::new(candidate).arg("--version")).is_some())
        .ok_or(EbpfError::NoObjcopy)?;
    let mut command = Command::new(objcopy);
    command.args(["--strip-debug", "--remove-section=.BTF.ext", "--remove-section=.rel.BTF.ext"]);
    run(command.arg(built).arg(&stripped))?;
    fs::read(&stripped).map_err(|source| EbpfError::File { operation: "read", path: stripped, source })
}

fn read_text(path: &Path) -> Result<String, EbpfError> {
    fs::read_to_string(path).map_err(|source| EbpfError::File { operation: "read", path: path.to_owned(), source })
}

fn write(path: &Path, content: &[u8]) -> Result<(), EbpfError> {
    let error = |source| EbpfError::File { operation: "write", path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(error)?;
    }
    fs::write(path, content).map_err(error)
}

/// Runs a command with its output shown.
fn run(command: &mut Command) -> Result<(), EbpfError> {
    let text = format!("{command:?}");
    match command.status() {
        Err(source) => Err(EbpfError::Start { command: text, source }),
        Ok(status) if !status.success() => Err(EbpfError::Failed { command: text, status }),
        Ok(_) => Ok(()),
    }
}

/// What a command printed; `None` when it is not there or fails.
fn output(command: &mut Command) -> Option<String> {
    let output = command.env_remove("RUSTUP_TOOLCHAIN").output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_follows_content_and_names() {
        let digest = |files: &[(&str, &str)]| {
            let root = tempfile::tempdir().expect("a folder");
            for (name, content) in files {
                write(&root.path().join(name), content.as_bytes()).expect("written");
            }
            sources_digest(root.path()).expect("a digest")
        };
        let manifest = ("tracker-ebpf/Cargo.toml", "[package]");
        let one = digest(&[manifest, ("tracker-ebpf/src/a.rs", "x"), ("tracker-ebpf/src/abi/b.rs", "y")]);
        let again = digest(&[("tracker-ebpf/src/abi/b.rs", "y"), ("tracker-ebpf/src/a.rs", "x"), manifest]);
        assert_eq!(one, again, "whatever order they were written in");
        assert_ne!(one, digest(&[manifest, ("tracker-ebpf/src/a.rs", "x"), ("tracker-ebpf/src/abi/c.rs", "y")]));
        assert_ne!(one, digest(&[manifest, ("tracker-ebpf/src/a.rs", "xy"), ("tracker-ebpf/src/abi/b.rs", "")]));
        let ignored = ("tracker-ebpf/src/notes.txt", "z");
        assert_eq!(
            one,
            digest(&[manifest, ("tracker-ebpf/src/a.rs", "x"), ("tracker-ebpf/src/abi/b.rs", "y"), ignored])
        );
    }

    #[test]
    fn the_shipped_object_is_of_the_present_sources() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
        let shipped = read_text(&root.join(DIGEST)).expect("the digest is in the tree");
        assert_eq!(shipped.trim(), sources_digest(root).expect("a digest"), "run `cargo xtask build-ebpf`");
    }
}
