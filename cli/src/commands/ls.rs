//! `netdeed ls`

use clap::builder::PossibleValuesParser;
use netdeed_tracker::control::api::{ObjectsQuery, OwnerList};
use netdeed_tracker::model::owner::{Certainty, Owner};
use netdeed_tracker::model::subject::Class;
use netdeed_tracker::query;

use crate::args::{Format, Global};
use crate::error::{CliError, complain};
use crate::output::{Output, write_objects, write_objects_long, write_owners};
use crate::tracker::ask;

#[derive(Debug, clap::Args)]
pub(crate) struct LsArgs {
    /// Only what this owner, or one below it, added; `kubernetes` includes all of `cni`
    #[arg(long, value_name = "OWNER")]
    owner: Option<Owner>,
    /// Only these classes
    #[arg(long, value_name = "CLASS", value_delimiter = ',', value_parser = PossibleValuesParser::new(Class::ALL.map(Class::as_str)))]
    class: Vec<String>,
    /// Only what is this sure
    #[arg(long, value_name = "CERTAINTY", value_parser = PossibleValuesParser::new(Certainty::ALL.map(Certainty::as_str)))]
    certainty: Option<String>,
    /// Also what is gone
    #[arg(long)]
    all: bool,
    /// Count by owner and class
    #[arg(long, conflicts_with_all = ["long", "limit"])]
    summary: bool,
    /// Also show who added it and what it is
    #[arg(short, long)]
    long: bool,
    /// At most this many
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<u64>,
}

pub(crate) async fn run(global: &Global, output: &Output, args: LsArgs) -> Result<(), CliError> {
    let LsArgs { owner, class, certainty, all, summary, long, limit } = args;
    let certainty = Certainty::ALL.into_iter().find(|known| Some(known.as_str()) == certainty.as_deref());
    let class = (!class.is_empty()).then(|| class.join(","));
    let query = ObjectsQuery { owner, class, certainty, removed: all, limit };
    if summary {
        return owners(global, output, &query).await;
    }
    let filter = query.filter()?;
    let list = ask(
        global,
        async |client| client.objects(&query).await,
        |stopped| query::list(stopped.journal.as_ref(), &filter, limit).map_err(stopped.failed()),
    )
    .await?;
    let left_out = list.total.saturating_sub(list.objects.len() as u64);
    let is_empty = list.total == 0;
    output.write(list, if long { write_objects_long } else { write_objects })?;
    if output.format == Format::Table && is_empty {
        complain("note", "nothing recorded fits");
    } else if output.format == Format::Table && left_out > 0 {
        complain("note", &format!("{left_out} more fit"));
    }
    Ok(())
}

async fn owners(global: &Global, output: &Output, query: &ObjectsQuery) -> Result<(), CliError> {
    let filter = query.filter()?;
    let list = ask(
        global,
        async |client| client.owners(query).await,
        |stopped| {
            let owners = query::owners(stopped.journal.as_ref(), &filter).map_err(stopped.failed())?;
            Ok(OwnerList { owners })
        },
    )
    .await?;
    if output.format == Format::Table && list.owners.is_empty() {
        complain("note", "nothing recorded fits");
    }
    output.write(list, write_owners)
}
