//! Who works in a mount or a network namespace, by `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::model::path::AbsPath;

/// How many are named.
const NAMED: usize = 5;

/// The processes with a file open, a working directory, a root or a program at or below a path, the first few.
///
/// Reads links only, so a filesystem that does not answer is not asked. A process of another mount namespace that has the
/// path under another name is not found.
pub(super) fn of(path: &AbsPath) -> Vec<String> {
    let mut found = Vec::new();
    for process in processes().unwrap_or_default() {
        if found.len() == NAMED {
            break;
        }
        let leads_in = |link: PathBuf| fs::read_link(link).is_ok_and(|to| to.starts_with(path.as_path()));
        let is_holder = ["cwd", "root", "exe"].into_iter().any(|name| leads_in(process.join(name)))
            || ["fd", "map_files"].into_iter().any(|name| entries(&process.join(name)).into_iter().any(leads_in));
        if is_holder {
            found.push(described(&process));
        }
    }
    found
}

/// The processes that have a thread in one of the network namespaces (`net:[4026531840]`), the first few of each.
///
/// # Errors
/// When `/proc` cannot be listed: then nothing is known.
pub(super) fn in_namespaces<'a>(wanted: impl Iterator<Item = &'a String>) -> io::Result<BTreeMap<String, Vec<String>>> {
    let mut found: BTreeMap<String, Vec<String>> = wanted.map(|it| (it.clone(), Vec::new())).collect();
    for process in processes()? {
        for thread in entries(&process.join("task")) {
            let Ok(namespace) = fs::read_link(thread.join("ns/net")) else { continue };
            let Some(users) = namespace.to_str().and_then(|it| found.get_mut(it)) else { continue };
            let name = described(&process);
            if users.len() < NAMED && users.last() != Some(&name) {
                users.push(name);
            }
        }
    }
    Ok(found)
}

/// The directories of the processes that there are.
fn processes() -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit)) {
            found.push(path);
        }
    }
    Ok(found)
}

/// What is in a directory; nothing when it went away.
fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// `process 4321 (pause)`
fn described(process: &Path) -> String {
    let number = process.file_name().unwrap_or_default().to_string_lossy();
    let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
    format!("process {number} ({})", name.trim_end().escape_default())
}
