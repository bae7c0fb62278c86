//! What a rollback is asked to take back.

use std::collections::BTreeSet;

use crate::model::ids::ActorId;
use crate::model::object::{Deed, Object};
use crate::model::owner::{Certainty, Owner};
use crate::model::process::{Actor, Image};
use crate::model::subject::Class;
use crate::model::time::WallTime;

/// Whose things, how surely theirs, of which classes, made by whom and when. Everything set must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The owner and everything below it.
    pub owner: Owner,
    /// Also things whose owner is only inferred. Things of unknown owner are never taken.
    pub include_inferred: bool,
    /// Only these classes; empty means all.
    pub classes: Vec<Class>,
    /// Only deeds of these actors, those that [`ActorFilter`] accepts; `None` means of any.
    pub actors: Option<BTreeSet<ActorId>>,
    /// Only deeds at or after this time.
    pub since: Option<WallTime>,
    /// Only deeds before this time.
    pub until: Option<WallTime>,
}

impl Selection {
    /// Everything proven to be `owner`'s.
    pub fn of(owner: Owner) -> Self {
        Self { owner, include_inferred: false, classes: Vec::new(), actors: None, since: None, until: None }
    }

    /// Whether an object is attributed to the owner, however surely, and made by and when the selection says.
    pub fn names_owner_of(&self, object: &Object) -> bool {
        object.certainty() > Certainty::Unknown && self.is_about(&object.created)
    }

    /// Whether a deed is the selected owner's, by and when the selection says, however surely.
    pub fn is_about(&self, deed: &Deed) -> bool {
        let by = |actors: &BTreeSet<ActorId>| deed.attribution.actor().is_some_and(|actor| actors.contains(&actor));
        deed.attribution.owner().is_within(&self.owner)
            && self.actors.as_ref().is_none_or(by)
            && self.since.is_none_or(|since| deed.time >= since)
            && self.until.is_none_or(|until| deed.time < until)
    }

    /// Whether a certainty is enough to act on.
    pub fn trusts(&self, certainty: Certainty) -> bool {
        certainty.is_proven() || (self.include_inferred && certainty == Certainty::Inferred)
    }

    /// Whether objects of a class are to go.
    pub fn has_class(&self, class: Class) -> bool {
        self.classes.is_empty() || self.classes.contains(&class)
    }

    /// Whether a deed is the selected owner's, surely enough to act on.
    pub fn covers(&self, deed: &Deed) -> bool {
        self.is_about(deed) && self.trusts(deed.attribution.certainty())
    }
}

/// Which actors, by where they ran or what they ran for. An empty list asks for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ActorFilter {
    /// Pods, `namespace/name`: run in one, or a CNI plugin run for one.
    pub pods: Vec<String>,
    /// Beginnings of container ids: run in one, or a CNI plugin run for one.
    pub containers: Vec<String>,
    /// Systemd units, with or without `.service`.
    pub units: Vec<String>,
}

impl ActorFilter {
    /// Whether it accepts everybody.
    pub fn is_empty(&self) -> bool {
        let Self { pods, containers, units } = self;
        pods.is_empty() && containers.is_empty() && units.is_empty()
    }

    /// Whether the lineage fits every list that is not empty.
    pub fn accepts(&self, actor: &Actor) -> bool {
        let Self { pods, containers, units } = self;
        let fits = |wanted: &[String], has: &dyn Fn(&Image, &str) -> bool| {
            wanted.is_empty() || wanted.iter().any(|wanted| actor.lineage().any(|image| has(image, wanted)))
        };
        fits(pods, &in_pod) && fits(containers, &in_container) && fits(units, &in_unit)
    }
}

fn in_pod(image: &Image, wanted: &str) -> bool {
    let called_for = image.cni.as_ref().and_then(|call| call.pod.as_ref());
    image.placement.pod.iter().chain(called_for).any(|pod| pod.to_string() == wanted)
}

fn in_container(image: &Image, wanted: &str) -> bool {
    let called_for = image.cni.as_ref().map(|call| &call.container);
    !wanted.is_empty() && image.placement.container.iter().chain(called_for).any(|id| id.starts_with(wanted))
}

fn in_unit(image: &Image, wanted: &str) -> bool {
    let unit = image.placement.unit.as_deref();
    unit.is_some_and(|unit| unit == wanted || unit.strip_suffix(".service") == Some(wanted))
}
