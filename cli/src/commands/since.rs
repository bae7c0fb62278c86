//! Moments as people give them.

use std::time::Duration;

use netdeed_tracker::control::api::TimeView;
use netdeed_tracker::model::time::WallTime;

/// A moment: so long ago (`90s`, `10m`, `2h`, `3d`, `1w`), or a time in RFC 3339, or a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    Ago(Duration),
    At(TimeView),
}

impl Since {
    /// The moment, seen from now.
    pub(crate) fn moment(self, now: WallTime) -> TimeView {
        match self {
            Self::At(time) => time,
            Self::Ago(ago) => {
                TimeView(WallTime(now.0.saturating_sub(i64::try_from(ago.as_nanos()).unwrap_or(i64::MAX))))
            }
        }
    }
}

impl std::str::FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(time) = text.parse() {
            return Ok(Self::At(time));
        }
        let unit = match text.chars().last() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3_600,
            Some('d') => 86_400,
            Some('w') => 604_800,
            _ => 0,
        };
        let number = text.get(..text.len().saturating_sub(1)).and_then(|digits| digits.parse::<u32>().ok());
        match number {
            Some(number) if unit > 0 => Ok(Self::Ago(Duration::from_secs(u64::from(number) * unit))),
            _ => Err("expected a time such as `10m`, `2h`, `3d` or `2026-05-04T03:02:01Z`".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_count_back_from_now() {
        let now = WallTime(1_000_000 * 1_000_000_000);
        let moment = |text: &str| text.parse::<Since>().map(|since| since.moment(now).0.seconds());
        assert_eq!(moment("90s"), Ok(999_910));
        assert_eq!(moment("10m"), Ok(999_400));
        assert_eq!(moment("1d"), Ok(913_600));
        assert_eq!(moment("1970-01-02"), Ok(86_400));
        for bad in ["", "m", "10", "-1h", "10 m", "1.5h", "yesterday", "10ü"] {
            assert!(moment(bad).is_err(), "{bad}");
        }
    }
}
