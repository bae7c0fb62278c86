//! Drift: whether an object still is what the journal recorded.

use crate::model::ids::Handle;
use crate::model::ipset::IpSetSnapshot;
use crate::model::link::LinkSnapshot;
use crate::model::nft::{NftItem, NftSnapshot, NftSubject, RuleSnapshot};
use crate::model::object::{Deed, Object};
use crate::model::owner::Owner;
use crate::model::path::PathSnapshot;
use crate::model::subject::{Snapshot, Subject};
use crate::render;
use crate::rollback::refusal::Reason;
use crate::rollback::selection::Selection;

/// Why the object must not be taken for what the selected owner made; `None` when it may.
///
/// Being rewritten (removed and added again with equal content) is no drift: the creator stays the creator. A path moved
/// by somebody else is: who moves a file away means to keep it.
pub(super) fn drift(object: &Object, live: &Snapshot, selection: &Selection) -> Option<Reason> {
    if !is_same(object, live) {
        let (expected, found) = difference(&object.subject, &object.snapshot, live);
        return Some(Reason::Drifted { expected, found, by: None });
    }
    if let (Snapshot::Path(_), Some(moved)) = (live, &object.rewritten)
        && is_somebody_else(moved, live, selection)
    {
        let by = Some(moved.attribution.owner().clone());
        return Some(Reason::Drifted { expected: "another path".to_owned(), found: "it moved here".to_owned(), by });
    }
    let changed = object.changed.as_ref()?;
    if is_somebody_else(changed, live, selection) {
        let changer = changed.attribution.owner();
        let (expected, found) = match live {
            Snapshot::Sysctl(_) => (format!("a value that only {} set", object.owner()), "it set again"),
            _ => (format!("content by {}", object.owner()), "other content"),
        };
        return Some(Reason::Drifted { expected, found: found.to_owned(), by: Some(changer.clone()) });
    }
    None
}

fn is_same(object: &Object, live: &Snapshot) -> bool {
    match (&object.snapshot, live) {
        // these take the hardware address of a port, at moments the journal may not have seen yet
        (Snapshot::Link(was), Snapshot::Link(is)) if matches!(is.kind.as_deref(), Some("bridge" | "bond" | "team")) => {
            was.name == is.name && was.kind == is.kind
        }
        (was, is) => object.digest == is.digest() && handle(was) == handle(is),
    }
}

/// The kernel's own consequences are nobody's change. A link whose address or name moved for unknown reasons (a bridge
/// takes the address of its ports) still is the link its owner made.
fn is_somebody_else(deed: &Deed, live: &Snapshot, selection: &Selection) -> bool {
    let changer = deed.attribution.owner();
    let is_unknown_on_link = *changer == Owner::unknown() && matches!(live, Snapshot::Link(_));
    !selection.is_about(deed) && *changer != Owner::kernel() && *changer != Owner::netdeed() && !is_unknown_on_link
}

fn handle(snapshot: &Snapshot) -> Option<Handle> {
    match snapshot {
        Snapshot::Nft(nft) => nft.handle(),
        // another seed is another set
        Snapshot::IpSet(IpSetSnapshot::Set(set)) => set.seed.map(|seed| Handle(seed.into())),
        _ => None,
    }
}

/// What differs, in words, as recorded and as found.
fn difference(subject: &Subject, recorded: &Snapshot, live: &Snapshot) -> (String, String) {
    match (recorded, live) {
        (Snapshot::Path(was), Snapshot::Path(is)) => path_difference(was, is),
        (Snapshot::Link(was), Snapshot::Link(is)) => {
            let text = |link: &LinkSnapshot| {
                let mac: Vec<String> = link.mac.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("{} `{}` {}", link.kind.as_deref().unwrap_or("hardware"), link.name, mac.join(":"))
            };
            (text(was), text(is))
        }
        (Snapshot::Nft(NftSnapshot::Rule(was)), Snapshot::Nft(NftSnapshot::Rule(is))) => {
            rule_difference(subject, was, is).unwrap_or_else(|| (of_digest(recorded), of_digest(live)))
        }
        (was, is) => match (handle(was), handle(is)) {
            (Some(was), Some(is)) if was != is => (format!("handle {was}"), format!("handle {is}")),
            _ => (of_digest(was), of_digest(is)),
        },
    }
}

fn of_digest(snapshot: &Snapshot) -> String {
    format!("content {}", snapshot.digest())
}

/// Both rules as text; `None` where that does not tell them apart.
fn rule_difference(subject: &Subject, was: &RuleSnapshot, is: &RuleSnapshot) -> Option<(String, String)> {
    let Subject::Nft(NftSubject { table, item: NftItem::Rule { chain, .. } }) = subject else { return None };
    let [was, is] = [was, is].map(|content| format!("`{}`", render::rule(table, chain, content, &()).text));
    (was != is).then_some((was, is))
}

fn path_difference(was: &PathSnapshot, is: &PathSnapshot) -> (String, String) {
    if was.kind != is.kind || was.inode != is.inode {
        let text = |path: &PathSnapshot| format!("{:?} with inode {}", path.kind, path.inode.ino).to_lowercase();
        return (text(was), text(is));
    }
    if was.size != is.size {
        return (format!("{} bytes", was.size), format!("{} bytes", is.size));
    }
    if was.modified != is.modified {
        let text =
            |path: &PathSnapshot| path.modified.map_or("no time".to_owned(), |time| format!("version of {time}"));
        return (text(was), text(is));
    }
    let text = |path: &PathSnapshot| format!("mode {:04o} of {}:{}", path.mode, path.uid, path.gid);
    (text(was), text(is))
}
