//! The figures as tables, for the terminal and for the documentation: the same text.

use std::fmt;
use std::path::Path;

use comfy_table::{CellAlignment, Table, presets};

use crate::error::XtaskError;

use super::compare::{Comparison, Pairing};
use super::footprint::Footprint;
use super::listing::{self, Listing};
use super::machine::Machine;
use super::rollback::{PLOT, Rollbacks, plot};

/// Everything between these lines of the documentation is written by [`Report::write`]; the rest is by hand.
const BEGIN: &str = "<!-- written by `cargo xtask bench --write`: begin -->";
const END: &str = "<!-- written by `cargo xtask bench --write`: end -->";
/// The same for what is about rollbacks, which can be measured alone.
const ROLLBACK_BEGIN: &str = "<!-- rollbacks, written by `cargo xtask bench --write`: begin -->";
const ROLLBACK_END: &str = "<!-- rollbacks, written by `cargo xtask bench --write`: end -->";

/// All that was measured.
pub(super) struct Report {
    pub(super) machine: Machine,
    pub(super) is_quick: bool,
    pub(super) comparisons: Vec<Comparison>,
    pub(super) footprints: Vec<Footprint>,
    pub(super) listing: Option<Listing>,
    pub(super) rollbacks: Rollbacks,
}

/// Whether an aim is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// All of the interval is within the aim.
    Met,
    /// All of the interval is beyond it.
    Missed,
    /// The aim is within the interval, or there are too few figures: they cannot tell.
    Open,
}

/// Fewer pairs than this have no interval of 95 %.
const LEAST_PAIRS: usize = 6;

impl Verdict {
    fn of(pairing: &Pairing) -> Option<Self> {
        let aim = pairing.aim?;
        let (low, high) = pairing.ratio.interval;
        Some(match () {
            () if pairing.ratio.count < LEAST_PAIRS => Self::Open,
            () if high <= aim => Self::Met,
            () if low > aim => Self::Missed,
            () => Self::Open,
        })
    }

    fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::Open => "open",
        }
    }
}

impl Report {
    /// Writes the figures into the documentation, in place of the ones before: those of what was measured.
    pub(super) fn write(&self, path: &Path) -> Result<(), XtaskError> {
        let mut text = std::fs::read_to_string(path).map_err(failed("read", path))?;
        let lacks = |line: &str| XtaskError::Wrong(format!("`{}` lacks its line `{line}` or its end", path.display()));
        if self.has_costs() {
            let costs = format!("\n{}{}\n", self.head(), self.costs());
            text = replace(&text, (BEGIN, END), &costs).ok_or_else(|| lacks(BEGIN))?;
        }
        let Rollbacks(rollbacks) = &self.rollbacks;
        if !rollbacks.is_empty() {
            let between = format!("\n{}![Time over services]({PLOT})\n\n{}\n", self.head(), self.rollbacks);
            text = replace(&text, (ROLLBACK_BEGIN, ROLLBACK_END), &between).ok_or_else(|| lacks(ROLLBACK_BEGIN))?;
        }
        if let Some(drawing) = plot(rollbacks) {
            let at = path.with_file_name(PLOT);
            std::fs::write(&at, drawing).map_err(failed("write", &at))?;
        }
        std::fs::write(path, text).map_err(failed("write", path))
    }

    /// Whether anything but rollbacks was measured.
    fn has_costs(&self) -> bool {
        !self.comparisons.is_empty() || !self.footprints.is_empty() || self.listing.is_some()
    }

    /// Where and when.
    fn head(&self) -> String {
        let Machine { processor, cores, memory_mib, is_virtual, kernel, date, nft, iptables, load } = &self.machine;
        let kind = if *is_virtual { "a virtual machine" } else { "hardware" };
        let quick = if self.is_quick {
            "A quick run: it shows that everything can be measured, the figures mean little.\n\n"
        } else {
            ""
        };
        format!(
            "Measured on {date}: {processor}, {cores} cores, {memory_mib} MiB, {kind}; {kernel};\n\
             {nft}; {iptables}. Load average {} at the begin, {} at the end.\n\n{quick}",
            load.0, load.1
        )
    }

    /// What the tracker costs.
    fn costs(&self) -> String {
        let mut text = String::new();
        if !self.comparisons.is_empty() {
            text += &format!("{}\n\n", self.latencies());
        }
        if !self.footprints.is_empty() {
            text += &format!("{}\n\n", self.footprints());
        }
        if let Some(listing) = &self.listing {
            text += &format!("{}\n\n", self.listing(listing));
        }
        match &self.remarks()[..] {
            [] => text += "Every aim is met.\n",
            remarks => remarks.iter().for_each(|remark| text += &format!("- {remark}\n")),
        }
        text
    }

    fn latencies(&self) -> Table {
        let mut table = table(&[
            "latency", "with", "against", "ratio", "95 %", "min", "max", "pairs", "with", "against", "aim", "",
        ]);
        for comparison in &self.comparisons {
            for (index, pairing) in comparison.pairings.iter().enumerate() {
                let ratio = pairing.ratio;
                table.add_row([
                    if index == 0 { comparison.name.to_owned() } else { String::new() },
                    pairing.watcher.to_string(),
                    pairing.against.to_string(),
                    format!("{:.3}", ratio.median),
                    format!("{:.3} to {:.3}", ratio.interval.0, ratio.interval.1),
                    format!("{:.3}", ratio.range.0),
                    format!("{:.3}", ratio.range.1),
                    ratio.count.to_string(),
                    duration(pairing.figures.0),
                    duration(pairing.figures.1),
                    pairing.aim.map(|aim| format!("{aim:.2}")).unwrap_or_default(),
                    Verdict::of(pairing).map(Verdict::word).unwrap_or_default().to_owned(),
                ]);
            }
        }
        align_right(&mut table, 3..=10);
        table
    }

    fn footprints(&self) -> Table {
        let mut table = table(&[
            "netdeedd",
            "peak RSS",
            "CPU of the start",
            "CPU of the work",
            "writer",
            "recorded after",
            "objects",
            "lost",
            "times",
        ]);
        for footprint in &self.footprints {
            let seconds = |seconds: f64| duration(seconds * 1e9);
            table.add_row([
                footprint.name.clone(),
                format!("{:.1} MiB", footprint.peak_mib),
                format!("{:.2} s", footprint.start_seconds),
                format!("{:.2} s", footprint.cpu_seconds),
                footprint.writer_seconds.map(seconds).unwrap_or_default(),
                footprint.lag_seconds.map(seconds).unwrap_or_default(),
                footprint.objects.to_string(),
                footprint.lost.to_string(),
                footprint.times.to_string(),
            ]);
        }
        align_right(&mut table, 1..=8);
        table
    }

    fn listing(&self, listing: &Listing) -> Table {
        let Listing { lines, ratio, figures, rates } = listing;
        let mut table = table(&[
            "listing",
            "lines",
            "netdeed blame",
            "iptables-save",
            "ratio",
            "95 %",
            "pairs",
            "aim",
            "read",
            "rendered",
        ]);
        let rate = |rate: f64| format!("{:.0} rules/s", rate);
        table.add_row([
            listing::NAME.to_owned(),
            lines.to_string(),
            duration(figures.0),
            duration(figures.1),
            format!("{:.3}", ratio.median),
            format!("{:.3} to {:.3}", ratio.interval.0, ratio.interval.1),
            ratio.count.to_string(),
            format!("{:.2}", listing::MOST_OVER_SAVE),
            rate(rates.0),
            rate(rates.1),
        ]);
        align_right(&mut table, 1..=9);
        table
    }

    /// What is not as it should be, a line each.
    fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        for Comparison { name, pairings, disturbed } in &self.comparisons {
            for pairing in pairings {
                let Pairing { watcher, against, ratio, figures, aim } = pairing;
                let (Some(verdict), Some(aim)) = (Verdict::of(pairing), aim) else { continue };
                let what = format!("{name}: {watcher} against {against}");
                match verdict {
                    Verdict::Met => {}
                    Verdict::Missed => remarks.push(format!(
                        "{what} misses its aim of {aim:.2}: {:.3}, which is {} more.",
                        ratio.median,
                        duration(figures.0 - figures.1)
                    )),
                    Verdict::Open => remarks.push(format!(
                        "{what} may miss its aim of {aim:.2}: the median of {} pairs is between {:.3} and {:.3}.",
                        ratio.count, ratio.interval.0, ratio.interval.1
                    )),
                }
            }
            if *disturbed > 0 {
                remarks.push(format!("{name}: {disturbed} rounds were repeated, other BPF programs came or went."));
            }
        }
        if let Some(Listing { ratio, .. }) = &self.listing
            && ratio.interval.1 > listing::MOST_OVER_SAVE
        {
            let (name, aim) = (listing::NAME, listing::MOST_OVER_SAVE);
            remarks.push(format!(
                "{name} may miss its aim of {aim:.2}: the median of {} pairs is between {:.3} and {:.3}.",
                ratio.count, ratio.interval.0, ratio.interval.1
            ));
        }
        for Footprint { name, lost, .. } in &self.footprints {
            if *lost > 0 {
                remarks.push(format!("{name}: {lost} records were lost and had to be found by a dump."));
            }
        }
        remarks
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.head())?;
        if self.has_costs() {
            writeln!(f, "{}", self.costs())?;
        }
        if self.rollbacks.0.is_empty() { Ok(()) } else { write!(f, "{}", self.rollbacks) }
    }
}

/// An error of what was done to a file.
fn failed(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> XtaskError {
    let path = path.to_owned();
    move |source| XtaskError::File { operation, path, source }
}

pub(super) fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(head);
    table
}

pub(super) fn align_right(table: &mut Table, columns: std::ops::RangeInclusive<usize>) {
    for index in columns {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// A duration with three digits that matter, or with all before the point.
pub(super) fn duration(nanoseconds: f64) -> String {
    let (value, unit) = match nanoseconds.abs() {
        size if size < 1e3 => (nanoseconds, "ns"),
        size if size < 1e6 => (nanoseconds / 1e3, "us"),
        size if size < 1e9 => (nanoseconds / 1e6, "ms"),
        _ => (nanoseconds / 1e9, "s"),
    };
    let digits = match value.abs() {
        size if size < 10.0 => 2,
        size if size < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

/// The text with what is between the two lines replaced.
fn replace(text: &str, (begin, end): (&str, &str), between: &str) -> Option<String> {
    let (before, rest) = text.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{begin}{between}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::super::statistics::Summary;
    use super::super::watcher::Watcher;
    use super::*;

    fn pairing(interval: (f64, f64)) -> Pairing {
        let ratio = Summary { median: interval.0, interval, range: interval, count: 20 };
        let (watcher, against) = (Watcher::Netdeed, Watcher::Nobody);
        Pairing { watcher, against, ratio, figures: (1.0, 1.0), aim: Some(1.03) }
    }

    #[test]
    fn an_aim_is_only_met_or_missed_by_the_whole_interval() {
        assert_eq!(Verdict::of(&pairing((0.99, 1.03))), Some(Verdict::Met));
        assert_eq!(Verdict::of(&pairing((1.01, 1.04))), Some(Verdict::Open));
        assert_eq!(Verdict::of(&pairing((1.04, 1.05))), Some(Verdict::Missed));
        let mut few = pairing((0.99, 1.0));
        few.ratio.count = 5;
        assert_eq!(Verdict::of(&few), Some(Verdict::Open));
        assert_eq!(Verdict::of(&Pairing { aim: None, ..pairing((1.04, 1.05)) }), None);
    }

    #[test]
    fn what_is_written_by_hand_stays() {
        let text = format!("# By hand\n{BEGIN}\nold\n{END}\nalso by hand\n");
        let new = replace(&text, (BEGIN, END), "\nnew\n").expect("both lines are there");
        assert_eq!(new, format!("# By hand\n{BEGIN}\nnew\n{END}\nalso by hand\n"));
        assert_eq!(replace("nothing", (BEGIN, END), "new"), None);
    }

    #[test]
    fn durations_have_three_digits() {
        let texts: Vec<String> = [62.34, 1_234.0, 12_345_678.0, 4.2e9, -512.0].map(duration).into();
        assert_eq!(texts, ["62.3 ns", "1.23 us", "12.3 ms", "4.20 s", "-512 ns"]);
    }
}
