//! How the tracker is.

use std::io::{self, Write};

use netdeed_tracker::control::api::{
    BpfProgramView, JournalView, LossView, RuleCounts, SelfTestView, SourceState, SourceView, StatusView, TrackerState,
};

use super::event::gap_text;
use super::style::Paint;
use super::text::{counted, printable, write_hanging};
use super::time::{format_bytes, format_seconds, format_time, format_time_ago};
use super::{Output, write_owners};

/// Writes how the tracker is.
pub(crate) fn write_status(output: &Output, out: &mut dyn Write, status: &StatusView) -> io::Result<()> {
    let style = output.style;
    let paint = match status.state {
        TrackerState::Ready => Paint::Good,
        TrackerState::Starting | TrackerState::Degraded => Paint::Doubt,
        TrackerState::Stopped => Paint::Bad,
    };
    let uptime = status.uptime_seconds.map(|seconds| format!(", up {}", format_seconds(seconds))).unwrap_or_default();
    let state = style.paint(paint, status.state.as_str());
    writeln!(out, "tracker   {state}, version {}{uptime}", status.version)?;
    if let (Some(boot), Some(netns)) = (&status.boot, status.netns) {
        writeln!(out, "watches   netns {netns}, boot {boot}")?;
    }
    if let Some(alive) = status.last_alive {
        writeln!(out, "complete  up to {}", format_time_ago(alive))?;
    }
    write_journal(output, out, &status.journal)?;
    let gap = status
        .last_gap
        .as_ref()
        .map(|gap| format!("; the last until {}: {}", format_time(gap.to), gap_text(gap)))
        .unwrap_or_default();
    write_hanging(out, "gaps      ", 10, &format!("{}{gap}", status.gaps), output.width)?;
    let RuleCounts { nft, legacy } = status.rules;
    if nft > 0 && legacy > 0 {
        let (nft, legacy) = (counted(nft, "rule", "rules"), counted(legacy, "legacy rule", "legacy rules"));
        let text = format!("both hold rules: {nft} of nf_tables, {legacy}; `netdeed blame` shows them side by side");
        write_hanging(out, "backends  ", 10, &text, output.width)?;
    }
    write_sources(output, out, status)?;
    if !status.owners.is_empty() {
        writeln!(out)?;
        write_owners(output, out, &netdeed_tracker::control::api::OwnerList { owners: status.owners.clone() })?;
    }
    Ok(())
}

fn write_journal(output: &Output, out: &mut dyn Write, journal: &JournalView) -> io::Result<()> {
    let JournalView { directory, entries, live_objects, removed_objects, bytes_on_disk, set_aside } = journal;
    let entries = counted(*entries, "entry", "entries");
    let objects = counted(*live_objects, "live object", "live objects");
    let size = format_bytes(*bytes_on_disk);
    writeln!(out, "journal   {}, {entries}, {objects}, {removed_objects} removed, {size}", printable(directory))?;
    if let Some(aside) = set_aside {
        let text = format!("an unreadable journal was set aside as {}: {}", aside.path, aside.reason);
        writeln!(out, "          {}", output.style.paint(Paint::Bad, &printable(&text)))?;
    }
    Ok(())
}

fn write_sources(output: &Output, out: &mut dyn Write, status: &StatusView) -> io::Result<()> {
    let sources = status.sources.iter().map(|source| source.name.as_str());
    let names = sources
        .chain(status.self_test.iter().map(|test| test.name.as_str()))
        .chain(status.bpf.iter().map(|program| program.name.as_str()));
    let widest = names.map(|name| printable(name).chars().count()).max().unwrap_or_default().clamp(16, 32);
    let row = |out: &mut dyn Write, name: &str, paint: Paint, word: &str, detail: &str| {
        let word = output.style.paint(paint, &format!("{word:<9}"));
        let prefix = format!("  {:<widest$}  {word}  ", printable(name));
        write_hanging(out, &prefix, widest + 15, detail, output.width)
    };
    if !status.sources.is_empty() {
        writeln!(out, "\nsources")?;
    }
    for SourceView { name, state, detail, remedy } in &status.sources {
        let paint = match state {
            SourceState::Ok => Paint::Good,
            SourceState::Degraded => Paint::Doubt,
            SourceState::Off => Paint::Bad,
        };
        row(out, name, paint, state.as_str(), detail)?;
        if let Some(remedy) = remedy {
            row(out, "", Paint::Label, "", &format!("remedy: {remedy}"))?;
        }
    }
    if !status.self_test.is_empty() {
        writeln!(out, "\nself-test")?;
    }
    for SelfTestView { name, passed, detail } in &status.self_test {
        let (paint, word) = if *passed { (Paint::Good, "passed") } else { (Paint::Bad, "failed") };
        row(out, name, paint, word, detail)?;
    }
    if !status.bpf.is_empty() {
        writeln!(out, "\nbpf programs")?;
    }
    for BpfProgramView { name, attached, detail } in &status.bpf {
        let (paint, word) = if *attached { (Paint::Good, "attached") } else { (Paint::Bad, "off") };
        row(out, name, paint, word, detail)?;
    }
    if !status.losses.is_empty() {
        writeln!(out, "\nlosses")?;
    }
    for LossView { source, times, records } in &status.losses {
        let times = counted(*times, "time", "times");
        row(out, source.as_str(), Paint::Bad, &times, &counted(*records, "record", "records"))?;
    }
    Ok(())
}
