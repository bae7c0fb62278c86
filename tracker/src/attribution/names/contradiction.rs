//! Contradictions: things whose name is the sign of another owner than the one who was seen making them.
//!
//! An administrator who restores a dump makes `KUBE-SERVICES` and is not its owner; a boot service that loads saved rules
//! is not either. Who was seen stays the recorded owner, the object is marked as disputed, and no rollback takes it.

use super::{Sign, chain_row, first, fits, links, set_row};
use crate::model::nft::{NftItem, NftSnapshot, NftSubject};
use crate::model::owner::{Evidence, Owner};
use crate::model::subject::{Snapshot, Subject};

/// Owners that run the reference CNI plugins, whose names they have then.
const PLUGIN_RUNNERS: [&str; 4] = ["podman", "nerdctl", "buildkit", "nomad"];

/// The sign that contradicts `owner`; `None` when the thing has no sign of its own, or one that agrees.
///
/// Only what a thing itself is called counts: its name, its comment, the name of its table. Where a rule stands and what
/// it jumps to says nothing about who wrote it, and neither do paths, routes and addresses, which many share.
pub fn contradiction(subject: &Subject, snapshot: &Snapshot, owner: &Owner) -> Option<Evidence> {
    if may_run_anything(owner) {
        return None;
    }
    let row = match (subject, snapshot) {
        (Subject::Nft(nft), Snapshot::Nft(content)) => of_nft(nft, content),
        (Subject::Link(_), Snapshot::Link(link)) => links::of_link(link.name.as_str(), Some(link.kind.as_deref())),
        _ => None,
    }?;
    let named = Owner::new(row.owner).ok()?;
    (!agree(owner, &named))
        .then(|| Evidence::Contradicted { pattern: row.sign.to_string(), owner: row.owner.to_owned() })
}

/// Whose programs are whatever somebody put into a container: a name there is nobody else's.
fn may_run_anything(owner: &Owner) -> bool {
    matches!(owner.class(), "kernel" | "unknown" | "netdeed")
        || owner.as_str().ends_with("/container")
        || owner.as_str().starts_with("kubernetes/pod")
}

fn agree(seen: &Owner, named: &Owner) -> bool {
    let is_kubernetes = |owner: &Owner| matches!(owner.class(), "kubernetes" | "cni");
    seen.is_within(named)
        || named.is_within(seen)
        || seen.class() == named.class()
        || (is_kubernetes(seen) && is_kubernetes(named))
        || (named.class() == "cni" && PLUGIN_RUNNERS.contains(&seen.class()))
}

fn of_nft(subject: &NftSubject, content: &NftSnapshot) -> Option<&'static super::NameRow> {
    let table = &subject.table;
    let of_table = first(|sign| match sign {
        Sign::Table(families, pattern) => families.contains(&table.family) && fits(pattern, table.name.as_str()),
        _ => false,
    });
    of_table.or_else(|| match (&subject.item, content) {
        // a chain made for others may be made by others
        (NftItem::Chain(chain), _) => chain_row(chain.as_str(), false),
        (NftItem::Rule { .. }, NftSnapshot::Rule(rule)) => {
            let comment = rule.comment.as_deref()?;
            first(|sign| matches!(sign, Sign::Comment(pattern) if fits(pattern, comment)))
        }
        (NftItem::Set(set), _) => set_row(set.as_str()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::Handle;
    use crate::model::nft::{ChainSnapshot, Family, TableRef};

    fn of_chain(name: &str, owner: &str) -> Option<Evidence> {
        let table = TableRef { family: Family::Ip, name: "filter".into() };
        let subject = Subject::Nft(NftSubject { table, item: NftItem::Chain(name.into()) });
        let chain = ChainSnapshot { handle: Handle(1), base: None, flags: 0, userdata: Vec::new() };
        let owner = Owner::new(owner).expect("valid");
        contradiction(&subject, &Snapshot::Nft(NftSnapshot::Chain(chain)), &owner)
    }

    #[test]
    fn a_restored_name_contradicts_who_restored_it() {
        for owner in ["admin/root", "unit/netfilter-persistent.service", "docker", "firewalld"] {
            assert!(of_chain("KUBE-SERVICES", owner).is_some(), "{owner}");
        }
        assert!(of_chain("DOCKER", "admin/root").is_some());
    }

    #[test]
    fn programs_of_one_family_and_containers_contradict_nothing() {
        for (chain, owner) in [
            ("KUBE-SERVICES", "kubernetes/kube-proxy"),
            ("KUBE-SERVICES", "kubernetes/k3s"),
            ("KUBE-SERVICES", "cni/cilium"),
            ("CNI-FORWARD", "podman"),
            ("DOCKER", "kubernetes/pod/ci/dind"),
            ("KUBE-SERVICES", "docker/container"),
            ("DOCKER-USER", "admin/root"),
            ("mine", "admin/root"),
            ("KUBE-SERVICES", "netdeed"),
        ] {
            assert_eq!(of_chain(chain, owner), None, "{chain} {owner}");
        }
    }
}
