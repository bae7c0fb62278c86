//! The figures as text.

use std::fmt;

use comfy_table::Table;

use super::{AIMED_AT, LEAST_TIMES_FASTER, MOST_MIB, Rollback, WAYS, Way};
use crate::bench::report::{align_right, duration, table};
use crate::bench::statistics::median;

/// Where the plot is, seen from the text.
pub(in crate::bench) const PLOT: &str = "rollback.svg";

/// All scales.
pub(in crate::bench) struct Rollbacks(pub(in crate::bench) Vec<Rollback>);

impl Rollbacks {
    fn figures(&self) -> Table {
        let mut table = table(&[
            "services",
            "lines",
            "netdeed reset",
            "save, grep, restore",
            "kube-proxy --cleanup",
            "times faster than restore",
            "than --cleanup",
            "rounds",
            "netdeedd peak",
            "netdeed peak",
        ]);
        for rollback in &self.0 {
            let [ours, restore, cleanup] = [0, 1, 2].map(|way| duration(median(&rollback.seconds[way]) * 1e9));
            let faster = |than| {
                rollback.times_faster(than).map_or_else(String::new, |ratio| {
                    format!("{:.2} ({:.2} to {:.2})", ratio.median, ratio.range.0, ratio.range.1)
                })
            };
            table.add_row([
                rollback.services.to_string(),
                rollback.lines.to_string(),
                ours,
                restore,
                cleanup,
                faster(1),
                faster(2),
                rollback.seconds[0].len().to_string(),
                format!("{:.1} MiB", rollback.peaks.0),
                format!("{:.1} MiB", rollback.peaks.1),
            ]);
        }
        align_right(&mut table, 0..=9);
        table
    }

    /// Whether the aims are met, and what each way left or took from Docker.
    fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        for rollback in self.0.iter().filter(|rollback| rollback.services == AIMED_AT) {
            for than in [1, 2] {
                let Some(ratio) = rollback.times_faster(than) else { continue };
                let verdict = match (ratio.interval.0 >= LEAST_TIMES_FASTER, ratio.interval.1 < LEAST_TIMES_FASTER) {
                    (true, _) => "is met",
                    (_, true) => "is missed",
                    _ => "is open",
                };
                remarks.push(format!(
                    "The aim of {LEAST_TIMES_FASTER} times faster than `{}` at {AIMED_AT} services {verdict}: {:.2}, 95 % between {:.2} and {:.2}.",
                    WAYS[than].name(), ratio.median, ratio.interval.0, ratio.interval.1
                ));
            }
            let verdict = if rollback.peaks.0 <= MOST_MIB { "is met" } else { "is missed" };
            let peak = rollback.peaks.0;
            remarks.push(format!(
                "The aim of at most {MOST_MIB} MiB for netdeedd at {AIMED_AT} services {verdict}: {peak:.1} MiB."
            ));
        }
        for (way, name) in WAYS.map(Way::name).into_iter().enumerate() {
            let most = |of: fn(&Rollback) -> &[usize; 3]| self.0.iter().map(|it| of(it)[way]).max().unwrap_or_default();
            let (left, lost) = (most(|it| &it.left), most(|it| &it.lost));
            remarks.push(format!("`{name}` left {left} lines of Kubernetes and took {lost} of Docker."));
        }
        remarks
    }
}

impl fmt::Display for Rollbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.figures())?;
        self.remarks().iter().try_for_each(|remark| writeln!(f, "- {remark}"))
    }
}
