//! Listing what hangs below qdiscs: the kernel lists classes by link and filters by the place they hang at.

use std::collections::BTreeSet;

use libc::{RTM_GETTCLASS, RTM_GETTFILTER};
use rtnetlink::proto::ConnectionHandle;

use super::dump::{Listing, list};
use crate::capture::CaptureError;
use crate::decode::rtnl::traffic::TrafficHeader;
use crate::decode::rtnl::wire::Wire;
use crate::model::ids::Ifindex;
use crate::model::subject::{Snapshot, Subject};
use crate::model::traffic::{FILTERS_IN, FILTERS_OUT, major};

/// Adds the classes and filters of the qdiscs in `found`.
pub(super) async fn list_below(
    handle: &ConnectionHandle<Wire>,
    found: &mut Vec<(Subject, Snapshot)>,
) -> Result<(), CaptureError> {
    let mut places: BTreeSet<(Ifindex, u32)> = found.iter().flat_map(places_of_qdisc).collect();
    let links: BTreeSet<Ifindex> =
        places.iter().filter(|(_, place)| !matches!(*place, FILTERS_IN | FILTERS_OUT)).map(|(link, _)| *link).collect();
    for link in links {
        let classes = list(handle, Listing::Traffic, request(RTM_GETTCLASS, link, 0)).await?;
        places.extend(classes.iter().filter_map(|(subject, _)| match subject {
            Subject::TrafficClass(class) => Some((class.ifindex, class.handle)),
            _ => None,
        }));
        found.extend(classes);
    }
    for (link, place) in places {
        let filters = list(handle, Listing::Traffic, request(RTM_GETTFILTER, link, place)).await?;
        // the kernel lists the filters of the root where there is no such place
        found.extend(
            filters
                .into_iter()
                .filter(|(subject, _)| matches!(subject, Subject::Filter(filter) if filter.parent == place)),
        );
    }
    Ok(())
}

/// Where filters can hang on a qdisc itself.
fn places_of_qdisc((subject, snapshot): &(Subject, Snapshot)) -> Vec<(Ifindex, u32)> {
    let (Subject::Qdisc(qdisc), Snapshot::Traffic(content)) = (subject, snapshot) else { return Vec::new() };
    match content.kind.as_str() {
        "clsact" => vec![(qdisc.ifindex, FILTERS_IN), (qdisc.ifindex, FILTERS_OUT)],
        "ingress" => vec![(qdisc.ifindex, FILTERS_IN)],
        _ => vec![(qdisc.ifindex, major(qdisc.handle))],
    }
}

fn request(kind: u16, link: Ifindex, parent: u32) -> Wire {
    Wire { kind, body: TrafficHeader { ifindex: link.0, handle: 0, parent, info: 0 }.emit() }
}
