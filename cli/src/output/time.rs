//! Times and durations as people read them.

use netdeed_tracker::control::api::TimeView;
use netdeed_tracker::model::time::WallTime;

use super::text::counted;

/// `2026-05-04 03:02:01 UTC`.
pub(crate) fn format_time(time: TimeView) -> String {
    format!("{} UTC", format_plain(time))
}

/// `2026-05-04 03:02:01`, for columns whose head says UTC.
pub(super) fn format_plain(time: TimeView) -> String {
    time.to_string().replacen('T', " ", 1).chars().take(19).collect()
}

/// `2026-05-04 03:02:01 UTC (3 days ago)`.
pub(super) fn format_time_ago(time: TimeView) -> String {
    let seconds = WallTime::now().seconds() - time.0.seconds();
    match u64::try_from(seconds) {
        Ok(seconds) => format!("{} ({} ago)", format_time(time), format_seconds(seconds)),
        // the clock was set back since
        Err(_) => format_time(time),
    }
}

/// `3 days ago`; the time itself when the clock was set back since.
pub(crate) fn format_ago(time: TimeView) -> String {
    match u64::try_from(WallTime::now().seconds() - time.0.seconds()) {
        Ok(seconds) => format!("{} ago", format_seconds(seconds)),
        Err(_) => format!("at {}", format_time(time)),
    }
}

/// The largest unit that fits: `42 s`, `5 min`, `3 h`, `12 days`.
pub(super) fn format_seconds(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => counted(seconds / 86_400, "day", "days"),
    }
}

/// How long ago, for a column: `42s`, `5min`, `3h`, `12d`; a dash when the clock was set back since.
pub(super) fn format_age(time: TimeView, now: WallTime) -> String {
    match u64::try_from(now.seconds() - time.0.seconds()) {
        Ok(seconds) => match seconds {
            0..=119 => format!("{seconds}s"),
            120..=7_199 => format!("{}min", seconds / 60),
            7_200..=172_799 => format!("{}h", seconds / 3_600),
            _ => format!("{}d", seconds / 86_400),
        },
        Err(_) => "-".to_owned(),
    }
}

/// `80 KiB`.
pub(super) fn format_bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1_024.0;
    let mut unit = 0;
    while value >= 1_024.0 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    if value < 10.0 { format!("{value:.1} {}", UNITS[unit]) } else { format!("{value:.0} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_short() {
        assert_eq!(["42 s", "2 min", "3 h", "3 days"], [42, 150, 12_000, 300_000].map(format_seconds));
        assert_eq!(["512 B", "1.5 KiB", "80 KiB", "3.0 GiB"], [512, 1_536, 81_920, 3 << 30].map(format_bytes));
    }
}
