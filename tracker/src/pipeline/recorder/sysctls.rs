//! Sysctls: what they were at the start, and who set one to something else.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::attribution::verdict::Judge;
use crate::capture::sysctl;
use crate::lineage::Candidates;
use crate::model::ids::{ObjectId, Tgid};
use crate::model::observation::SysctlWrite;
use crate::model::owner::{Attribution, Evidence};
use crate::model::subject::{Snapshot, Subject};
use crate::model::sysctl::{SysctlName, SysctlSnapshot};
use crate::model::time::BootTime;

use super::super::effects::{self, Effect};
use super::Recorder;

/// How often values are compared although no write was seen: one through another procfs is not.
const COMPARE_EVERY: Duration = Duration::from_secs(60);

/// Values as they were before anybody was seen setting them.
#[derive(Debug)]
pub(super) struct Originals {
    values: BTreeMap<SysctlName, Option<String>>,
    /// Patterns of further sysctls whose values are read at the start.
    more: Vec<String>,
    compared: Instant,
}

impl Originals {
    pub(super) fn new(more: Vec<String>) -> Self {
        Self { values: BTreeMap::new(), more, compared: Instant::now() }
    }

    /// What the journal knows of one that is set.
    pub(super) fn know(&mut self, subject: &Subject, snapshot: &Snapshot) {
        if let (Subject::Sysctl(name), Snapshot::Sysctl(set)) = (subject, snapshot) {
            self.values.insert(name.clone(), set.before.clone());
        }
    }
}

impl Recorder {
    /// Records a write.
    pub(super) fn sysctl(&mut self, write: &SysctlWrite) {
        let SysctlWrite { name, value, writers, after, before } = write;
        let Some(value) = value else { return };
        if let Some(effect) = self.effect_of_value(name, value) {
            let attribution = self.who_set(writers, *after, *before);
            self.apply(effect, &attribution, None);
        } else if let Some(known) = self.world.get(&Subject::Sysctl(name.clone())) {
            let id = known.id;
            let attribution = self.who_set(writers, *after, *before);
            self.set_again(id, name, &attribution);
        }
    }

    /// Records that somebody else wants the value that it has: it is not the first one's alone any more.
    fn set_again(&mut self, id: ObjectId, name: &SysctlName, attribution: &Attribution) {
        let waiting = self.changes.iter().rev().find(|change| change.object == id);
        let last = waiting.map(|change| change.deed.attribution.owner().clone()).or_else(|| {
            let object = self.journal.object(id).ok()??;
            Some(object.changed.unwrap_or(object.created).attribution.owner().clone())
        });
        if last.as_ref() == Some(attribution.owner()) {
            return;
        }
        if let Some(content) = self.content(id) {
            self.apply(Effect::changed(id, Subject::Sysctl(name.clone()), content), attribution, None);
        }
    }

    fn effect_of_value(&mut self, name: &SysctlName, value: &str) -> Option<Effect> {
        let subject = Subject::Sysctl(name.clone());
        let is_set = self.world.get(&subject).is_some();
        let original = self.originals.values.get(name).cloned().flatten();
        if original.as_deref() == Some(value) {
            return effects::of_one(&self.world, subject, None);
        }
        if !is_set && original.is_none() {
            self.originals.values.insert(name.clone(), None);
        }
        let snapshot = SysctlSnapshot { value: value.to_owned(), before: original };
        effects::of_one(&self.world, subject, Some(Snapshot::Sysctl(snapshot)))
    }

    /// A link's settings go with it, whoever removed it.
    pub(super) fn forget_sysctls_of(&mut self, ifname: &str, attribution: &Attribution) {
        let is_its = |name: &SysctlName| name.link() == Some(ifname);
        self.originals.values.retain(|name, _| !is_its(name));
        for subject in self.world.subjects(|subject| matches!(subject, Subject::Sysctl(name) if is_its(name))) {
            if let Some(effect) = effects::of_one(&self.world, subject, None) {
                self.apply(effect, attribution, None);
            }
        }
    }

    /// Compares values from time to time.
    pub(super) fn compare_sysctls_again(&mut self) {
        if self.originals.compared.elapsed() >= COMPARE_EVERY {
            self.compare_sysctls(&Evidence::NoRequest);
        }
    }

    /// Compares values with what is known: who set what differs is not known.
    pub(super) fn compare_sysctls(&mut self, evidence: &Evidence) {
        self.originals.compared = Instant::now();
        let mut now = sysctl::watched(&self.originals.more);
        for subject in self.world.subjects(|subject| matches!(subject, Subject::Sysctl(_))) {
            let Subject::Sysctl(name) = &subject else { continue };
            match now.remove(name).or_else(|| sysctl::read(name)) {
                Some(value) => drop(now.insert(name.clone(), value)),
                None => {
                    self.originals.values.remove(name);
                    if let Some(effect) = effects::of_one(&self.world, subject, None) {
                        self.apply(effect, &Judge::kernel_made("what it was a setting of is gone"), None);
                    }
                }
            }
        }
        for (name, value) in now {
            let subject = Subject::Sysctl(name.clone());
            if self.world.get(&subject).is_none() && !matches!(self.originals.values.get(&name), Some(Some(_))) {
                // seen for the first time, or its first value was not read in time
                self.originals.values.insert(name, Some(value));
            } else if let Some(effect) = self.effect_of_value(&name, &value) {
                self.apply(effect, &Attribution::unknown(evidence.clone()), None);
            }
        }
    }

    /// The verdict on several writers any of whom may have set the value: whose it is when all are one owner's.
    fn who_set(&mut self, writers: &[Option<Tgid>], after: BootTime, before: BootTime) -> Attribution {
        let count = u32::try_from(writers.len()).unwrap_or(u32::MAX);
        let mut verdict: Option<Attribution> = None;
        for writer in writers {
            let one = match writer {
                None => Attribution::unknown(Evidence::NoRequest),
                Some(tgid) => self.who_was(*tgid, after, before),
            };
            match &verdict {
                Some(other) if other.owner() != one.owner() => {
                    return Attribution::unknown(Evidence::Ambiguous { candidates: count });
                }
                _ => verdict = Some(one),
            }
        }
        verdict.unwrap_or_else(|| Attribution::unknown(Evidence::NoRequest))
    }

    /// Who the process of a fanotify event was.
    pub(super) fn who_was(&mut self, tgid: Tgid, after: BootTime, before: BootTime) -> Attribution {
        let evidence = Evidence::Fanotify { tgid: tgid.0 };
        match self.lineage.process_at(tgid, after, before) {
            Candidates::One(actor) => self.judge_actor(&actor, true, evidence),
            Candidates::Images(actors) => self.judge_images(&actors, true, evidence),
            Candidates::Many(actors) => self.judge_one_of(&actors.iter().collect::<Vec<_>>(), evidence),
            Candidates::None => Attribution::unknown(evidence),
        }
    }
}
