//! Building programs of Go modules: fetched by Go's own client, checked against Go's checksum database, kept below
//! `target/go`.
//!
//! Distributions have Go in versions of their age. Where the machine's is too old, it fetches a newer one as what Go's
//! own versions are since 1.21: the module `golang.org/toolchain`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use netdeed_tests::scenario::kubernetes::{FLANNELD, GoProgram, KUBE_PROXY};
use serde::Deserialize;

use crate::error::XtaskError;
use crate::shell;

/// The oldest version that builds all of them.
const OLDEST: (u32, u32) = (1, 25);
/// The version that is fetched when the machine's is older.
const FETCHED: &str = "1.26.0";
/// Where programs called `go` are.
const PLACES: [&str; 3] = ["go", "/usr/local/go/bin/go", "/usr/lib/go/bin/go"];

/// Builds what is not built yet.
pub(super) fn build_missing() -> Result<(), XtaskError> {
    let target = shell::target();
    let programs = [KUBE_PROXY, FLANNELD];
    let missing: Vec<&GoProgram> = programs.iter().filter(|program| !target.join(program.path()).is_file()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let go = Go::find()?;
    missing.into_iter().try_for_each(|program| go.build(program, &target.join(program.path())))
}

/// A Go that is new enough.
struct Go(PathBuf);

/// What `go mod download -json` says.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Module {
    error: Option<String>,
    #[serde(default)]
    dir: PathBuf,
    #[serde(default)]
    go_mod: PathBuf,
}

impl Go {
    fn find() -> Result<Self, XtaskError> {
        let found = || PLACES.iter().filter_map(|place| Some((version(place)?, Self(PathBuf::from(place)))));
        if let Some((_, go)) = found().find(|(version, _)| *version >= OLDEST) {
            return Ok(go);
        }
        if found().next().is_none() {
            super::install(&["golang-go"])?;
        }
        let newest = found().max_by_key(|(version, _)| *version);
        let (_, old) = newest.ok_or_else(|| XtaskError::Wrong("there is no Go, nor one to be installed".to_owned()))?;
        let folder = shell::target().join("go");
        fs::create_dir_all(&folder).map_err(failed("make", &folder))?;
        let module =
            old.download(&folder, &format!("golang.org/toolchain@v0.0.1-go{FETCHED}.linux-{}", architecture()))?;
        arrange(&module.dir)?;
        Ok(Self(module.dir.join("bin/go")))
    }

    fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new("nice");
        command.arg(&self.0).current_dir(folder).stdin(Stdio::null());
        command.env("GOFLAGS", "-mod=mod -buildvcs=false").env("GOTOOLCHAIN", "local").env("GOWORK", "off");
        command.env_remove("GOROOT");
        command
    }

    fn download(&self, folder: &Path, module: &str) -> Result<Module, XtaskError> {
        eprintln!("+ go mod download {module}");
        let mut command = self.command(folder);
        let output = command.args(["mod", "download", "-json", module]).stderr(Stdio::inherit()).output();
        let output = output.map_err(|source| XtaskError::Spawn { program: "go".to_owned(), source })?;
        let answer: Module = serde_json::from_slice(&output.stdout).map_err(|error| {
            XtaskError::Wrong(format!("`go mod download {module}` answers in other words: {error}"))
        })?;
        match answer.error {
            Some(error) => Err(XtaskError::Wrong(format!("`{module}` is not to be had: {error}"))),
            None => Ok(answer),
        }
    }

    /// Builds a program in a module of its own that only requires the program's.
    fn build(&self, program: &GoProgram, path: &Path) -> Result<(), XtaskError> {
        let folder = path.parent().unwrap_or(path);
        fs::create_dir_all(folder).map_err(failed("make", folder))?;
        let module = self.download(folder, &format!("{}@v{}", program.module, program.version))?;
        let text = fs::read_to_string(&module.go_mod).map_err(failed("read", &module.go_mod))?;
        let file = folder.join("go.mod");
        fs::write(&file, requirements(program, &text)).map_err(failed("write", &file))?;
        let built = path.with_extension("new");
        let mut command = self.command(folder);
        command.env("CGO_ENABLED", if program.needs_c { "1" } else { "0" });
        command.args(["build", "-trimpath", "-ldflags", "-s -w", "-o"]).arg(&built).arg(program.package);
        shell::run_command(&mut command)?;
        fs::rename(&built, path).map_err(failed("make", path))
    }
}

fn failed<'a>(operation: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> XtaskError + 'a {
    move |source| XtaskError::File { operation, path: path.to_owned(), source }
}

/// `go.mod` of a module that requires a program's. Kubernetes takes its own parts of its tree, which nobody else has: they
/// are published beside it, as v0 for its v1.
fn requirements(program: &GoProgram, its_own: &str) -> String {
    let go = its_own.lines().find(|line| line.starts_with("go ")).unwrap_or("go 1.25.0");
    let mut text =
        format!("module netdeed.test/{}\n\n{go}\n\nrequire {} v{}\n", program.name, program.module, program.version);
    for (module, version) in program.newer {
        text.push_str(&format!("require {module} {version}\n"));
    }
    let published = program.version.replacen("1.", "v0.", 1);
    let mut parts: Vec<&str> = its_own.lines().filter_map(|line| line.trim().strip_suffix(" v0.0.0")).collect();
    parts.sort_unstable();
    parts.dedup();
    for part in parts {
        text.push_str(&format!("replace {part} => {part} {published}\n"));
    }
    text
}

/// Major and minor version; `None` when there is no such program.
fn version(go: &str) -> Option<(u32, u32)> {
    let output = Command::new(go).args(["env", "GOVERSION"]).env("GOTOOLCHAIN", "local").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut numbers = text.trim().strip_prefix("go")?.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// This machine's architecture in Go's words.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Does to a fetched Go what Go does to one that it fetches for itself: modules have no executable files, and no other
/// modules in them.
fn arrange(root: &Path) -> Result<(), XtaskError> {
    let own = root.join("src/go.mod");
    if !own.exists() {
        let source = root.join("src");
        fs::set_permissions(&source, Permissions::from_mode(0o755)).map_err(failed("change", &source))?;
        fs::copy(root.join("src/_go.mod"), &own).map_err(failed("write", &own))?;
    }
    let tools = root.join("pkg/tool").join(format!("linux_{}", architecture()));
    for folder in [root.join("bin"), tools] {
        for entry in fs::read_dir(&folder).map_err(failed("read", &folder))?.flatten() {
            let path = entry.path();
            fs::set_permissions(&path, Permissions::from_mode(0o755)).map_err(failed("change", &path))?;
        }
    }
    Ok(())
}
