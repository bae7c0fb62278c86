//! The ruleset with the names its text needs.

use std::collections::BTreeMap;

use super::{CaptureError, legacy, nfnetlink, rtnetlink};
use crate::model::live::Ruleset;
use crate::model::subject::{Snapshot, Subject};
use crate::model::time::BootTime;

/// Reads the ruleset of the calling thread's network namespace.
///
/// # Errors
/// As [`nfnetlink::dump`], and those of the listing of the links.
pub fn ruleset() -> Result<Ruleset, CaptureError> {
    let read = BootTime::now();
    let nfnetlink::NftDump { objects, undecoded, .. } = nfnetlink::dump()?;
    let mut links = BTreeMap::new();
    for (subject, snapshot) in rtnetlink::dump_of(rtnetlink::Listing::Links)? {
        if let (Subject::Link(ifindex), Snapshot::Link(link)) = (subject, snapshot) {
            links.insert(ifindex, link.name.to_string());
        }
    }
    // the tables of nf_tables are worth showing without them
    let (legacy, legacy_failure) = match legacy::dump() {
        Ok(legacy) => (legacy, None),
        Err(CaptureError::Io { operation, object, source }) => {
            (Vec::new(), Some(format!("cannot {operation} {object}: {source}")))
        }
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    Ok(Ruleset { read, objects, undecoded: undecoded.len(), links, legacy, legacy_failure })
}
