//! The socket, the machine, the time and the rule itself.

use super::super::line::Line;
use super::extension::Extensions;
use super::words::{not, plain, quoted};
use crate::decode::xt::meta::{Cgroup0, Cgroup1, Cgroup2, Comment, Cpu, Idletimer1, Osf, Owner, Socket, Time};

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

pub(super) fn comment(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    line.push(" --comment");
    quoted(line, Comment::read(info)?.text.bytes());
    Some(())
}

pub(super) fn owner(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Owner { uid, gid, matched, invert } = Owner::read(info)?;
    if matched & 4 != 0 {
        not(line, invert & 4 != 0);
        line.push(" --socket-exists");
    }
    for (bit, [from, to], option) in [(1, uid, "uid"), (2, gid, "gid")] {
        if matched & bit != 0 {
            not(line, invert & bit != 0);
            write!(line, " --{option}-owner {from}");
            if from != to {
                write!(line, "-{to}");
            }
        }
    }
    if matched & 8 != 0 {
        line.push(" --suppl-groups");
    }
    Some(())
}

pub(super) fn cgroup0(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Cgroup0 { class, invert } = Cgroup0::read(info)?;
    not(line, invert != 0);
    write!(line, " --cgroup {class}");
    Some(())
}

pub(super) fn cgroup1(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let info = Cgroup1::read(info)?;
    cgroup(line, info.has_path.then_some((info.invert_path, info.path.bytes())), {
        info.has_class.then_some((info.invert_class, info.class))
    })
}

pub(super) fn cgroup2(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let info = Cgroup2::read(info)?;
    cgroup(line, info.has_path.then_some((info.invert_path, info.path.bytes())), {
        info.has_class.then_some((info.invert_class, info.class))
    })
}

fn cgroup(line: &mut Line, path: Option<(bool, &[u8])>, class: Option<(bool, u32)>) -> Option<()> {
    if let Some((is_inverted, path)) = path {
        not(line, is_inverted);
        line.push(" --path");
        quoted(line, path);
    }
    if let Some((is_inverted, class)) = class {
        not(line, is_inverted);
        write!(line, " --cgroup {class}");
    }
    Some(())
}

pub(super) fn cpu(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Cpu { cpu, invert } = Cpu::read(info)?;
    not(line, invert != 0);
    write!(line, " --cpu {cpu}");
    Some(())
}

pub(super) fn socket(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Socket { flags } = Socket::read(info)?;
    for (bit, option) in [(1, "transparent"), (2, "nowildcard"), (4, "restore-skmark")] {
        if flags & bit != 0 {
            write!(line, " --{option}");
        }
    }
    Some(())
}

pub(super) fn time(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Time { date: [start, stop], daytime: [from, to], monthdays, weekdays, flags } = Time::read(info)?;
    if (from, to) != (0, 24 * 60 * 60 - 1) {
        for (option, seconds) in [("timestart", from), ("timestop", to)] {
            write!(line, " --{option} ");
            clock(line, seconds);
        }
    }
    if monthdays != 0xffff_fffe {
        let days = (1..32_u32).filter(|day| monthdays & 1 << day != 0).map(|day| day.to_string());
        write!(line, " --monthdays {}", days.collect::<Vec<_>>().join(","));
    }
    if weekdays != 0xfe {
        let days = WEEKDAYS.iter().enumerate().filter(|(index, _)| weekdays & 2 << index != 0);
        write!(line, " --weekdays {}", days.map(|(_, name)| *name).collect::<Vec<_>>().join(","));
    }
    for (option, seconds, default) in [("datestart", start, 0), ("datestop", stop, u32::MAX)] {
        if seconds != default {
            write!(line, " --{option} ");
            date(line, seconds);
        }
    }
    if flags & 1 != 0 {
        line.push(" --kerneltz");
    }
    if flags & 2 != 0 {
        line.push(" --contiguous");
    }
    Some(())
}

fn clock(line: &mut Line, seconds: u32) {
    write!(line, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

/// Seconds since 1970, UTC.
fn date(line: &mut Line, seconds: u32) {
    let (year, month, day) = civil(seconds / 86_400);
    write!(line, "{year:04}-{month:02}-{day:02}T");
    clock(line, seconds % 86_400);
}

/// Year, month and day of a number of days since 1970.
fn civil(days: u32) -> (u32, u32, u32) {
    let (mut year, mut left) = (1970, days);
    let is_leap = |year: u32| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while left >= 365 + u32::from(is_leap(year)) {
        left -= 365 + u32::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u32::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    (year, month, left + 1)
}

pub(super) fn osf(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Osf { genre, flags, log_level, ttl } = Osf::read(info)?;
    not(line, flags & 8 != 0);
    line.push(" --genre");
    plain(line, genre.bytes());
    if flags & 2 != 0 {
        write!(line, " --ttl {ttl}");
    }
    if flags & 4 != 0 {
        write!(line, " --log {log_level}");
    }
    Some(())
}

pub(super) fn idletimer(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Idletimer1 { timeout, label, notify, kind } = Idletimer1::read(info)?;
    (!notify).then_some(())?;
    write!(line, " --timeout {timeout} --label");
    plain(line, label.bytes());
    if kind == 1 {
        line.push(" --alarm");
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::civil;

    #[test]
    fn days_are_dates() {
        let days = [0, 58, 59, 789, 10_957, 11_016, 11_017, 24_855];
        let dates = [
            (1970, 1, 1),
            (1970, 2, 28),
            (1970, 3, 1),
            (1972, 2, 29),
            (2000, 1, 1),
            (2000, 2, 29),
            (2000, 3, 1),
            (2038, 1, 19),
        ];
        assert_eq!(days.map(civil), dates);
    }
}
