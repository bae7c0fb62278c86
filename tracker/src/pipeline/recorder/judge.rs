//! Verdicts on deeds: whose they are, by who did them or may have.

use std::sync::Arc;

use crate::attribution::requests::Match;
use crate::attribution::wrappers::only_executes;
use crate::model::owner::{Attribution, Certainty, Evidence};
use crate::model::process::Actor;

use super::Recorder;

impl Recorder {
    /// The verdict on a request's task, or on why none is known.
    pub(super) fn judge_match(&mut self, found: Match, none: impl FnOnce() -> Attribution) -> Attribution {
        match found {
            Match::One { actor, evidence, is_exact } => self.judge_actor(&actor, is_exact, evidence),
            Match::Several { actors, evidence } => {
                self.judge_one_of(&actors.iter().map(Arc::as_ref).collect::<Vec<_>>(), evidence)
            }
            Match::Ambiguous(candidates) => Attribution::unknown(Evidence::Ambiguous { candidates }),
            Match::Lost => Attribution::unknown(Evidence::RequestLost),
            Match::None => none(),
        }
    }

    pub(super) fn judge_actor(&mut self, actor: &Actor, is_exact: bool, evidence: Evidence) -> Attribution {
        match self.journal.intern(actor) {
            Ok(id) => self.judge.seen(id, actor, is_exact, evidence),
            Err(error) => {
                self.journal_failed("record an actor", &error);
                Attribution::unknown(evidence)
            }
        }
    }

    /// The verdict on one process that executed several programs meanwhile, the last one last: whose it is when all of
    /// them are the same owner's. What only executes another program does nothing else.
    pub(super) fn judge_images(&mut self, actors: &[Actor], is_exact: bool, evidence: Evidence) -> Attribution {
        let Some((last, earlier)) = actors.split_last() else { return Attribution::unknown(evidence) };
        let acting = earlier.iter().filter(|actor| !only_executes(&actor.image));
        let earlier: Vec<Attribution> =
            acting.map(|actor| self.judge_actor(actor, is_exact, evidence.clone())).collect();
        let last = self.judge_actor(last, is_exact, evidence.clone());
        if earlier.iter().all(|verdict| verdict.owner() == last.owner()) {
            return last;
        }
        let candidates = u32::try_from(earlier.len()).unwrap_or(u32::MAX).saturating_add(1);
        Attribution::unknown(Evidence::Ambiguous { candidates }).with(evidence)
    }

    /// The verdict on a deed that one of several processes did. Who did it does not matter where all of them are one
    /// owner's; the actor is then what they all descend from.
    pub(super) fn judge_one_of(&mut self, actors: &[&Actor], evidence: Evidence) -> Attribution {
        let verdicts: Vec<Attribution> =
            actors.iter().map(|actor| self.judge_actor(actor, false, evidence.clone())).collect();
        let names = |actor: &&Actor| format!("{}[{}]", actor.image.program(), actor.image.id.process.tgid);
        let one_of = Evidence::OneOf { actors: actors.iter().map(names).collect() };
        let is_one = verdicts.iter().all(|its| its.certainty().is_proven() && its.owner() == verdicts[0].owner());
        let Some(first) = verdicts.first().filter(|_| is_one) else {
            let candidates = u32::try_from(actors.len()).unwrap_or(u32::MAX);
            return Attribution::unknown(Evidence::Ambiguous { candidates }).with(one_of);
        };
        let actor = Actor::nearest_common(actors).and_then(|common| self.journal.intern(&common).ok());
        let verdict = Attribution::new(first.owner().clone(), Certainty::Correlated, actor, evidence).with(one_of);
        first.evidence().iter().skip(1).cloned().fold(verdict, Attribution::with)
    }
}
