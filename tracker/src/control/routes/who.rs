//! The endpoint that says who made a thing.

use axum::extract::State;

use crate::control::api::{ErrorCode, WhoQuery, WhoView};
use crate::control::failure::Failure;
use crate::control::node::{Node, NodeError};
use crate::control::server::Api;
use crate::model::ids::Handle;
use crate::query::{self, Locator, Reach, RulePlace};

use super::{Answer, Asked, answer, understood};

/// `GET /v1/who`
pub(in crate::control) async fn who(State(api): State<Api>, asked: Asked<WhoQuery>) -> Answer<WhoView> {
    let query = understood(asked)?;
    let locator = query.locator()?;
    let reach = if query.removed { Reach::All } else { Reach::Now };
    api.blocking(move |node| Ok(answer(answer_who(node, locator, reach)?))).await
}

fn answer_who(node: &dyn Node, locator: Locator, reach: Reach) -> Result<WhoView, Failure> {
    let asked = locator.to_string();
    let (locator, position) = placed(node, locator)?;
    let journal = node.journal();
    let objects = query::locate(journal.as_ref(), &locator, reach)?;
    if objects.is_empty() {
        return Err(unrecorded(&asked, position));
    }
    let objects = objects.iter().map(|object| query::object_view(journal.as_ref(), object, position));
    Ok(WhoView { asked, objects: objects.collect::<Result<_, _>>()? })
}

/// A rule by its handle, with its place in the live chain; anything else as it is.
fn placed(node: &dyn Node, locator: Locator) -> Result<(Locator, Option<u64>), Failure> {
    if let Locator::LegacyRule { table, chain, position } = &locator {
        let rules = node.legacy_rules(table, chain)?;
        let rule = usize::try_from(*position).ok().and_then(|place| rules.get(place.checked_sub(1)?).cloned());
        let none = || Failure::new(ErrorCode::NotFound, query::no_such_position(table, chain, rules.len(), *position));
        let item = rule.ok_or_else(none)?;
        return Ok((Locator::LegacyItem { table: table.clone(), item }, Some(*position)));
    }
    let Locator::Rule { table, chain, place } = &locator else { return Ok((locator, None)) };
    match *place {
        RulePlace::Position(position) => {
            let rules = node.chain_rules(table, chain)?;
            let rule = usize::try_from(position).ok().and_then(|place| rules.get(place.checked_sub(1)?).copied());
            let Some(handle) = rule else {
                return Err(Failure::new(
                    ErrorCode::NotFound,
                    query::no_such_position(table, chain, rules.len(), position),
                ));
            };
            Ok((locator.at(handle), Some(position)))
        }
        RulePlace::Handle(handle) => {
            // a removed rule has no place, and its chain may be gone with it
            let rules = match node.chain_rules(table, chain) {
                Ok(rules) => rules,
                Err(NodeError::NoSuchChain { .. }) => Vec::new(),
                Err(error) => return Err(error.into()),
            };
            Ok((locator, place_of(&rules, handle)))
        }
    }
}

fn place_of(rules: &[Handle], handle: Handle) -> Option<u64> {
    rules.iter().position(|rule| *rule == handle).map(|index| index as u64 + 1)
}

fn unrecorded(asked: &str, position: Option<u64>) -> Failure {
    match position {
        Some(_) => Failure::new(ErrorCode::NotFound, format!("{asked} is in the ruleset but not in the journal"))
            .remedy("it may have been added this very moment: ask again, then look at `netdeed status` for losses"),
        None => Failure::new(ErrorCode::NotFound, format!("the journal knows no {asked}"))
            .remedy("`netdeed ls` lists what it knows; directories are watched only where the configuration says so"),
    }
}
