//! `netdeed who` without a tracker. What the journal says is then old: a rule may have been replaced by another one
//! since, so an answer about a rule is only given when the rule that is there now has the content that was recorded.

use std::os::unix::fs::MetadataExt;

use netdeed_tracker::capture::CaptureError;
use netdeed_tracker::capture::legacy::rules_of;
use netdeed_tracker::capture::nfnetlink::dump_chain;
use netdeed_tracker::control::api::{ObjectView, WhoView};
use netdeed_tracker::model::ids::{BootId, ChainName, Handle, NetnsId, ObjectId};
use netdeed_tracker::model::legacy::LegacyTable;
use netdeed_tracker::model::nft::{NftItem, NftSubject, TableRef};
use netdeed_tracker::model::object::{Object, Scope};
use netdeed_tracker::model::subject::{Snapshot, Subject};
use netdeed_tracker::query::{self, Locator, Reach, RulePlace};

use crate::error::CliError;
use crate::tracker::Stopped;

/// Answers from the journal and the live ruleset.
pub(crate) fn who(stopped: &Stopped, locator: Locator, reach: Reach) -> Result<WhoView, CliError> {
    let asked = locator.to_string();
    let (locator, rule) = match &locator {
        Locator::Path { .. } => (locator, None),
        Locator::Rule { table, chain, place } => {
            is_here(stopped)?;
            let rule = live_rule(table, chain, *place)?;
            let locator = rule.as_ref().map(|rule| rule.handle).map_or(locator.clone(), |handle| locator.at(handle));
            (locator, rule)
        }
        Locator::LegacyRule { table, chain, position } => {
            is_here(stopped)?;
            return legacy_rule(stopped, &asked, table, chain, *position);
        }
        _ => {
            is_here(stopped)?;
            (locator, None)
        }
    };
    let journal = stopped.journal.as_ref();
    let objects = query::locate(journal, &locator, reach).map_err(stopped.failed())?;
    if objects.is_empty() {
        return Err(unknown(format!("the journal knows no {asked}")));
    }
    if let Some(rule) = &rule {
        let mut claimed = objects.iter().filter(|object| reach == Reach::Now || object.is_live());
        claimed.try_for_each(|object| rule.is(object, &asked))?;
    }
    let position = rule.map(|rule| rule.position);
    let views = objects.iter().map(|object| query::object_view(journal, object, position));
    Ok(WhoView { asked, objects: views.collect::<Result<_, _>>().map_err(stopped.failed())? })
}

/// A rule of a legacy table is named by its content, so what is found is the rule that is there.
fn legacy_rule(
    stopped: &Stopped,
    asked: &str,
    table: &LegacyTable,
    chain: &ChainName,
    position: u64,
) -> Result<WhoView, CliError> {
    let no_chain = || unknown(format!("there is no chain {chain} in legacy table {table}"));
    let rules = rules_of(table, chain).map_err(CliError::Ruleset)?.ok_or_else(no_chain)?;
    let item = usize::try_from(position).ok().and_then(|place| rules.get(place.checked_sub(1)?).cloned());
    let item = item.ok_or_else(|| CliError::NotKnown {
        what: query::no_such_position(table, chain, rules.len(), position),
        hint: None,
    })?;
    let journal = stopped.journal.as_ref();
    let locator = Locator::LegacyItem { table: table.clone(), item };
    let objects = query::locate(journal, &locator, Reach::Now).map_err(stopped.failed())?;
    if !objects.iter().any(Object::is_live) {
        return Err(unknown(format!("the journal knows no {asked}")));
    }
    let views = objects.iter().map(|object| query::object_view(journal, object, Some(position)));
    Ok(WhoView { asked: asked.to_owned(), objects: views.collect::<Result<_, _>>().map_err(stopped.failed())? })
}

/// Answers from the journal alone.
pub(super) fn object(stopped: &Stopped, id: ObjectId) -> Result<ObjectView, CliError> {
    let object = query::object_by_id(stopped.journal.as_ref(), id).map_err(stopped.failed())?;
    object.ok_or_else(|| unknown(format!("the journal holds no object {id}")))
}

fn unknown(what: String) -> CliError {
    CliError::NotKnown { what, hint: Some("it may have been added since the tracker stopped".to_owned()) }
}

/// A rule of the live ruleset.
struct LiveRule {
    handle: Handle,
    position: u64,
    snapshot: Snapshot,
}

impl LiveRule {
    /// That the object is this very rule.
    fn is(&self, object: &Object, asked: &str) -> Result<(), CliError> {
        if object.is_live() && object.digest == self.snapshot.digest() {
            return Ok(());
        }
        Err(CliError::NotKnown {
            what: format!("{asked} is not the rule the journal recorded under its handle, so its owner is unknown"),
            hint: Some("it was added while no tracker was running".to_owned()),
        })
    }
}

/// The rule at a place or with a handle; `None` for a handle that is not there.
fn live_rule(table: &TableRef, chain: &ChainName, place: RulePlace) -> Result<Option<LiveRule>, CliError> {
    let rules = match (dump_chain(table, chain), place) {
        (Ok(rules), _) => rules,
        (Err(CaptureError::Refused { source, .. }), RulePlace::Handle(_))
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            return Ok(None);
        }
        (Err(error), _) => return Err(CliError::Ruleset(error)),
    };
    let count = rules.len();
    let found = rules.into_iter().zip(1..).find_map(|((subject, snapshot), position)| {
        let Subject::Nft(NftSubject { item: NftItem::Rule { handle, .. }, .. }) = subject else { return None };
        let is_it = match place {
            RulePlace::Position(wanted) => wanted == position,
            RulePlace::Handle(wanted) => wanted == handle,
        };
        is_it.then_some(LiveRule { handle, position, snapshot })
    });
    match (found, place) {
        (None, RulePlace::Position(position)) => {
            Err(CliError::NotKnown { what: query::no_such_position(table, chain, count, position), hint: None })
        }
        (found, _) => Ok(found),
    }
}

/// That the journal is of this boot and this network namespace: elsewhere a handle or a name is another thing's.
pub(crate) fn is_here(stopped: &Stopped) -> Result<(), CliError> {
    let Some(Scope { boot, netns }) = stopped.journal.scope().map_err(stopped.failed())? else { return Ok(()) };
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    if BootId::parse(&text) != Some(boot) {
        return Err(CliError::NotKnown {
            what: "the journal is of an earlier boot; what was in the kernel then is gone".to_owned(),
            hint: Some("start the tracker; `netdeed ls` and `netdeed log` show what was recorded".to_owned()),
        });
    }
    let own = std::fs::metadata("/proc/self/ns/net").map_err(|source| CliError::Start { source })?.ino();
    if u32::try_from(own).ok().map(NetnsId) != Some(netns) {
        return Err(CliError::NotKnown {
            what: format!("the journal is of network namespace {netns}, this is {own}"),
            hint: Some("run it in the tracker's network namespace, as `nsenter --net` does".to_owned()),
        });
    }
    Ok(())
}
