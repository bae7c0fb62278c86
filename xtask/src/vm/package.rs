//! Packages of other Debian suites, by an apt of their own: the machine's lists and packages stay as they are.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::XtaskError;

use super::kernel::file_error;

/// Keys of Debian's archive, older suites' included.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The packages of one suite.
pub(super) struct Suite {
    name: &'static str,
    folder: PathBuf,
}

impl Suite {
    /// Reads the suite's lists, from where this machine gets its own.
    pub(super) fn open(name: &'static str, folder: &Path) -> Result<Self, XtaskError> {
        let suite = Self { name, folder: folder.to_owned() };
        for part in ["state/lists/partial", "cache/archives/partial"] {
            let path = suite.folder.join(part);
            std::fs::create_dir_all(&path).map_err(|source| file_error("make", &path, source))?;
        }
        let mut tried = Vec::new();
        for site in sites()? {
            let list = suite.folder.join("sources.list");
            let line = format!("deb [signed-by={KEYRING}] {site} {name} main\n");
            std::fs::write(&list, line).map_err(|source| file_error("write", &list, source))?;
            match suite.output("apt-get", &["update", "-q"]) {
                Ok(_) => return Ok(suite),
                Err(error) => tried.push(error.to_string()),
            }
        }
        Err(XtaskError::Wrong(format!("no archive this machine knows has Debian's `{name}`: {}", tried.join("; "))))
    }

    /// The first dependency of a package that starts with `prefix`.
    pub(super) fn dependency_of(&self, package: &str, prefix: &str) -> Result<String, XtaskError> {
        let text = self.output("apt-cache", &["depends", "--important", package])?;
        let mut words = text.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        words.find(|name| name.starts_with(prefix)).map(str::to_owned).ok_or_else(|| {
            XtaskError::Wrong(format!("`{package}` of `{}` depends on no `{prefix}`...: {text}", self.name))
        })
    }

    /// Fetches a package and gives its file.
    pub(super) fn download(&self, package: &str) -> Result<PathBuf, XtaskError> {
        eprintln!("+ fetching `{package}` of `{}`", self.name);
        self.output("apt-get", &["download", "-q", package])?;
        let entries = std::fs::read_dir(&self.folder).map_err(|source| file_error("list", &self.folder, source))?;
        let mut files = entries.flatten().map(|entry| entry.path());
        files
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .ok_or_else(|| XtaskError::Wrong(format!("`apt-get download {package}` left no package behind")))
    }

    fn output(&self, program: &str, args: &[&str]) -> Result<String, XtaskError> {
        let mut command = Command::new(program);
        let at = |name: &str| self.folder.join(name).display().to_string();
        let options = [
            format!("Dir::State={}", at("state")),
            format!("Dir::State::status={}", at("state/status")),
            format!("Dir::Cache={}", at("cache")),
            format!("Dir::Etc::sourcelist={}", at("sources.list")),
            "Dir::Etc::sourceparts=-".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::Retries=2".to_owned(),
            "Acquire::Check-Valid-Until=false".to_owned(),
            "APT::Architecture=amd64".to_owned(),
            "APT::Sandbox::User=root".to_owned(),
            "APT::Update::Error-Mode=any".to_owned(),
        ];
        for option in &options {
            command.args(["-o", option]);
        }
        let status = self.folder.join("state/status");
        std::fs::write(&status, "").map_err(|source| file_error("write", &status, source))?;
        let output = command
            .args(args)
            .current_dir(&self.folder)
            .output()
            .map_err(|source| XtaskError::Spawn { program: program.to_owned(), source })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', " ");
        Err(XtaskError::Wrong(format!("`{program} {}` for `{}`: {said}", args.join(" "), self.name)))
    }
}

/// Where this machine gets Debian's packages from.
fn sites() -> Result<Vec<String>, XtaskError> {
    let output = Command::new("apt-get")
        .args(["indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(SITE)", "Created-By: Packages"])
        .output()
        .map_err(|source| XtaskError::Spawn { program: "apt-get".to_owned(), source })?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut sites: Vec<String> =
        text.lines().filter_map(|line| line.strip_prefix("Debian|Debian|")).map(str::to_owned).collect();
    sites.dedup();
    if sites.is_empty() {
        return Err(XtaskError::Wrong("this machine has no archive of Debian among its package sources".to_owned()));
    }
    Ok(sites)
}
