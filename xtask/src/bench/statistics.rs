//! Medians, and how sure they are. No distribution is assumed: disturbances of a machine have none worth a name.

/// What a number of figures comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Summary {
    /// Half of the figures are below it.
    pub(super) median: f64,
    /// An interval that holds the median of what was sampled with a probability of 95 % or more; all of the range while
    /// there are fewer than six figures, which cannot say as much.
    pub(super) interval: (f64, f64),
    /// Smallest and largest figure.
    pub(super) range: (f64, f64),
    /// Figures.
    pub(super) count: usize,
}

impl Summary {
    /// Sums figures up; `None` for none.
    pub(super) fn of(figures: &[f64]) -> Option<Self> {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (first, last) = (*sorted.first()?, *sorted.last()?);
        let count = sorted.len();
        let skipped = ranks_outside(count);
        let interval = (*sorted.get(skipped)?, *sorted.get(count - 1 - skipped)?);
        Some(Self { median: middle(&sorted), interval, range: (first, last), count })
    }
}

/// The median of figures; 0 for none.
pub(super) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    middle(&sorted)
}

fn middle(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => sorted[half],
        _ => (sorted[half - 1] + sorted[half]) / 2.0,
    }
}

/// How many of `count` sorted figures can be left out at each end so that what remains still holds the median with 95 %:
/// each figure is above or below the median like a tossed coin.
fn ranks_outside(count: usize) -> usize {
    let mut term = 0.5_f64.powi(i32::try_from(count).unwrap_or(i32::MAX));
    let mut tail = term;
    let mut skipped = 0;
    while tail <= 0.025 && skipped < count / 2 {
        skipped += 1;
        term *= (count - skipped + 1) as f64 / skipped as f64;
        tail += term;
    }
    skipped.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_numbers_of_figures() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
        assert!(Summary::of(&[]).is_none());
    }

    #[test]
    fn intervals_are_those_of_the_sign_test() {
        // ranks (from 1) of the usual tables: 6 figures 1..6, 10 figures 2..9, 20 figures 6..15, 30 figures 10..21
        for (count, low, high) in [(3, 1, 3), (5, 1, 5), (6, 1, 6), (10, 2, 9), (20, 6, 15), (30, 10, 21)] {
            let figures: Vec<f64> = (1..=count).rev().map(f64::from).collect();
            let summary = Summary::of(&figures).expect("figures");
            assert_eq!(summary.interval, (f64::from(low), f64::from(high)), "{count} figures");
            assert_eq!(summary.range, (1.0, f64::from(count)));
        }
    }
}
