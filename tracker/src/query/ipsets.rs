//! IP sets by the number rules have them by.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::journal::{JournalError, ObjectFilter, Read};
use crate::model::ipset::IpSetSnapshot;
use crate::model::subject::{Class, Snapshot, Subject};

/// Names of the living IP sets by their index, for writing rules out: see [`crate::render::Surroundings::ip_set`]. Sets of
/// kernels before 4.20, which do not tell the index, are not in it.
///
/// # Errors
/// [`JournalError`] when the journal cannot be read.
pub fn ip_set_names(journal: &dyn Read) -> Result<BTreeMap<u16, String>, JournalError> {
    let filter = ObjectFilter { classes: vec![Class::IpSet], scope: journal.scope()?, ..ObjectFilter::default() };
    let mut names = BTreeMap::new();
    journal.visit(&filter, &mut |object| {
        if let (Subject::IpSet(set), Snapshot::IpSet(IpSetSnapshot::Set(header))) = (&object.subject, &object.snapshot)
        {
            names.extend(header.index.map(|index| (index, set.set.to_string())));
        }
        ControlFlow::Continue(())
    })?;
    Ok(names)
}
