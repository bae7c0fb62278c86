//! `netdeed blame`

mod dump;
mod stopped;

pub(crate) use dump::normal;

use std::io::{IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::ValueEnum;
use netdeed_tracker::control::api::{BlameQuery, BlameView, Syntax};
use netdeed_tracker::control::client::Client;
use netdeed_tracker::model::nft::Family;
use netdeed_tracker::model::owner::Owner;

use crate::args::{Format, Global};
use crate::error::{CliError, complain};
use crate::output::{BlameWriter, Output, write_blame};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Counters are shown as zero or left out. What cannot be written the tool's way stands in brackets.

Examples:
  netdeed blame -t nat --owner kubernetes
  netdeed blame nft --chain input
  netdeed blame --group --color always | less -R
  netdeed blame < rules.v4"
)]
pub(crate) struct BlameArgs {
    /// In whose words [default: iptables where its tables are there, else nft]
    #[arg(value_enum)]
    syntax: Option<SyntaxWord>,
    /// Only the legacy backend: as iptables-legacy-save
    #[arg(long = "legacy", conflicts_with = "is_nft")]
    is_legacy: bool,
    /// Only the nf_tables backend: as iptables-nft-save
    #[arg(long = "nft")]
    is_nft: bool,
    /// Only IPv6: as ip6tables-save
    #[arg(short = '6', long = "ipv6", conflicts_with = "family")]
    is_ipv6: bool,
    /// Only tables of this family
    #[arg(short, long)]
    family: Option<Family>,
    /// Only this table
    #[arg(short, long)]
    table: Option<String>,
    /// Only this chain
    #[arg(long)]
    chain: Option<String>,
    /// Only lines of this owner or below it, and the heads of what they stand in
    #[arg(long, value_name = "OWNER")]
    owner: Option<Owner>,
    /// Name the owner once before the lines that follow each other, as a comment
    #[arg(short, long)]
    group: bool,
    /// Annotate a dump that iptables-save or nft wrote instead; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["syntax", "is_legacy", "is_nft", "is_ipv6", "family", "table", "chain"])]
    file: Option<PathBuf>,
}

/// In whose words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SyntaxWord {
    /// As iptables-save prints it, both backends
    Iptables,
    /// As `nft list ruleset` prints it
    Nft,
}

pub(crate) async fn run(global: &Global, output: &Output, args: BlameArgs) -> Result<(), CliError> {
    if let Some(file) = dump_to_read(&args) {
        let view = dump::annotate(global, &file, args.owner.as_ref()).await?;
        notes(&view);
        return output.write(view, |output, out, view| write_blame(output, out, view, args.group));
    }
    let family = if args.is_ipv6 { Some(Family::Ip6) } else { args.family };
    let syntax = syntax(&args)?;
    let query = BlameQuery { syntax, family, table: args.table, chain: args.chain, owner: args.owner };
    let mut show = Show { output, group: args.group, writer: None, whole: None, lines: 0 };
    match Client::new(&global.socket).blame(&query).await {
        Err(error) if error.is_not_running() => {
            let stopped = crate::tracker::open(&global.journal, error)?;
            stopped::blame(&stopped, &query, &mut |view| show.part(view))??;
        }
        parts => {
            let mut parts = parts?;
            while let Some(view) = parts.next().await? {
                show.part(view)?;
            }
        }
    }
    show.finish()
}

/// In whose words, and of which backend.
fn syntax(args: &BlameArgs) -> Result<Option<Syntax>, CliError> {
    Ok(match (args.syntax, args.is_legacy, args.is_nft) {
        (Some(SyntaxWord::Nft), true, _) => {
            let why = "nft does not list legacy tables: use `netdeed blame --legacy`";
            return Err(CliError::Usage(why.to_owned()));
        }
        (_, true, _) => Some(Syntax::Legacy),
        (Some(SyntaxWord::Nft), _, _) => Some(Syntax::Nft),
        (_, _, true) => Some(Syntax::IptablesNft),
        (Some(SyntaxWord::Iptables), _, _) => Some(Syntax::Iptables),
        (None, _, _) => None,
    })
}

/// The dump that is to be annotated: one that is named, or standard input where somebody put one there.
fn dump_to_read(args: &BlameArgs) -> Option<PathBuf> {
    let BlameArgs { syntax, is_legacy, is_nft, is_ipv6, family, table, chain, owner: _, group: _, file } = args;
    let asks_for_live =
        syntax.is_some() || *is_legacy || *is_nft || *is_ipv6 || family.is_some() || table.is_some() || chain.is_some();
    match file {
        Some(file) => Some(file.clone()),
        None if asks_for_live => None,
        None => is_fed().then(|| PathBuf::from("-")),
    }
}

/// Whether standard input is a file or a pipe: in a script it is mostly nothing, or what the script itself reads from.
fn is_fed() -> bool {
    use std::os::unix::fs::FileTypeExt;
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return false;
    }
    std::fs::metadata("/dev/stdin").is_ok_and(|stdin| stdin.is_file() || stdin.file_type().is_fifo())
}

fn notes(view: &BlameView) {
    view.notes.iter().for_each(|note| complain("warning", note));
}

/// Shows parts as they come.
struct Show<'a> {
    output: &'a Output,
    group: bool,
    writer: Option<BlameWriter>,
    /// All parts together, for programs.
    whole: Option<BlameView>,
    lines: usize,
}

impl Show<'_> {
    fn part(&mut self, part: BlameView) -> Result<(), CliError> {
        notes(&part);
        self.lines += part.lines.len();
        if self.output.format != Format::Table {
            match &mut self.whole {
                None => self.whole = Some(part),
                Some(whole) => {
                    let BlameView { syntax: _, lines, deeds, notes } = part;
                    whole.lines.extend(lines);
                    whole.deeds.extend(deeds);
                    whole.notes.extend(notes);
                }
            }
            return Ok(());
        }
        let writer = self.writer.get_or_insert_with(|| BlameWriter::new(self.output, &part, self.group));
        let mut out = std::io::BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
        writer.write(&mut out, &part)?;
        Ok(out.flush()?)
    }

    fn finish(self) -> Result<(), CliError> {
        if let Some(whole) = self.whole {
            return self.output.write(whole, |_, _, _| Ok(()));
        }
        if self.lines == 0 {
            complain("note", "no line of the ruleset fits");
        }
        Ok(())
    }
}

/// For callbacks that can only say whether to go on.
pub(super) fn flow<T>(result: &Result<T, CliError>) -> ControlFlow<()> {
    if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}
