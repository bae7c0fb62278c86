//! `netdeed log`

use clap::builder::PossibleValuesParser;
use netdeed_tracker::control::api::{FollowQuery, LogQuery, WhoQuery};
use netdeed_tracker::control::client::Client;
use netdeed_tracker::model::ids::Handle;
use netdeed_tracker::model::owner::Owner;
use netdeed_tracker::model::subject::Class;
use netdeed_tracker::model::time::WallTime;
use netdeed_tracker::query::{self, Reach};

use crate::args::{Format, Global};
use crate::error::{CliError, complain};
use crate::output::{Output, write_event, write_log};
use crate::tracker::ask;

use super::since::Since;
use super::who::stopped_who;

/// Entries shown when nothing else is said.
const SHOWN: u64 = 50;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  netdeed log --since 2h --class rule,chain
  netdeed log --object rule filter FORWARD 3
  netdeed log --object chain KUBE-SERVICES
  netdeed log --object link cni0 --since 1d --until 2h
  netdeed log -f --owner docker")]
pub(crate) struct LogArgs {
    /// Go on with entries as they come
    #[arg(short, long, conflicts_with = "until")]
    follow: bool,
    /// Only from this time on: `10m`, `2h`, `3d`, or `2026-05-04T03:02:01Z`
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,
    /// Only up to this time
    #[arg(long, value_name = "TIME")]
    until: Option<Since>,
    /// Only what this owner did, or what was done to its objects
    #[arg(long, value_name = "OWNER")]
    owner: Option<Owner>,
    /// Only changes of objects of these classes
    #[arg(long, value_name = "CLASS", value_delimiter = ',', value_parser = PossibleValuesParser::new(Class::ALL.map(Class::as_str)))]
    class: Vec<String>,
    /// Only changes of one thing, gone or not: its number, its path, or its name as `netdeed who` takes it
    #[arg(long, value_name = "THING", num_args = 1..)]
    object: Vec<String>,
    /// At most this many, the newest [default: 50, without --since and --object]
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<u64>,
}

pub(crate) async fn run(global: &Global, output: &Output, args: LogArgs) -> Result<(), CliError> {
    let LogArgs { follow, since, until, owner, class, object, limit } = args;
    let object = if object.is_empty() { None } else { Some(numbers(global, &object).await?) };
    let now = WallTime::now();
    let is_bounded = since.is_some() || object.is_some();
    let query = LogQuery {
        owner,
        object,
        class: (!class.is_empty()).then(|| class.join(",")),
        since: since.map(|since| since.moment(now)),
        until: until.map(|until| until.moment(now)),
        limit: limit.or_else(|| (!is_bounded).then_some(SHOWN)),
    };
    if follow {
        return follow_log(global, output, &query).await;
    }
    let filter = query.filter()?;
    let log = ask(
        global,
        async |client| client.log(&query).await,
        |stopped| {
            let limit = query.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
            query::log(stopped.journal.as_ref(), &filter, limit).map_err(stopped.failed())
        },
    )
    .await?;
    if output.format == Format::Table && log.events.is_empty() {
        complain("note", "nothing recorded fits");
    }
    output.write(log, write_log)
}

/// The numbers of everything that a thing's words name or named.
async fn numbers(global: &Global, words: &[String]) -> Result<String, CliError> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let [number] = words[..]
        && number.parse::<u64>().is_ok()
    {
        return Ok(number.to_owned());
    }
    let query = WhoQuery { removed: true, ..named(&words)? };
    let locator = query.locator()?;
    let who = ask(global, async |client| client.who(&query).await, |stopped| stopped_who(stopped, locator, Reach::All))
        .await?;
    let numbers: Vec<String> = who.objects.iter().map(|object| object.id.to_string()).collect();
    Ok(numbers.join(","))
}

/// What words name: a path, or a class and what `netdeed who` and `netdeed ls` call a thing of it.
fn named(words: &[&str]) -> Result<WhoQuery, CliError> {
    let class = |class: &str| WhoQuery { class: Some(class.to_owned()), ..WhoQuery::default() };
    let owned = |text: &str| Some(text.to_owned());
    let wrong = || {
        let words = words.join(" ");
        CliError::Usage(format!(
            "expected a thing such as `rule filter FORWARD 3`, `chain KUBE-SERVICES`, `link cni0`, a path or a number but found `{words}`"
        ))
    };
    let (first, rest) = words.split_first().ok_or_else(wrong)?;
    if first.starts_with('/') && rest.is_empty() {
        return Ok(WhoQuery { path: owned(first), ..class("dir") });
    }
    // a family may come first, as in the names that `netdeed ls` shows
    let (family, rest) = match rest {
        [family, rest @ ..] if !rest.is_empty() && family.parse::<netdeed_tracker::model::nft::Family>().is_ok() => {
            (family.parse().ok(), rest)
        }
        rest => (None, rest),
    };
    Ok(match (*first, rest) {
        ("rule", [table, chain, position]) => WhoQuery {
            family,
            table: owned(table),
            chain: owned(chain),
            position: Some(position.parse().map_err(|_| wrong())?),
            ..class("rule")
        },
        ("rule", [table, chain, "handle", handle]) => WhoQuery {
            family,
            table: owned(table),
            chain: owned(chain),
            handle: Some(Handle(handle.parse().map_err(|_| wrong())?)),
            ..class("rule")
        },
        ("chain" | "set", [name]) => WhoQuery { family, name: owned(name), ..class(first) },
        ("chain" | "set", [table, name]) => WhoQuery { family, table: owned(table), name: owned(name), ..class(first) },
        ("table", [name]) => WhoQuery { family, name: owned(name), ..class("table") },
        ("link", [name]) => WhoQuery { name: owned(name), ..class("link") },
        ("route", [destination, ..]) => WhoQuery { destination: owned(destination), ..class("route") },
        ("address", [address, ..]) => WhoQuery { address: owned(address), ..class("address") },
        ("ipset", [name]) => WhoQuery { name: owned(name), ..class("ipset") },
        ("member", [name, member]) => WhoQuery { name: owned(name), member: owned(member), ..class("ipset") },
        ("ipvs", [protocol, service]) => WhoQuery { name: Some(format!("{protocol} {service}")), ..class("ipvs") },
        ("destination", [protocol, service, at]) => {
            WhoQuery { name: Some(format!("{protocol} {service}")), destination: owned(at), ..class("ipvs") }
        }
        ("dir" | "file", [path]) => WhoQuery { path: owned(path), ..class(first) },
        _ => return Err(wrong()),
    })
}

/// Shows what is there, then goes on where that ended.
async fn follow_log(global: &Global, output: &Output, query: &LogQuery) -> Result<(), CliError> {
    let client = Client::new(&global.socket);
    let log = client.log(query).await.map_err(|source| match source.is_not_running() {
        true => CliError::NeedsTracker { what: "following the log", source },
        false => source.into(),
    })?;
    let from = FollowQuery {
        owner: query.owner.clone(),
        object: query.object.clone(),
        class: query.class.clone(),
        from: Some(log.next),
    };
    for event in log.events {
        output.write_next(event, write_event)?;
    }
    let mut lines = client.follow(&from).await?;
    while let Some(event) = lines.next().await? {
        output.write_next(event, write_event)?;
    }
    Err(CliError::TrackerStopped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_named_as_elsewhere() {
        let locator = |words: &str| {
            let words: Vec<&str> = words.split(' ').collect();
            named(&words).ok().and_then(|query| query.locator().ok()).map(|locator| locator.to_string())
        };
        for (words, expected) in [
            ("rule filter FORWARD 3", "rule ip filter FORWARD position 3"),
            ("rule ip6 filter FORWARD handle 16", "rule ip6 filter FORWARD handle 16"),
            ("chain KUBE-SERVICES", "chain KUBE-SERVICES"),
            ("chain ip nat KUBE-SERVICES", "chain ip nat KUBE-SERVICES"),
            ("link cni0", "link cni0"),
            ("link ip", "link ip"),
            ("route 10.0.0.0/8 dev cni0", "route 10.0.0.0/8"),
            ("/etc/cni/net.d", "path /etc/cni/net.d"),
            ("dir /etc/cni/net.d", "path /etc/cni/net.d"),
            ("member KUBE-CLUSTER-IP 10.96.0.1,tcp:443", "member KUBE-CLUSTER-IP 10.96.0.1,tcp:443"),
            ("ipvs tcp 10.96.0.1:443", "ipvs tcp 10.96.0.1:443"),
            ("destination fwmark 7 10.0.0.1:80", "destination fwmark 7 10.0.0.1:80"),
        ] {
            assert_eq!(locator(words).as_deref(), Some(expected), "{words}");
        }
        for words in
            ["rule filter FORWARD", "rule filter FORWARD x", "chain", "cni0", "etc/cni", "link a b", "ipvs tcp"]
        {
            assert_eq!(locator(words), None, "{words}");
        }
    }
}
