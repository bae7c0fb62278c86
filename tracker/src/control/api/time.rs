//! Times as the API writes them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::model::time::WallTime;

/// A moment, written as RFC 3339 in UTC with microseconds: `2026-05-04T03:02:01.123456Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeView(pub WallTime);

/// A text that is no moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a time such as `2026-05-04T03:02:01Z` but found `{0}`")]
pub struct BadTime(pub String);

impl fmt::Display for TimeView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<WallTime> for TimeView {
    fn from(time: WallTime) -> Self {
        Self(time)
    }
}

impl From<TimeView> for String {
    fn from(time: TimeView) -> Self {
        time.to_string()
    }
}

impl TryFrom<String> for TimeView {
    type Error = BadTime;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl FromStr for TimeView {
    type Err = BadTime;

    /// Parses RFC 3339 (a space instead of the `T` will do), or a date alone, which means its midnight in UTC.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map(|nanos| Self(WallTime(nanos))).ok_or_else(|| BadTime(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<i64> {
    if !text.is_ascii() {
        return None;
    }
    let (year, month, day) = (digits(text, 0, 4)?, digits(text, 5, 2)?, digits(text, 8, 2)?);
    if text.get(4..5)? != "-" || text.get(7..8)? != "-" {
        return None;
    }
    let days = days_from_civil(year, month, day)?;
    if text.len() == 10 {
        return days.checked_mul(86_400_000_000_000);
    }
    let (hour, minute, second) = (digits(text, 11, 2)?, digits(text, 14, 2)?, digits(text, 17, 2)?);
    let is_shaped =
        matches!(text.get(10..11)?, "T" | "t" | " ") && text.get(13..14)? == ":" && text.get(16..17)? == ":";
    if !is_shaped || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (nanos, zone) = fraction(text.get(19..)?)?;
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offset_seconds(zone)?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

fn digits(text: &str, at: usize, count: usize) -> Option<i64> {
    let part = text.get(at..at + count)?;
    part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?
}

/// Splits `.123456Z` into nanoseconds and the zone behind them; digits past the ninth are dropped.
fn fraction(text: &str) -> Option<(i64, &str)> {
    let Some(rest) = text.strip_prefix('.') else { return Some((0, text)) };
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let digits = &rest[..end];
    if digits.is_empty() {
        return None;
    }
    let nanos: String = digits.chars().chain(std::iter::repeat('0')).take(9).collect();
    Some((nanos.parse().ok()?, &rest[end..]))
}

fn offset_seconds(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let sign = match zone.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = (digits(zone, 1, 2)?, digits(zone, 4, 2)?);
    (zone.len() == 6 && zone.get(3..4)? == ":" && hours < 24 && minutes < 60)
        .then_some(sign * (hours * 3_600 + minutes * 60))
}

/// Days from 1970-01-01 to a proleptic Gregorian date, counting years from March so that leap days come last.
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    let shifted_year = year - i64::from(month <= 2);
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_round_trip_through_their_text() {
        for nanos in [0, 951_827_696_000_001_000, -1_000, 1_777_863_721_123_456_000] {
            let time = TimeView(WallTime(nanos));
            assert_eq!(time.to_string().parse(), Ok(time));
        }
    }

    #[test]
    fn offsets_fractions_and_bare_dates_are_understood() {
        let nanos = |text: &str| text.parse::<TimeView>().map(|time| time.0.0);
        assert_eq!(nanos("1970-01-01T01:00:00+01:00"), Ok(0));
        assert_eq!(nanos("1969-12-31 18:30:00.5-05:30"), Ok(500_000_000));
        assert_eq!(nanos("1970-01-02"), Ok(86_400_000_000_000));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "",
            "now",
            "2026-02-29",
            "2026-13-01",
            "2026-05-04T24:00:00Z",
            "2026-05-04T03:02:01",
            "2026-05-04T03:02:01.Z",
            "2026-05-04T03:02:01+1:00",
            "２026-05-04",
        ] {
            assert_eq!(bad.parse::<TimeView>(), Err(BadTime(bad.to_owned())), "{bad}");
        }
    }
}
