//! The ruleset with the names its text needs.

use std::collections::BTreeMap;

use super::{CaptureError, nfnetlink, rtnetlink};
use crate::model::ids::TableName;
use crate::model::live::Ruleset;
use crate::model::nft::{Family, TableRef};
use crate::model::subject::{Snapshot, Subject};
use crate::model::time::BootTime;

/// Where the kernel lists the legacy backend's tables of the thread's network namespace. A file is there once the
/// family's module is.
const LEGACY: [(Family, &str); 2] =
    [(Family::Ip, "/proc/thread-self/net/ip_tables_names"), (Family::Ip6, "/proc/thread-self/net/ip6_tables_names")];

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
    Ok(Ruleset { read, objects, undecoded: undecoded.len(), links, legacy: legacy_tables() })
}

/// The legacy backend's tables; without the right to read their names, none.
fn legacy_tables() -> Vec<TableRef> {
    let names = |(family, path)| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let tables = text.lines().map(move |name| TableRef { family, name: TableName::from(name) });
        tables.collect::<Vec<_>>()
    };
    LEGACY.into_iter().flat_map(names).collect()
}
