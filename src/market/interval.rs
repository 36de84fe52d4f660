//! The ten bar intervals and where each of them begins, in UTC.

use super::Millis;

const MINUTE: Millis = 60_000;
const DAY: Millis = 24 * 60 * MINUTE;

/// The length of a bar. Weeks begin on Monday, months on the 1st, all at 00:00 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Interval {
    /// One minute.
    M1,
    /// Three minutes.
    M3,
    /// Five minutes.
    M5,
    /// A quarter of an hour.
    M15,
    /// Half an hour.
    M30,
    /// One hour.
    H1,
    /// Four hours.
    H4,
    /// One day.
    D1,
    /// One week.
    W1,
    /// One calendar month.
    Month1,
}

impl Interval {
    /// All of them, shortest first.
    pub const ALL: [Interval; 10] = [
        Interval::M1,
        Interval::M3,
        Interval::M5,
        Interval::M15,
        Interval::M30,
        Interval::H1,
        Interval::H4,
        Interval::D1,
        Interval::W1,
        Interval::Month1,
    ];

    /// The name that clients use; a month is `1M`, a minute `1m`.
    pub const fn name(self) -> &'static str {
        match self {
            Interval::M1 => "1m",
            Interval::M3 => "3m",
            Interval::M5 => "5m",
            Interval::M15 => "15m",
            Interval::M30 => "30m",
            Interval::H1 => "1h",
            Interval::H4 => "4h",
            Interval::D1 => "1d",
            Interval::W1 => "1w",
            Interval::Month1 => "1M",
        }
    }

    /// The interval of that name, case and all.
    pub fn from_name(name: &str) -> Option<Interval> {
        Interval::ALL.into_iter().find(|interval| interval.name() == name)
    }

    /// When the bar that holds `time` opened.
    pub fn open_time(self, time: Millis) -> Millis {
        match self.fixed() {
            Some((length, offset)) => (time - offset).div_euclid(length) * length + offset,
            None => month_start(time.div_euclid(DAY)).0 * DAY,
        }
    }

    /// When the bar that opened at `open_time` gives way to the next: the first moment after it.
    pub fn close_time(self, open_time: Millis) -> Millis {
        match self.fixed() {
            Some((length, _)) => open_time + length,
            None => {
                let (start, length) = month_start(open_time.div_euclid(DAY));
                (start + length) * DAY
            }
        }
    }

    /// Length and the time of any one opening, in milliseconds; `None` for months.
    const fn fixed(self) -> Option<(Millis, Millis)> {
        // 1970-01-01 was a Thursday, so that weeks open four days after the epoch.
        Some(match self {
            Interval::M1 => (MINUTE, 0),
            Interval::M3 => (3 * MINUTE, 0),
            Interval::M5 => (5 * MINUTE, 0),
            Interval::M15 => (15 * MINUTE, 0),
            Interval::M30 => (30 * MINUTE, 0),
            Interval::H1 => (60 * MINUTE, 0),
            Interval::H4 => (240 * MINUTE, 0),
            Interval::D1 => (DAY, 0),
            Interval::W1 => (7 * DAY, 4 * DAY),
            Interval::Month1 => return None,
        })
    }
}

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The first day (since 1970) and the number of days of the month that holds `day`.
///
/// Years begin in March here, so that the leap day is the last of them: Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn month_start(day: i64) -> (i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5;
    let length = if month_from_march == 11 {
        let year = era * 400 + year_of_era + 1;
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        28 + i64::from(leap)
    } else {
        (153 * (month_from_march + 1) + 2) / 5 - (153 * month_from_march + 2) / 5
    };
    (day - day_of_month, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-02-29 23:59:59.999 UTC, a Thursday.
    const LEAP_DAY_END: Millis = 1_709_251_199_999;

    #[track_caller]
    fn check(interval: Interval, time: Millis, open: Millis, close: Millis) {
        assert_eq!(interval.open_time(time), open, "{interval} open");
        assert_eq!(interval.close_time(open), close, "{interval} close");
        assert_eq!(interval.open_time(close), close, "{interval} bars touch");
    }

    #[test]
    fn bars_open_on_round_utc_times() {
        check(Interval::M1, LEAP_DAY_END, 1_709_251_140_000, 1_709_251_200_000);
        check(Interval::H4, LEAP_DAY_END, 1_709_236_800_000, 1_709_251_200_000);
        check(Interval::D1, LEAP_DAY_END, 1_709_164_800_000, 1_709_251_200_000);
    }

    #[test]
    fn weeks_open_on_monday() {
        // Monday 2024-02-26 to Monday 2024-03-04.
        check(Interval::W1, LEAP_DAY_END, 1_708_905_600_000, 1_709_510_400_000);
        check(Interval::W1, -1, -3 * DAY, 4 * DAY);
    }

    #[test]
    fn months_open_on_the_first_and_know_leap_years() {
        check(Interval::Month1, LEAP_DAY_END, 1_706_745_600_000, 1_709_251_200_000);
        check(Interval::Month1, LEAP_DAY_END + 1, 1_709_251_200_000, 1_711_929_600_000);
        check(Interval::Month1, 0, 0, 31 * DAY);
        // February 2100 has 28 days, and 1969-12 had 31.
        check(Interval::Month1, 4_107_542_399_999, 4_105_123_200_000, 4_107_542_400_000);
        check(Interval::Month1, -1, -31 * DAY, 0);
    }

    #[test]
    fn names_are_read_back() {
        for interval in Interval::ALL {
            assert_eq!(Interval::from_name(interval.name()), Some(interval));
        }
        assert_eq!(Interval::from_name("1W"), None);
    }
}
