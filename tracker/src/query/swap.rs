//! Findings of a swap as documents.

use crate::control::api::FindingView;
use crate::rollback::swap::Finding;

/// One finding.
pub fn finding_view(finding: Finding) -> FindingView {
    let Finding { severity, check, what, remedy } = finding;
    FindingView { severity: severity.to_string(), check: check.to_string(), what, remedy }
}
