//! `iptables-save` lines from the nf_tables rules that iptables-nft writes.
//!
//! It writes addresses, links, protocols, counters, verdicts and since 1.8.8 some matches as native expressions, the
//! rest as xt matches and targets. A rule that another tool put into such a table has other shapes; iptables-nft-save
//! does not show those as rules either.
//!
//! Of a few extensions iptables-nft-save 1.8.9 reads every revision as if it were the newest, and shows options that are
//! not the rule's; here each revision is read as what it is.

mod address;
mod arp;
mod bridge;
mod connection;
mod extension;
mod ipv6;
mod legacy;
mod mark;
mod meta;
mod nat;
mod native;
mod packet;
mod payload;
mod ports;
mod rate;
mod report;
mod save;
mod set;
mod transport;
mod words;

pub use self::legacy::iptables_legacy;

use self::extension::Extensions;
use self::native::Native;
pub use self::save::iptables_save;
use self::words::escaped;
use super::line::Line;
use super::{Rendered, Surroundings};
use crate::decode::nft::expr::{self, Data, Expression, Kind};
use crate::model::nft::{Family, RuleSnapshot};

/// What comes after `-j` or `-g`.
#[derive(Debug, Default)]
enum Target {
    #[default]
    None,
    Jump(String),
    Goto(String),
    /// With its options.
    Extension(Line),
}

/// `-A CHAIN ...` for a rule of an `ip` or `ip6` table, in the words of iptables-nft-save 1.8.9.
pub fn iptables(family: Family, chain: &str, rule: &RuleSnapshot, surroundings: &dyn Surroundings) -> Rendered {
    let mut line = Line::new();
    line.push("-A");
    words::plain(&mut line, chain.as_bytes());
    let is_ipv6 = family == Family::Ip6;
    let mut native = Native::new(is_ipv6);
    let extensions = Extensions { is_ipv6, surroundings };
    let mut target = Target::None;
    let mut rest = Line::new();
    if !matches!(family, Family::Ip | Family::Ip6) {
        rest.mark(format_args!("family {family}"));
    }
    for expression in expr::decode(&rule.expressions) {
        if take(&mut native, &extensions, &mut target, &expression).is_none() {
            native.give_up(&expression);
        }
        if !expression.unknown.is_empty() {
            rest.mark(format_args!("{}: attributes that are not known", escaped(expression.name)));
        }
    }
    if let Some(comment) = native_comment(rule) {
        native.extension(|line| {
            line.push(" -m comment --comment");
            words::quoted(line, comment.as_bytes());
            Some(())
        });
    }
    native.write(&mut line);
    match target {
        Target::None => {}
        Target::Jump(chain) => write!(line, " -j {chain}"),
        Target::Goto(chain) => write!(line, " -g {chain}"),
        Target::Extension(extension) => line.append(&extension),
    }
    line.append(&rest);
    line.finish()
}

/// Takes one expression into the rule; `None` where iptables writes no such thing.
fn take<'a>(
    native: &mut Native<'a>,
    extensions: &Extensions<'_>,
    target: &mut Target,
    expression: &Expression<'a>,
) -> Option<()> {
    if !matches!(target, Target::None) {
        // iptables puts the target last
        return None;
    }
    match &expression.kind {
        Kind::Counter(_) => {}
        Kind::Match(xt) => {
            native.extension(|line| extensions.write(line, false, xt));
        }
        Kind::Target(xt) => {
            let mut line = Line::new();
            extensions.write(&mut line, true, xt)?;
            *target = Target::Extension(line);
        }
        Kind::Immediate(immediate) => match immediate.data {
            Data::Verdict { code, chain } => *target = verdict(code, chain)?,
            Data::Value(value) => native.constant(immediate.register, value),
        },
        Kind::Meta(meta) if meta.source.is_some() => {
            // NFT_META_NFTRACE = 12
            (meta.key == 12 && native.is_constant(meta.source?, 1)).then_some(())?;
            let mut line = Line::new();
            line.push(" -j TRACE");
            *target = Target::Extension(line);
        }
        Kind::Log(log) => {
            let mut line = Line::new();
            report::native_log(&mut line, log)?;
            *target = Target::Extension(line);
        }
        _ => native.take(expression)?,
    }
    Some(())
}

fn verdict(code: i32, chain: Option<&[u8]>) -> Option<Target> {
    Some(match (code, chain) {
        (0, None) => Target::Jump("DROP".to_owned()),
        (1, None) => Target::Jump("ACCEPT".to_owned()),
        (-5, None) => Target::Jump("RETURN".to_owned()),
        (-3, Some(chain)) => Target::Jump(escaped(chain)),
        (-4, Some(chain)) => Target::Goto(escaped(chain)),
        _ => return None,
    })
}

/// The comment of the userdata, which iptables 1.8.0 and nft write.
fn native_comment(rule: &RuleSnapshot) -> Option<&str> {
    rule.comment.as_deref().filter(|_| !rule.userdata.is_empty())
}
