//! Times over services as a drawing: both axes logarithmic, so that a straight line of slope 1 is proportional growth.

use std::fmt::Write as _;

use super::{Rollback, WAYS};
use crate::bench::report::duration;
use crate::bench::statistics::median;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
/// Around the axes: left, top, right, bottom.
const MARGINS: [f64; 4] = [70.0, 20.0, 20.0, 50.0];
const COLOURS: [&str; 3] = ["#0b6e4f", "#c84c09", "#3d5a80"];

/// A logarithmic axis over a range of values, from one end to the other in the drawing.
struct Axis {
    values: (f64, f64),
    ends: (f64, f64),
}

impl Axis {
    fn at(&self, value: f64) -> f64 {
        let share = (value / self.values.0).ln() / (self.values.1 / self.values.0).ln();
        self.ends.0 + share * (self.ends.1 - self.ends.0)
    }

    /// Powers of ten within.
    fn marks(&self) -> impl Iterator<Item = f64> + '_ {
        (-3..=6).map(|power| 10_f64.powi(power)).filter(|mark| (self.values.0..=self.values.1).contains(mark))
    }
}

/// An SVG of all scales; `None` without two of them.
pub(in crate::bench) fn plot(rollbacks: &[Rollback]) -> Option<String> {
    let (first, last) = (rollbacks.first()?, rollbacks.last().filter(|_| rollbacks.len() > 1)?);
    let [left, top, right, bottom] = MARGINS;
    let figures: Vec<f64> = rollbacks.iter().flat_map(|it| it.seconds.iter().map(|times| median(times))).collect();
    let (least, most) = figures.iter().fold((f64::MAX, 0.0_f64), |(least, most), it| (least.min(*it), most.max(*it)));
    let x = Axis { values: (first.services as f64 * 0.9, last.services as f64 * 1.1), ends: (left, WIDTH - right) };
    let y = Axis { values: (10_f64.powf(least.log10().floor()), most * 1.3), ends: (HEIGHT - bottom, top) };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    // writing to a string cannot fail
    for mark in y.marks() {
        let (at, text) = (y.at(mark), duration(mark * 1e9));
        let _ = writeln!(
            svg,
            "<path d=\"M{left} {at:.1}H{:.1}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
            WIDTH - right,
            left - 8.0,
            at + 4.0
        );
    }
    for services in rollbacks.iter().map(|rollback| rollback.services) {
        let (at, below) = (x.at(services as f64), HEIGHT - bottom);
        let _ = writeln!(
            svg,
            "<path d=\"M{at:.1} {below}v5\" stroke=\"black\"/><text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{services}</text>",
            below + 20.0
        );
    }
    let _ = writeln!(
        svg,
        "<path d=\"M{left} {top}V{0}H{1}\" fill=\"none\" stroke=\"black\"/><text x=\"{2}\" y=\"{3}\" text-anchor=\"middle\">services (15 lines each), both axes logarithmic</text>",
        HEIGHT - bottom,
        WIDTH - right,
        (left + WIDTH - right) / 2.0,
        HEIGHT - 8.0
    );
    for (way, colour) in COLOURS.iter().enumerate() {
        let points: Vec<(f64, f64)> =
            rollbacks.iter().map(|it| (x.at(it.services as f64), y.at(median(&it.seconds[way])))).collect();
        let line: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            line.join(" ")
        );
        for (x, y) in points {
            let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>");
        }
        let at = top + 18.0 * (way as f64 + 1.0);
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{at}\" fill=\"{colour}\">{}</text>", left + 12.0, WAYS[way].name());
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn larger_is_further_and_slower_is_higher() {
        let rollback = |services, times: [f64; 3]| Rollback {
            services,
            lines: services * 15,
            seconds: times.map(|time| vec![time]),
            left: [0; 3],
            lost: [0; 3],
            peaks: (1.0, 1.0),
        };
        let svg = plot(&[rollback(1000, [0.1, 0.3, 1.0]), rollback(2000, [0.2, 0.9, 2.0])]).expect("a plot");
        let points = svg.lines().find_map(|line| line.strip_prefix("<polyline points=\"")?.split('"').next());
        let numbers: Vec<f64> =
            points.expect("a line").split([',', ' ']).map(|number| number.parse().expect("a number")).collect();
        assert!(numbers[0] < numbers[2] && numbers[1] > numbers[3], "{numbers:?}");
        assert_eq!(svg.matches("<circle").count(), 6);
        assert!(plot(&[rollback(1000, [0.1; 3])]).is_none());
    }
}
