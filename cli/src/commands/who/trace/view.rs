//! A traced packet as a document.

use netdeed_tracker::control::api::{Document, ObjectView, TimeView};
use netdeed_tracker::model::ids::ObjectId;
use netdeed_tracker::model::owner::{Certainty, Owner};
use serde::{Deserialize, Serialize};

use crate::error::CliError;
use crate::output::format_ago;

use super::parse::{Hit, What};
use super::resolve::{Found, Resolver};

/// Rules shown before and after the one that decided.
const AROUND: usize = 2;

/// One packet with everything it met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TraceView {
    /// The trace's number of it, or what the kernel's log tells it by.
    pub(crate) packet: String,
    /// What it is, as the tool wrote it.
    pub(crate) text: String,
    /// What it met, in order.
    pub(crate) steps: Vec<Step>,
    /// What became of it and who is behind that, as far as the trace goes.
    pub(crate) outcome: Option<String>,
    /// The rules around the one that decided, with their owners.
    pub(crate) around: Vec<Around>,
}

/// Something of the ruleset that a packet met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) family: String,
    pub(crate) table: String,
    pub(crate) chain: String,
    /// `rule`, `policy` or `return`.
    pub(crate) kind: String,
    /// In nft's words.
    pub(crate) verdict: Option<String>,
    /// Place in the chain, counted from 1.
    pub(crate) position: Option<u64>,
    pub(crate) object: Option<ObjectId>,
    pub(crate) text: Option<String>,
    pub(crate) owner: Option<Owner>,
    pub(crate) certainty: Option<Certainty>,
    pub(crate) created: Option<TimeView>,
    /// The program that made it.
    pub(crate) actor: Option<String>,
    /// What is to be known of this answer.
    pub(crate) note: Option<String>,
}

/// A rule near the one that decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Around {
    pub(crate) position: u64,
    pub(crate) object: Option<ObjectId>,
    /// Owner and certainty.
    pub(crate) owner: String,
    pub(crate) text: String,
    /// Whether it is the one that decided.
    pub(crate) decided: bool,
}

impl Document for TraceView {
    const KIND: &'static str = "trace";
}

/// Asks who is behind everything that a packet met.
pub(super) async fn view(
    resolver: &mut Resolver,
    packet: String,
    text: String,
    hits: &[Hit],
) -> Result<TraceView, CliError> {
    let (mut steps, mut last) = (Vec::new(), None);
    for hit in hits {
        let found = resolver.find(hit).await?;
        steps.push(step(hit, &found));
        if hit.what != What::Return {
            last = Some((hit, found));
        }
    }
    let (mut outcome, mut around) = (None, Vec::new());
    if let (Some((hit, found)), Some(step)) = (last, steps.iter().rfind(|step| step.kind != "return")) {
        outcome = sentence(hit, step, &found);
        if let (Some(object), Some(_)) = (&found.object, &outcome) {
            around = neighbours(resolver, hit, object).await?;
        }
    }
    Ok(TraceView { packet, text, steps, outcome, around })
}

fn step(hit: &Hit, found: &Found) -> Step {
    let object = found.object.as_ref();
    let deed = object.map(|object| of_interest(hit, object));
    let given = match &hit.what {
        What::Text(text) => Some(text.clone()),
        _ => None,
    };
    let kind = match hit.what {
        What::Policy => "policy",
        What::Return => "return",
        What::Position(_) | What::Handle(_) | What::Text(_) => "rule",
    };
    let gone = object.filter(|object| !object.live).map(|_| "it is gone now".to_owned());
    Step {
        family: hit.family.to_string(),
        table: hit.table.clone(),
        chain: hit.chain.clone(),
        kind: kind.to_owned(),
        verdict: hit.verdict.clone(),
        position: object.and_then(|object| object.position),
        object: object.map(|object| object.id),
        text: object.map(|object| object.text.clone()).or(given),
        owner: deed.map(|deed| deed.owner.clone()),
        certainty: deed.map(|deed| deed.certainty),
        created: deed.map(|deed| deed.time),
        actor: deed.and_then(|deed| deed.actor.as_ref()).map(|actor| actor.image.program.clone()),
        note: found.note.clone().or(gone),
    }
}

/// Who made a rule; of a policy, who set it last.
fn of_interest<'a>(hit: &Hit, object: &'a ObjectView) -> &'a netdeed_tracker::control::api::DeedView {
    match (&hit.what, &object.changed) {
        (What::Policy, Some(changed)) => changed,
        _ => &object.created,
    }
}

/// `dropped by rule 16 of FORWARD, added by firewalld 3 days ago`; `None` where the packet went on.
fn sentence(hit: &Hit, step: &Step, found: &Found) -> Option<String> {
    let text = step.text.as_deref().unwrap_or_default();
    let what = match (hit.verdict.as_deref(), &hit.what) {
        (Some("drop") | None, What::Position(_) | What::Handle(_) | What::Text(_)) if rejects(text) => "rejected",
        (Some("drop"), _) => "dropped",
        (Some("accept"), _) => "accepted",
        (Some("queue"), _) => "handed to a program",
        (Some("stolen"), _) => "taken",
        (None, What::Policy) => return Some(format!("left to the policy of {}{}", step.chain, by(step, "set"))),
        (None, _) if text.ends_with("-j DROP") => "dropped",
        (None, _) if text.ends_with("-j ACCEPT") => "accepted",
        _ => return None,
    };
    Some(match hit.what {
        What::Policy => format!("{what} by the policy of {}{}", step.chain, by(step, "set")),
        _ => {
            let place = match (step.position, &found.object) {
                (Some(position), _) => format!("rule {position}"),
                (None, Some(object)) => format!("`{}`", object.name),
                (None, None) => "a rule".to_owned(),
            };
            format!("{what} by {place} of {}{}", step.chain, by(step, "added"))
        }
    })
}

fn rejects(text: &str) -> bool {
    text.contains("-j REJECT") || text.split(' ').any(|word| word == "reject")
}

fn by(step: &Step, verb: &str) -> String {
    match (&step.owner, step.created, step.certainty) {
        (Some(owner), Some(time), Some(certainty)) if certainty > Certainty::Unknown => {
            let doubt = if certainty.is_proven() { String::new() } else { format!(" ({certainty})") };
            format!(", {verb} by {owner}{doubt} {}", format_ago(time))
        }
        _ => format!("; who {verb} it is not known"),
    }
}

async fn neighbours(resolver: &mut Resolver, hit: &Hit, decided: &ObjectView) -> Result<Vec<Around>, CliError> {
    let rules = resolver.rules(hit, Resolver::syntax_of(hit, &decided.name)).await?.rules;
    let Some(at) = rules.iter().position(|(line, _)| line.object == Some(decided.id)) else { return Ok(Vec::new()) };
    let from = at.saturating_sub(AROUND);
    let near = rules.iter().enumerate().skip(from).take(at - from + AROUND + 1);
    Ok(near
        .map(|(index, (line, owner))| Around {
            position: index as u64 + 1,
            object: line.object,
            owner: owner.clone(),
            text: line.text.trim_start().to_owned(),
            decided: index == at,
        })
        .collect())
}
