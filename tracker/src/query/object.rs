//! Objects as documents.

use crate::control::api::{ChangeView, DeedView, ObjectView, UserView};
use crate::journal::{JournalError, Read};
use crate::model::change::RecordedChange;
use crate::model::ids::ObjectId;
use crate::model::object::{Deed, Object};

use super::actor::{Actors, actor_view};
use super::content::{content_text, content_view};
use super::texts::Texts;
use super::users::Users;

/// How many changes of an object's history a document shows: the first, and the last ones.
pub const HISTORY_SHOWN: usize = 10;

/// How many of the rules that use a set a document shows.
pub const USERS_SHOWN: usize = 50;

/// One object by its number; `None` when the journal holds no such object.
///
/// # Errors
/// [`JournalError`] when the journal cannot be read.
pub fn object_by_id(journal: &dyn Read, id: ObjectId) -> Result<Option<ObjectView>, JournalError> {
    journal.object(id)?.map(|object| object_view(journal, &object, None)).transpose()
}

/// One object with its deeds, actors and the ends of its history. `position` is a rule's live place in its chain.
///
/// # Errors
/// [`JournalError`] when the journal cannot be read.
pub fn object_view(journal: &dyn Read, object: &Object, position: Option<u64>) -> Result<ObjectView, JournalError> {
    let Object { id, scope, subject, snapshot, digest: _, created, changed, rewritten, removed } = object;
    let deed = |deed: &Option<Deed>| deed.as_ref().map(|deed| deed_view(journal, deed)).transpose();
    let changes = journal.history(*id)?;
    let texts = Texts::new(journal);
    let users = Users::new(journal).of(object)?;
    Ok(ObjectView {
        id: *id,
        class: object.class(),
        name: object.describe(),
        owner: object.owner().clone(),
        certainty: object.certainty(),
        live: object.is_live(),
        boot: scope.boot.to_string(),
        netns: scope.netns,
        position,
        text: content_text(&texts, subject, snapshot, created.generation),
        content: content_view(&texts, subject, snapshot, created.generation),
        created: deed_view(journal, created)?,
        changed: deed(changed)?,
        rewritten: deed(rewritten)?,
        removed: deed(removed)?,
        history: history(journal, &changes)?,
        history_total: changes.len() as u64,
        users_total: users.len() as u64,
        users: users.iter().take(USERS_SHOWN).map(|user| user_view(&texts, user)).collect(),
    })
}

fn user_view(texts: &Texts<'_>, user: &Object) -> UserView {
    UserView {
        id: user.id,
        name: user.describe(),
        owner: user.owner().clone(),
        certainty: user.certainty(),
        text: content_text(texts, &user.subject, &user.snapshot, user.created.generation),
    }
}

fn deed_view(journal: &dyn Read, deed: &Deed) -> Result<DeedView, JournalError> {
    let Deed { time, boot_time: _, generation, attribution, operation } = deed;
    let actor = match attribution.actor() {
        Some(id) => journal.actor(id)?.map(|actor| actor_view(id, &actor)),
        None => None,
    };
    Ok(DeedView {
        time: (*time).into(),
        generation: *generation,
        owner: attribution.owner().clone(),
        certainty: attribution.certainty(),
        evidence: attribution.evidence().iter().map(ToString::to_string).collect(),
        actor,
        operation: *operation,
    })
}

/// The first change and the last ones: a rule that is rewritten every half minute has thousands.
fn history(journal: &dyn Read, changes: &[RecordedChange]) -> Result<Vec<ChangeView>, JournalError> {
    let tail = changes.len().saturating_sub(HISTORY_SHOWN - 1).max(1);
    let shown = changes.iter().take(1).chain(changes.iter().skip(tail));
    let mut actors = Actors::new(journal);
    shown
        .map(|RecordedChange { seq, change }| {
            let attribution = &change.deed.attribution;
            Ok(ChangeView {
                seq: *seq,
                change: change.kind,
                time: change.deed.time.into(),
                generation: change.deed.generation,
                owner: attribution.owner().clone(),
                certainty: attribution.certainty(),
                actor: actors.brief(attribution.actor())?,
            })
        })
        .collect()
}
