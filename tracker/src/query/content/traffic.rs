//! Traffic control and neighbours as documents.

use crate::control::api::ContentView;
use crate::model::neighbour::{
    Mac, NTF_EXT_LEARNED, NUD_NOARP, NUD_PERMANENT, NeighbourKey, NeighbourSnapshot, NeighbourSubject,
};
use crate::model::subject::Subject;
use crate::model::traffic::{FilterSubject, HandleWord, TrafficSnapshot, protocol_word};

/// A qdisc, class or filter.
pub(super) fn view(subject: &Subject, snapshot: &TrafficSnapshot) -> ContentView {
    let TrafficSnapshot { kind, parent, ifname, name, message: _, content: _ } = snapshot;
    let (kind, ifname, parent) = (kind.clone(), ifname.clone(), HandleWord(*parent).to_string());
    match subject {
        Subject::Qdisc(qdisc) => {
            let handle = HandleWord(qdisc.handle).to_string();
            ContentView::Qdisc { ifindex: qdisc.ifindex, ifname, kind, handle, parent }
        }
        Subject::TrafficClass(class) => {
            let handle = HandleWord(class.handle).to_string();
            ContentView::Tclass { ifindex: class.ifindex, ifname, kind, handle, parent }
        }
        Subject::Filter(FilterSubject { ifindex, parent, chain, priority, protocol, handle }) => ContentView::Filter {
            ifindex: *ifindex,
            ifname,
            kind,
            place: HandleWord(*parent).to_string(),
            chain: *chain,
            pref: *priority,
            protocol: protocol_word(*protocol),
            handle: *handle,
            name: name.clone(),
        },
        _ => ContentView::Unknown,
    }
}

/// A neighbour or forwarding entry.
pub(super) fn neighbour_view(subject: &NeighbourSubject, snapshot: &NeighbourSnapshot) -> ContentView {
    let NeighbourSnapshot { ifname, state, flags, mac, controller: _, message: _ } = snapshot;
    // a bridge calls an entry that it need not learn static
    let noarp = if subject.is_forwarding() { "static" } else { "noarp" };
    let words = [
        (state & NUD_PERMANENT != 0, "permanent"),
        (state & NUD_NOARP != 0, noarp),
        (flags & NTF_EXT_LEARNED != 0, "extern_learn"),
    ];
    let state = words.into_iter().filter(|(is_so, _)| *is_so).map(|(_, word)| word.to_owned()).collect();
    let (ifindex, ifname) = (subject.ifindex, ifname.clone());
    match &subject.key {
        NeighbourKey::Address(address) => ContentView::Neighbour {
            ifindex,
            ifname,
            address: Some(address.to_string()),
            mac: Mac(mac).to_string(),
            vlan: None,
            destination: None,
            table: None,
            state,
        },
        NeighbourKey::Forwarding { mac, vlan, destination, is_self } => ContentView::Neighbour {
            ifindex,
            ifname,
            address: None,
            mac: Mac(mac).to_string(),
            vlan: (*vlan != 0).then_some(*vlan),
            destination: destination.map(|address| address.to_string()),
            table: Some(if *is_self { "self" } else { "master" }.to_owned()),
            state,
        },
    }
}
