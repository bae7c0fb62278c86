//! Looks at sets, when asked.

use super::listing;
use crate::capture::looks::{Lister, Look, LookSource, Looks, Wanted};
use crate::capture::{CaptureError, Raw};
use crate::decode::ipset::ListedSet;
use crate::model::ids::IpSetName;

/// What one look found.
pub type IpSetLook = Look<IpSetName, ListedSet>;
/// Where looks are ordered.
pub type IpSetLooks = Looks<IpSetName>;
/// Lists the sets that were ordered.
pub type IpSetSource = LookSource<IpSetLister>;

/// Lists sets.
#[derive(Debug)]
pub struct IpSetLister;

impl Lister for IpSetLister {
    type Key = IpSetName;
    type Item = ListedSet;

    fn list(wanted: &Wanted<IpSetName>) -> Result<Vec<ListedSet>, CaptureError> {
        match wanted {
            Wanted::All => Ok(listing::list(None, 0)?.sets),
            Wanted::Named(names) => {
                let mut sets = Vec::new();
                for name in names {
                    sets.extend(listing::list(Some(name), 0)?.sets);
                }
                Ok(sets)
            }
        }
    }

    fn record(look: IpSetLook) -> Raw {
        Raw::IpSets(look)
    }
}
