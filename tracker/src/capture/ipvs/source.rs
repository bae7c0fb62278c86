//! Looks at services, when asked.

use super::listing;
use crate::capture::looks::{Lister, Look, LookSource, Looks, Wanted};
use crate::capture::{CaptureError, Raw};
use crate::decode::ipvs::ListedService;
use crate::model::ipvs::IpvsService;

/// What one look found.
pub type IpvsLook = Look<IpvsService, ListedService>;
/// Where looks are ordered.
pub type IpvsLooks = Looks<IpvsService>;
/// Lists the services that were ordered.
pub type IpvsSource = LookSource<IpvsLister>;

/// Lists services.
#[derive(Debug)]
pub struct IpvsLister;

impl Lister for IpvsLister {
    type Key = IpvsService;
    type Item = ListedService;

    fn list(wanted: &Wanted<IpvsService>) -> Result<Vec<ListedService>, CaptureError> {
        match wanted {
            Wanted::All => listing::list(None),
            Wanted::Named(services) => listing::list(Some(services)),
        }
    }

    fn record(look: IpvsLook) -> Raw {
        Raw::Ipvs(look)
    }
}
