//! The tracker's configuration file. Every key has a default; an unknown key is an error, never ignored.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::capture::roots::{Root, default_roots};

/// What can be configured.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The kernel's queues.
    pub capture: CaptureConfig,
    /// The journal's limits.
    pub journal: JournalConfig,
    /// What resets took away.
    pub archive: ArchiveConfig,
    /// A TOML file with owner rules that come before the built-in ones.
    pub owner_rules: Option<PathBuf>,
    /// Directories to watch; the built-in list when none is given.
    pub root: Vec<Root>,
    /// Largest number of paths taken stock of.
    pub max_paths: usize,
    /// Seconds between two comparisons of the record with what lives, for what goes without a notification; 0 for never.
    pub reconcile_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            capture: CaptureConfig::default(),
            journal: JournalConfig::default(),
            archive: ArchiveConfig::default(),
            owner_rules: None,
            root: default_roots(),
            max_paths: 200_000,
            reconcile_seconds: 60,
        }
    }
}

/// Sizes of the kernel's queues, bytes. Memory is only used while records wait.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaptureConfig {
    /// Whether to use BPF at all. Without, actors are looked up in /proc and often missed.
    pub bpf: bool,
    /// BPF ring; a power of two, at least 4096.
    pub ring_bytes: u32,
    /// Receive buffer of the nf_tables notifications. One batch of 60,000 rules needs 64 MiB.
    pub nftables_receive_buffer: usize,
    /// Receive buffer of the rtnetlink notifications.
    pub rtnetlink_receive_buffer: usize,
    /// Further sysctls whose values are read at the start, so that they can be set back: paths below `/proc/sys`, `*` is
    /// any name.
    pub sysctls: Vec<String>,
}

impl Default for CaptureConfig {
    fn default() -> Self {
        Self {
            bpf: true,
            ring_bytes: 16 << 20,
            nftables_receive_buffer: 128 << 20,
            rtnetlink_receive_buffer: 16 << 20,
            sysctls: Vec::new(),
        }
    }
}

/// How much is kept of what resets took away; see `netdeed undo`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArchiveConfig {
    /// Bytes of all archives together; the oldest go first. A reset that would need more alone is refused.
    pub max_bytes: u64,
}

impl Default for ArchiveConfig {
    fn default() -> Self {
        Self { max_bytes: 1 << 30 }
    }
}

/// How much the journal keeps. Living objects are always kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JournalConfig {
    /// Entries of history.
    pub max_entries: u64,
    /// Bytes on disk at which the oldest history is dropped.
    pub max_bytes: u64,
    /// Days that objects are kept after they are gone.
    pub keep_removed_days: u32,
    /// Bytes of cache in memory.
    pub cache_bytes: u64,
    /// Seconds of processor time after which a journal that does not open is set aside; by the clock, six times as many.
    pub open_deadline_seconds: u64,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            max_entries: 2_000_000,
            max_bytes: 2 << 30,
            keep_removed_days: 30,
            cache_bytes: 32 << 20,
            open_deadline_seconds: 10,
        }
    }
}

impl JournalConfig {
    /// How long objects are kept after they are gone.
    pub fn keep_removed(&self) -> Duration {
        Duration::from_secs(u64::from(self.keep_removed_days) * 86_400)
    }

    /// How long the journal may take to open.
    pub fn open_deadline(&self) -> Duration {
        Duration::from_secs(self.open_deadline_seconds)
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read configuration file `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not understood.
    #[error("configuration file `{path}` is not understood")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A value is out of its range.
    #[error("configuration key `{key}` is `{value}`, expected {expected}")]
    Range {
        /// Which key.
        key: &'static str,
        /// Its value.
        value: String,
        /// The range.
        expected: &'static str,
    },
}

impl Config {
    /// How often the record is compared with what lives; `None` for never.
    pub fn reconcile_every(&self) -> Option<Duration> {
        (self.reconcile_seconds > 0).then(|| Duration::from_secs(self.reconcile_seconds))
    }

    /// Reads a file. One that is not there means the defaults, unless it `must_exist`.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn read(path: &Path, must_exist: bool) -> Result<Self, ConfigError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_exist => String::new(),
            Err(source) => return Err(ConfigError::Read { path: path.to_owned(), source }),
        };
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text)
            .map_err(|error| ConfigError::Parse { path: path.to_owned(), source: Box::new(error) })?;
        let ring = config.capture.ring_bytes;
        if !ring.is_power_of_two() || ring < 4096 {
            return Err(ConfigError::Range {
                key: "capture.ring_bytes",
                value: ring.to_string(),
                expected: "a power of two, at least 4096",
            });
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new("test.toml"))
    }

    #[test]
    fn an_empty_file_means_the_defaults() {
        assert_eq!(parse("").expect("valid"), Config::default());
        let config = parse("[capture]\nring_bytes = 4096\n").expect("valid");
        assert_eq!(config.capture.ring_bytes, 4096);
        assert_eq!(config.journal, JournalConfig::default());
    }

    /// The file that is shipped shows every key, at its default.
    #[test]
    fn the_shipped_file_is_the_defaults() {
        let text = include_str!("../../dist/netdeed.toml");
        let shipped = parse(text).expect("valid");
        assert_eq!(shipped, Config::default());
        // a new key has to be named here
        let Config { capture, journal, archive, owner_rules: _, root: _, max_paths: _, reconcile_seconds: _ } = shipped;
        let ArchiveConfig { max_bytes: _ } = archive;
        let CaptureConfig {
            bpf: _,
            ring_bytes: _,
            nftables_receive_buffer: _,
            rtnetlink_receive_buffer: _,
            sysctls: _,
        } = capture;
        let JournalConfig {
            max_entries: _,
            max_bytes: _,
            keep_removed_days: _,
            cache_bytes: _,
            open_deadline_seconds: _,
        } = journal;
        let keys = [
            "# owner_rules = ",
            "max_paths = ",
            "reconcile_seconds = ",
            "bpf = ",
            "ring_bytes = ",
            "nftables_receive_buffer = ",
            "rtnetlink_receive_buffer = ",
            "sysctls = ",
            "max_entries = ",
            "max_bytes = ",
            "keep_removed_days = ",
            "cache_bytes = ",
            "open_deadline_seconds = ",
            "# [[root]]",
        ];
        for key in keys {
            assert!(text.lines().any(|line| line.starts_with(key)), "`{key}` is not shown");
        }
        let root = text.split_once("# [[root]]").expect("shown").1.replace("\n# ", "\n");
        assert_eq!(parse(&format!("[[root]]{root}")).expect("its example is valid").root.len(), 1);
    }

    #[test]
    fn unknown_keys_and_bad_values_are_errors() {
        assert!(matches!(parse("[capture]\nrings = 1\n"), Err(ConfigError::Parse { .. })));
        assert!(matches!(parse("[capture]\nring_bytes = 5000\n"), Err(ConfigError::Range { .. })));
        assert!(matches!(Config::read(Path::new("/nonexistent/x"), true), Err(ConfigError::Read { .. })));
    }
}
