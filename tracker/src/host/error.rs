//! What can go wrong with a write.

/// A write that failed or was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The kernel refused.
    #[error("cannot {operation} {object}")]
    Io {
        /// What was tried: `delete link`, `remove directory`.
        operation: &'static str,
        /// On what.
        object: String,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// What is there is not what the plan was made for.
    #[error("{object} is not what the plan was made for: expected {expected} but found {found}")]
    Drifted {
        /// What.
        object: String,
        /// As planned.
        expected: String,
        /// As found.
        found: String,
    },
    /// Something uses it.
    #[error("cannot {operation} {object}: it is in use by {}; stop it, then plan again", by_whom(by))]
    Busy {
        /// What was tried.
        operation: &'static str,
        /// On what.
        object: String,
        /// The first few that use it, as far as they could be found.
        by: Vec<String>,
    },
    /// The kernel would delete something else as well or instead; nothing was changed.
    #[error("cannot delete {object} without deleting {other}")]
    Collateral {
        /// What was to be deleted.
        object: String,
        /// What would go with it or in its place.
        other: String,
    },
    /// Somebody replaced a legacy table after the plan was made; nothing was changed.
    #[error("legacy table `{table}` changed since the plan was made")]
    TableConflict {
        /// The table.
        table: String,
    },
    /// Somebody committed a ruleset after the plan was made; nothing was changed.
    #[error("the nftables ruleset changed since the plan was made (generation {planned})")]
    GenerationConflict {
        /// The generation the plan was made for.
        planned: u32,
    },
}

fn by_whom(by: &[String]) -> String {
    if by.is_empty() { "something no process shows".to_owned() } else { by.join(", ") }
}
