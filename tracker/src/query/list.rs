//! Lists of objects and of owners.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::control::api::{ObjectList, ObjectRow, OwnerSummary, RuleCounts};
use crate::journal::{JournalError, ObjectFilter, Read};
use crate::model::legacy::{LegacyItem, LegacySubject};
use crate::model::nft::{NftItem, NftSubject};
use crate::model::object::Object;
use crate::model::owner::Owner;
use crate::model::subject::Subject;

use super::actor::Actors;
use super::content::content_text;
use super::users::Users;

/// Objects that pass `filter`, at most `limit` of them, and how many pass in all. A filter without a scope means the
/// scope the tracker last started in: kernel objects of an earlier boot are not there any more.
///
/// # Errors
/// [`JournalError`] when the journal cannot be read.
pub fn list(journal: &dyn Read, filter: &ObjectFilter, limit: Option<u64>) -> Result<ObjectList, JournalError> {
    let filter = scoped(journal, filter)?;
    let mut actors = Actors::new(journal);
    let mut users = Users::new(journal);
    let mut answer = ObjectList { objects: Vec::new(), total: 0 };
    let mut failure = None;
    journal.visit(&filter, &mut |object| {
        answer.total += 1;
        if limit.is_some_and(|limit| answer.total > limit) {
            return ControlFlow::Continue(());
        }
        match row(&object, &mut actors, &mut users) {
            Ok(row) => answer.objects.push(row),
            Err(error) => {
                failure = Some(error);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    })?;
    failure.map_or(Ok(answer), Err)
}

/// What each owner has of the objects that pass `filter`.
///
/// # Errors
/// [`JournalError`] when the journal cannot be read.
pub fn owners(journal: &dyn Read, filter: &ObjectFilter) -> Result<Vec<OwnerSummary>, JournalError> {
    Ok(summary(journal, filter)?.0)
}

/// What each owner has, and how many rules each backend has.
pub(super) fn summary(
    journal: &dyn Read,
    filter: &ObjectFilter,
) -> Result<(Vec<OwnerSummary>, RuleCounts), JournalError> {
    let mut rules = RuleCounts::default();
    let mut summaries: BTreeMap<Owner, OwnerSummary> = BTreeMap::new();
    journal.visit(&scoped(journal, filter)?, &mut |object| {
        let owner = object.owner();
        let summary = match summaries.get_mut(owner) {
            Some(summary) => summary,
            None => summaries.entry(owner.clone()).or_insert_with(|| OwnerSummary {
                owner: owner.clone(),
                total: 0,
                classes: BTreeMap::new(),
                certainties: BTreeMap::new(),
            }),
        };
        summary.total += 1;
        match &object.subject {
            Subject::Nft(NftSubject { item: NftItem::Rule { .. }, .. }) => rules.nft += 1,
            Subject::Legacy(LegacySubject { item: LegacyItem::Rule { .. }, .. }) => rules.legacy += 1,
            _ => {}
        }
        *summary.classes.entry(object.class()).or_default() += 1;
        *summary.certainties.entry(object.certainty()).or_default() += 1;
        ControlFlow::Continue(())
    })?;
    Ok((summaries.into_values().collect(), rules))
}

fn scoped(journal: &dyn Read, filter: &ObjectFilter) -> Result<ObjectFilter, JournalError> {
    let scope = match filter.scope {
        Some(scope) => Some(scope),
        None => journal.scope()?,
    };
    Ok(ObjectFilter { scope, ..filter.clone() })
}

fn row(object: &Object, actors: &mut Actors<'_>, users: &mut Users<'_>) -> Result<ObjectRow, JournalError> {
    let mut text = content_text(&actors.texts, &object.subject, &object.snapshot, object.created.generation);
    if let Some(used) = users.text(object)? {
        text = if text.is_empty() { used } else { format!("{text}, {used}") };
    }
    Ok(ObjectRow {
        id: object.id,
        class: object.class(),
        name: object.describe(),
        owner: object.owner().clone(),
        certainty: object.certainty(),
        live: object.is_live(),
        created: object.created.time.into(),
        changed: object.changed.as_ref().map(|deed| deed.time.into()),
        rewritten: object.rewritten.as_ref().map(|deed| deed.time.into()),
        removed: object.removed.as_ref().map(|deed| deed.time.into()),
        actor: actors.brief(object.created.attribution.actor())?,
        text,
    })
}
