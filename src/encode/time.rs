//! Times as dialects write them that do not count milliseconds.

use crate::market::Millis;

/// Appends a time as RFC 3339 has it, in UTC and with milliseconds: `2025-04-03T10:15:30.000Z`, which
/// is also what JavaScript's `toISOString` writes.
pub fn rfc3339(time: Millis, out: &mut Vec<u8>) {
    let (day, rest) = (time.div_euclid(DAY), time.rem_euclid(DAY));
    let (year, month, day) = civil(day);
    digits(year, 4, out);
    for (before, number, width) in [
        (b'-', month, 2),
        (b'-', day, 2),
        (b'T', rest / 3_600_000, 2),
        (b':', rest / 60_000 % 60, 2),
        (b':', rest / 1_000 % 60, 2),
        (b'.', rest % 1_000, 3),
    ] {
        out.push(before);
        digits(number, width, out);
    }
    out.push(b'Z');
}

/// The same as text.
pub fn rfc3339_text(time: Millis) -> String {
    let mut text = Vec::with_capacity(24);
    rfc3339(time, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Year, month and day of month of the `day`th day since 1970.
///
/// Years begin in March here, so that the leap day is the last of them: Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
const fn civil(day: i64) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + (month <= 2) as i64;
    (year, month, day_of_year - (153 * from_march + 2) / 5 + 1)
}

fn digits(number: i64, width: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + width, b'0');
    let mut left = number.unsigned_abs();
    for place in out[start..].iter_mut().rev() {
        *place = b'0' + u8::try_from(left % 10).unwrap_or(0);
        left /= 10;
    }
}

const DAY: Millis = 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_javascript_writes_them() {
        for (time, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
            (1_743_675_330_000, "2025-04-03T10:15:30.000Z"),
            (4_102_444_799_001, "2099-12-31T23:59:59.001Z"),
        ] {
            assert_eq!(rfc3339_text(time), text);
        }
    }
}
