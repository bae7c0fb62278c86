//! The plan in forms that other programs carry out, for people who want to apply it by hand.
//!
//! Done by hand it is not the same act: nothing is archived and so nothing can be undone, and the compare-and-set that
//! makes the kernel refuse a ruleset somebody changed is not there. What takes its place: rules go by handle or by their
//! full text, chains only when they are empty, links and files only when number and inode are those of the plan.
//!
//! A step that a form has no words for is in [`Export::left_out`] with the reason; none is dropped silently.

mod elements;
mod iptables;
mod json;
mod legacy;
mod net;
mod script;
mod traffic;

use std::collections::BTreeMap;

use super::live::LiveState;
use super::plan::Plan;
use super::step::Step;
use crate::model::ids::Ifindex;
use crate::model::ipset::IpSetSnapshot;
use crate::model::subject::{Snapshot, Subject};
use crate::render::Surroundings;

/// A form to write a plan in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// libnftables JSON for `nft -j -f`: the nf_tables steps, in one transaction.
    Nftables,
    /// A shell script of `iptables-restore`, `nft`, `ip`, `ipset`, `ipvsadm` and file commands: all steps.
    IptablesRestore,
}

/// A plan in another form.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "steps that are left out must be shown"]
pub struct Export {
    /// The whole file.
    pub text: String,
    /// Steps it does not do.
    pub left_out: Vec<LeftOut>,
}

/// A step that a form has no words for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The step, for people.
    pub what: String,
    /// Why.
    pub reason: &'static str,
}

impl LeftOut {
    fn new(step: &Step, reason: &'static str) -> Self {
        Self { what: format!("{} {}", step.action(), step.describe()), reason }
    }
}

/// Writes a plan in another form. `live` is what the plan was made of: names of links and the elements beside those that
/// go are read from it.
pub fn export(plan: &Plan, live: &LiveState, format: Format) -> Export {
    match format {
        Format::Nftables => json::export(plan, live),
        Format::IptablesRestore => script::export(plan, live),
    }
}

/// What rules and routes refer to by number.
#[derive(Debug, Default)]
struct Names {
    links: BTreeMap<Ifindex, String>,
    ip_sets: BTreeMap<u16, String>,
}

impl Names {
    fn of(live: &LiveState) -> Self {
        let mut names = Self::default();
        for (subject, content) in &live.rt {
            if let (Subject::Link(ifindex), Snapshot::Link(link)) = (subject, content) {
                names.links.insert(*ifindex, link.name.to_string());
            }
        }
        for (subject, content) in &live.ip_sets {
            if let (Subject::IpSet(subject), Snapshot::IpSet(IpSetSnapshot::Set(set))) = (subject, content) {
                names.ip_sets.extend(set.index.map(|index| (index, subject.set.to_string())));
            }
        }
        names
    }
}

impl Surroundings for Names {
    fn link(&self, ifindex: u32) -> Option<String> {
        self.links.get(&Ifindex(ifindex)).cloned()
    }

    fn ip_set(&self, index: u16) -> Option<String> {
        self.ip_sets.get(&index).cloned()
    }
}
