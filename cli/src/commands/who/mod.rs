//! `netdeed who`

mod stopped;
mod trace;

pub(crate) use stopped::{is_here, who as stopped_who};
pub(crate) use trace::{Around, Step, TraceView};

use std::path::PathBuf;

use clap::Subcommand;
use netdeed_tracker::control::api::{WhoQuery, WhoView};
use netdeed_tracker::model::ids::{Handle, ObjectId};
use netdeed_tracker::model::nft::Family;
use netdeed_tracker::query::Reach;

use crate::args::Global;
use crate::error::CliError;
use crate::output::{Output, write_who};
use crate::tracker::ask;

#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct WhoArgs {
    #[command(subcommand)]
    thing: Thing,
}

/// What is asked about.
#[derive(Debug, Subcommand)]
enum Thing {
    /// A rule, by its place in its chain or by its handle
    #[command(after_help = "Example: netdeed who rule filter FORWARD 3")]
    Rule {
        /// Family of the table
        #[arg(short, long, default_value = "ip")]
        family: Family,
        /// Table
        table: String,
        /// Chain
        chain: String,
        /// Place in the chain, counted from 1 as `iptables -L --line-numbers` does
        #[arg(required_unless_present = "handle", conflicts_with = "handle", value_parser = clap::value_parser!(u64).range(1..))]
        position: Option<u64>,
        /// Handle, as `nft -a list ruleset` shows it
        #[arg(long)]
        handle: Option<u64>,
        /// The rule is of iptables-legacy, not of nftables
        #[arg(long, conflicts_with = "handle")]
        legacy: bool,
    },
    /// A chain, in any table unless one is named
    Chain {
        #[command(flatten)]
        place: Place,
        /// Its name
        name: String,
        /// Only in tables of iptables-legacy
        #[arg(long)]
        legacy: bool,
    },
    /// A table
    Table {
        /// Family of the table [default: any]
        #[arg(short, long)]
        family: Option<Family>,
        /// Its name
        name: String,
        /// Only tables of iptables-legacy
        #[arg(long)]
        legacy: bool,
    },
    /// A set or map, in any table unless one is named
    Set {
        #[command(flatten)]
        place: Place,
        /// Its name
        name: String,
    },
    /// A link
    Link {
        /// Its name, or one of its other names
        name: String,
    },
    /// A route, in any routing table
    Route {
        /// `default`, a prefix such as `10.244.0.0/16`, or an address for its host route
        destination: String,
    },
    /// An address, on any link
    Address {
        /// The address, with or without its prefix length
        address: String,
    },
    /// A queueing discipline (tc)
    Qdisc {
        /// Its link
        dev: String,
        /// Its handle such as `1:`, or where it hangs: `root`, `ingress` or a class [default: any]
        place: Option<String>,
    },
    /// A class of a queueing discipline (tc)
    Tclass {
        /// Its link
        dev: String,
        /// Its handle such as `1:10`, or what it hangs on [default: any]
        place: Option<String>,
    },
    /// A traffic control filter (tc)
    #[command(after_help = "Example: netdeed who filter eth0 ingress --pref 1")]
    Filter {
        /// Its link
        dev: String,
        /// Where it hangs: `ingress`, `egress`, a qdisc or a class [default: any]
        place: Option<String>,
        /// Its priority
        #[arg(short, long)]
        pref: Option<u16>,
    },
    /// A neighbour, or the forwarding entries of a bridge or vxlan link for one hardware address
    Neighbour {
        /// IP or hardware address
        address: String,
        /// Its link [default: any]
        #[arg(short, long)]
        dev: Option<String>,
    },
    /// A directory
    Dir {
        /// Its path
        path: PathBuf,
    },
    /// A file
    File {
        /// Its path
        path: PathBuf,
    },
    /// The mounts at a path
    #[command(after_help = "Example: netdeed who mount /run/netns/cni-1")]
    Mount {
        /// Its path
        path: PathBuf,
    },
    /// The rules that traced packets met, from standard input or from a monitor it runs
    Trace(trace::TraceArgs),
    /// An IP set, or a member of one
    #[command(name = "ipset", after_help = "Example: netdeed who ipset KUBE-CLUSTER-IP 10.96.0.1,tcp:443")]
    IpSet {
        /// Its name
        name: String,
        /// A member, as `ipset list` prints it
        member: Option<String>,
    },
    /// An IPVS service, or a destination of one
    #[command(after_help = "Example: netdeed who ipvs tcp 10.96.0.1:443 10.244.0.5:8443")]
    Ipvs {
        /// `tcp`, `udp`, `sctp`, or `fwmark` for a service of marked packets
        protocol: String,
        /// Its address and port, or its mark
        service: String,
        /// A destination of it, address and port
        destination: Option<String>,
    },
    /// A sysctl that somebody set
    #[command(after_help = "Example: netdeed who sysctl net.ipv4.ip_forward")]
    Sysctl {
        /// Its name, as sysctl(8) takes it
        name: String,
    },
    /// Anything, by its number in `netdeed ls`
    Object {
        /// Its number
        id: u64,
    },
}

/// Where a chain or set is.
#[derive(Debug, clap::Args)]
struct Place {
    /// Family of the table [default: any]
    #[arg(short, long)]
    family: Option<Family>,
    /// Table it is in [default: any]
    #[arg(short, long)]
    table: Option<String>,
}

pub(crate) async fn run(global: &Global, output: &Output, args: WhoArgs) -> Result<(), CliError> {
    let who = match args.thing {
        Thing::Trace(args) => return trace::run(global, output, &args).await,
        Thing::Object { id } => object(global, ObjectId(id)).await?,
        thing => {
            let query = query(thing)?;
            let locator = query.locator()?;
            ask(global, async |client| client.who(&query).await, |stopped| stopped::who(stopped, locator, Reach::Now))
                .await?
        }
    };
    output.write(who, write_who)
}

async fn object(global: &Global, id: ObjectId) -> Result<WhoView, CliError> {
    let object = ask(global, async |client| client.object(id).await, |stopped| stopped::object(stopped, id)).await?;
    Ok(WhoView { asked: format!("object {id}"), objects: vec![object] })
}

fn query(thing: Thing) -> Result<WhoQuery, CliError> {
    let class = |class: &str| WhoQuery { class: Some(class.to_owned()), ..Default::default() };
    Ok(match thing {
        Thing::Rule { family, table, chain, position, handle, legacy } => WhoQuery {
            legacy,
            family: Some(family),
            table: Some(table),
            chain: Some(chain),
            position,
            handle: handle.map(Handle),
            ..class("rule")
        },
        Thing::Chain { place: Place { family, table }, name, legacy } => {
            WhoQuery { family, table, name: Some(name), legacy, ..class("chain") }
        }
        Thing::Set { place: Place { family, table }, name } => {
            WhoQuery { family, table, name: Some(name), ..class("set") }
        }
        Thing::Table { family, name, legacy } => WhoQuery { family, name: Some(name), legacy, ..class("table") },
        Thing::Link { name } => WhoQuery { name: Some(name), ..class("link") },
        Thing::Route { destination } => WhoQuery { destination: Some(destination), ..class("route") },
        Thing::Address { address } => WhoQuery { address: Some(address), ..class("address") },
        Thing::Qdisc { dev, place } => WhoQuery { dev: Some(dev), place, ..class("qdisc") },
        Thing::Tclass { dev, place } => WhoQuery { dev: Some(dev), place, ..class("tclass") },
        Thing::Filter { dev, place, pref } => WhoQuery { dev: Some(dev), place, pref, ..class("filter") },
        Thing::Neighbour { address, dev } => WhoQuery { address: Some(address), dev, ..class("neighbour") },
        Thing::Dir { path } => WhoQuery { path: Some(absolute(path)?), ..class("dir") },
        Thing::File { path } => WhoQuery { path: Some(absolute(path)?), ..class("file") },
        Thing::Mount { path } => WhoQuery { path: Some(absolute(path)?), ..class("mount") },
        Thing::Sysctl { name } => WhoQuery { name: Some(name), ..class("sysctl") },
        Thing::Trace(_) => return Err(CliError::Usage("a trace is read line by line".to_owned())),
        Thing::IpSet { name, member } => WhoQuery { name: Some(name), member, ..class("ipset") },
        Thing::Ipvs { protocol, service, destination } => {
            WhoQuery { name: Some(format!("{protocol} {service}")), destination, ..class("ipvs") }
        }
        Thing::Object { id } => return Err(CliError::Usage(format!("object {id} is asked for by its number"))),
    })
}

/// The path from the root on; symbolic links in it are not followed.
pub(crate) fn absolute(path: PathBuf) -> Result<String, CliError> {
    let shown = path.display().to_string();
    let absolute = std::path::absolute(path).map_err(|error| CliError::Usage(format!("`{shown}`: {error}")))?;
    let text = absolute.into_os_string().into_string();
    text.map_err(|_| CliError::Usage(format!("`{shown}` is not UTF-8; ask for it by its number in `netdeed ls`")))
}
