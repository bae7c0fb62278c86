//! From what a packet met to who made it.

use std::collections::HashMap;

use netdeed_tracker::control::api::{
    BlameLine, BlameQuery, BlameView, ObjectView, ObjectsQuery, Syntax, TimeView, WhoQuery,
};
use netdeed_tracker::control::client::{Client, ClientError};
use netdeed_tracker::model::ids::{Handle, ObjectId};
use netdeed_tracker::model::nft::TableRef;
use netdeed_tracker::model::subject::Class;
use netdeed_tracker::model::time::{BootTime, WallTime};
use netdeed_tracker::render::is_iptables;

use crate::commands::blame::normal;
use crate::error::CliError;
use crate::output::format_time;

use super::parse::{Hit, LineTime, What};

/// A chain, by family, table and name.
type ChainKey = (String, String, String);

/// Rules of one chain with their owners, as the tracker lists them.
#[derive(Debug, Clone, Default)]
pub(super) struct ChainRules {
    /// In their order, each with the owner and the certainty.
    pub(super) rules: Vec<(BlameLine, String)>,
}

/// What is known of something a packet met.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    pub(super) object: Option<ObjectView>,
    /// What is to be known of the answer.
    pub(super) note: Option<String>,
}

/// Asks the tracker, each question once.
pub(super) struct Resolver {
    client: Client,
    chains: HashMap<(ChainKey, &'static str), ChainRules>,
    /// By whether it is of the legacy backend, too.
    moved: HashMap<(ChainKey, bool), Option<TimeView>>,
}

impl Resolver {
    pub(super) fn new(client: Client) -> Self {
        Self { client, chains: HashMap::new(), moved: HashMap::new() }
    }

    /// Forgets what was asked: the ruleset may have changed since.
    pub(super) fn forget(&mut self) {
        self.chains.clear();
        self.moved.clear();
    }

    /// What a packet met.
    pub(super) async fn find(&mut self, hit: &Hit) -> Result<Found, CliError> {
        if hit.is_logged {
            let found = self.find_in(hit, true).await?;
            if found.object.is_some() {
                return Ok(found);
            }
        }
        self.find_in(hit, false).await
    }

    /// What a packet met in one of the backends.
    async fn find_in(&mut self, hit: &Hit, is_legacy: bool) -> Result<Found, CliError> {
        match &hit.what {
            What::Handle(handle) => self.who(rule(hit, None, Some(*handle))).await,
            What::Position(position) => self.at_position(hit, *position, is_legacy).await,
            What::Text(text) => self.by_text(hit, text).await,
            What::Policy => self.who(WhoQuery { legacy: is_legacy, ..chain(hit) }).await,
            What::Return => Ok(Found::default()),
        }
    }

    async fn who(&mut self, query: WhoQuery) -> Result<Found, CliError> {
        match self.client.who(&query).await {
            Ok(who) => {
                let note = (who.objects.len() > 1).then(|| "several had this name; this is the last".to_owned());
                Ok(Found { object: who.objects.into_iter().next(), note })
            }
            Err(ClientError::Refused(view)) => Ok(Found { object: None, note: Some(view.message) }),
            Err(error) => Err(error.into()),
        }
    }

    /// Positions are those of now. They were the same then if nothing was added to the chain or taken out since.
    async fn at_position(&mut self, hit: &Hit, position: u64, is_legacy: bool) -> Result<Found, CliError> {
        let mut found = self.who(WhoQuery { legacy: is_legacy, ..rule(hit, Some(position), None) }).await?;
        if found.object.is_none() {
            return Ok(found);
        }
        let moved = self.last_move(hit, is_legacy).await?;
        found.note = match (hit.time.map(moment), moved) {
            (Some(then), Some(moved)) if moved > then => {
                Some(format!("the chain was changed at {}, after the packet: position of now", format_time(moved)))
            }
            (Some(_), _) => None,
            (None, _) => Some("position of now: the line does not say when it was written".to_owned()),
        };
        if hit.is_logged && !is_legacy && found.note.is_none() {
            found.note = Some("the kernel logs this of legacy tables; taken for the table of iptables-nft".to_owned());
        }
        Ok(found)
    }

    /// When a rule was last added to a chain, taken out or rewritten, as far as the journal goes back.
    async fn last_move(&mut self, hit: &Hit, is_legacy: bool) -> Result<Option<TimeView>, CliError> {
        let key = (key_of(hit), is_legacy);
        if let Some(known) = self.moved.get(&key) {
            return Ok(*known);
        }
        let query = ObjectsQuery { class: Some("rule".to_owned()), removed: true, ..Default::default() };
        let list = self.client.objects(&query).await?;
        let prefix = match &key {
            ((family, table, chain), true) => format!("rule legacy {family} {table} {chain} "),
            ((family, table, chain), false) => format!("rule {family} {table} {chain} handle "),
        };
        let rows = list.objects.into_iter().filter(|row| row.name.starts_with(&prefix));
        let moved = rows.flat_map(|row| [Some(row.created), row.rewritten, row.removed]).flatten().max();
        self.moved.insert(key, moved);
        Ok(moved)
    }

    /// The rule of the chain with this text in nft's words.
    async fn by_text(&mut self, hit: &Hit, text: &str) -> Result<Found, CliError> {
        let text = normal(text);
        let rules = self.rules(hit, Syntax::Nft).await?;
        let fitting: Vec<ObjectId> = rules
            .rules
            .iter()
            .filter(|(line, _)| normal(&line.text) == text)
            .filter_map(|(line, _)| line.object)
            .collect();
        let note = match fitting[..] {
            [] => "no rule of the chain has this text now; `nft -a monitor trace` tells handles".to_owned(),
            [id] => return Ok(Found { object: Some(self.client.object(id).await?), note: None }),
            _ => format!("{} rules of the chain have this text; `nft -a monitor trace` tells handles", fitting.len()),
        };
        Ok(Found { object: None, note: Some(note) })
    }

    /// The rules of the chain that a packet was in.
    pub(super) async fn rules(&mut self, hit: &Hit, syntax: Syntax) -> Result<ChainRules, CliError> {
        let word = match syntax {
            Syntax::Iptables => "iptables",
            Syntax::Nft => "nft",
            Syntax::Legacy => "legacy",
            Syntax::IptablesNft => "iptables-nft",
        };
        let key = (key_of(hit), word);
        if let Some(known) = self.chains.get(&key) {
            return Ok(known.clone());
        }
        let query = BlameQuery {
            syntax: Some(syntax),
            family: Some(hit.family),
            table: Some(hit.table.clone()),
            chain: Some(hit.chain.clone()),
            owner: None,
        };
        let mut parts = self.client.blame(&query).await?;
        let mut rules = ChainRules::default();
        let mut owners: Vec<String> = Vec::new();
        while let Some(BlameView { lines, deeds, .. }) = parts.next().await? {
            let is_rule =
                |line: &BlameLine| line.class == Some(Class::Rule) && line.legacy == (syntax == Syntax::Legacy);
            owners.extend(deeds.iter().map(|deed| format!("{} {}", deed.owner, deed.certainty)));
            for line in lines.into_iter().filter(|line| is_rule(line)) {
                let owner = line.deed.and_then(|deed| owners.get(usize::try_from(deed).ok()?)).cloned();
                rules.rules.push((line, owner.unwrap_or_else(|| "not recorded".to_owned())));
            }
        }
        self.chains.insert(key, rules.clone());
        Ok(rules)
    }

    /// The words that the chain's table is listed in; `name` is that of a thing in it.
    pub(super) fn syntax_of(hit: &Hit, name: &str) -> Syntax {
        if name.split(' ').nth(1) == Some("legacy") {
            return Syntax::Legacy;
        }
        let table = TableRef { family: hit.family, name: hit.table.as_str().into() };
        if is_iptables(&table) { Syntax::Iptables } else { Syntax::Nft }
    }
}

fn key_of(hit: &Hit) -> ChainKey {
    (hit.family.to_string(), hit.table.clone(), hit.chain.clone())
}

fn rule(hit: &Hit, position: Option<u64>, handle: Option<u64>) -> WhoQuery {
    WhoQuery {
        class: Some("rule".to_owned()),
        family: Some(hit.family),
        table: Some(hit.table.clone()),
        chain: Some(hit.chain.clone()),
        position,
        handle: handle.map(Handle),
        ..WhoQuery::default()
    }
}

fn chain(hit: &Hit) -> WhoQuery {
    WhoQuery {
        class: Some("chain".to_owned()),
        family: Some(hit.family),
        table: Some(hit.table.clone()),
        name: Some(hit.chain.clone()),
        ..WhoQuery::default()
    }
}

/// When a line was written. The kernel's clock stops while the machine sleeps, so a time since boot can be too early by
/// as much: then more changes seem to have come after it.
fn moment(time: LineTime) -> TimeView {
    match time {
        LineTime::At(time) => time,
        LineTime::SinceBoot(micros) => {
            let age = BootTime::now().0.saturating_sub(micros.saturating_mul(1_000));
            TimeView(WallTime(WallTime::now().0.saturating_sub(i64::try_from(age).unwrap_or(i64::MAX))))
        }
    }
}
