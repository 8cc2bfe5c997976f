//! Points in time as text, always in UTC.

use crate::types::UnixTime;

/// The last second of the year 9999: both formats have four digits for the year.
const LAST_SECOND: u64 = 253_402_300_799;
/// Seconds of a day.
const DAY_SECONDS: u64 = 86_400;
/// Days from 0000-03-01 to 1970-01-01. Years counted from March have their leap day at the end.
const MARCH_ZERO_TO_EPOCH_DAYS: u64 = 719_468;
/// Days of 400 Gregorian years.
const ERA_DAYS: u64 = 146_097;

const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A date of the Gregorian calendar and a time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Civil {
    year: u64,
    /// 1 to 12.
    month: u64,
    /// 1 to 31.
    day: u64,
    /// 0 is Thursday, the first day of Unix time.
    weekday: u64,
    hour: u64,
    minute: u64,
    second: u64,
}

impl Civil {
    /// What the calendar and the clock show; the last second of 9999 for everything after it.
    fn of(time: UnixTime) -> Self {
        let seconds = time.0.min(LAST_SECOND);
        let days = seconds / DAY_SECONDS;
        let of_day = seconds % DAY_SECONDS;
        let (year, month, day) = calendar(days);
        Self {
            year,
            month,
            day,
            weekday: days % 7,
            hour: of_day / 3_600,
            minute: of_day % 3_600 / 60,
            second: of_day % 60,
        }
    }
}

/// Year, month and day of a day counted from 1970-01-01. Years are reckoned from 1 March, so that the
/// length of a month depends on its number alone: 153 days are five months from March.
fn calendar(days: u64) -> (u64, u64, u64) {
    let since_zero = days.saturating_add(MARCH_ZERO_TO_EPOCH_DAYS);
    let era = since_zero / ERA_DAYS;
    let day_of_era = since_zero % ERA_DAYS;
    let year_of_era = day_of_era
        .saturating_sub(day_of_era / 1_460)
        .saturating_add(day_of_era / 36_524)
        .saturating_sub(day_of_era / 146_096)
        / 365;
    let days_of_years =
        year_of_era.saturating_mul(365).saturating_add(year_of_era / 4).saturating_sub(year_of_era / 100);
    let day_of_year = day_of_era.saturating_sub(days_of_years);
    let month_from_march = day_of_year.saturating_mul(5).saturating_add(2) / 153;
    let days_of_months = month_from_march.saturating_mul(153).saturating_add(2) / 5;
    let day = day_of_year.saturating_sub(days_of_months).saturating_add(1);
    let (month, next_year) = match month_from_march {
        0..=9 => (month_from_march.saturating_add(3), 0),
        _ => (month_from_march.saturating_sub(9), 1),
    };
    (era.saturating_mul(400).saturating_add(year_of_era).saturating_add(next_year), month, day)
}

/// `table[index]` with the index counted from zero; empty where there is none.
fn name(table: &[&'static str], index: u64) -> &'static str {
    usize::try_from(index).ok().and_then(|index| table.get(index)).copied().unwrap_or_default()
}

/// As in a Date field (RFC 5322 section 3.3): `Tue, 24 Nov 2026 04:47:37 +0000`. Always 31 characters; a time
/// after the year 9999 is written as its last second.
#[must_use]
pub fn rfc5322(time: UnixTime) -> String {
    let Civil { year, month, day, weekday, hour, minute, second } = Civil::of(time);
    format!(
        "{}, {day:02} {} {year:04} {hour:02}:{minute:02}:{second:02} +0000",
        name(&WEEKDAYS, weekday),
        name(&MONTHS, month.saturating_sub(1)),
    )
}

/// As scripts and logs read it (RFC 3339 section 5.6): `2026-11-24T04:47:37Z`. Always 20 characters; a time
/// after the year 9999 is written as its last second.
#[must_use]
pub fn rfc3339(time: UnixTime) -> String {
    let Civil { year, month, day, weekday: _, hour, minute, second } = Civil::of(time);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Reads what [`rfc3339`] writes, and nothing else: no fractions, no other zone.
#[must_use]
pub fn from_rfc3339(text: &str) -> Option<UnixTime> {
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u64>().ok())?
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let time = days_since_epoch(year, month, day)?
        .checked_mul(DAY_SECONDS)?
        .checked_add(hour.checked_mul(3_600)?)?
        .checked_add(minute.checked_mul(60)?)?
        .checked_add(second)?;
    // What is out of range or written otherwise comes out as another text.
    (rfc3339(UnixTime(time)) == text).then_some(UnixTime(time))
}

/// The reverse of [`calendar`]; what it gives for a day that does not exist means nothing.
fn days_since_epoch(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, month_from_march) = match month {
        1 | 2 => (year.checked_sub(1)?, month.checked_add(9)?),
        _ => (year, month.checked_sub(3)?),
    };
    let days_of_months = month_from_march.checked_mul(153)?.checked_add(2)? / 5;
    year.checked_mul(365)?
        .checked_add(year / 4)?
        .checked_sub(year / 100)?
        .checked_add(year / 400)?
        .checked_add(days_of_months)?
        .checked_add(day.checked_sub(1)?)?
        .checked_sub(MARCH_ZERO_TO_EPOCH_DAYS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times_read_as_they_should() {
        for (seconds, mail, log) in [
            (0, "Thu, 01 Jan 1970 00:00:00 +0000", "1970-01-01T00:00:00Z"),
            (1_795_495_657, "Tue, 24 Nov 2026 04:47:37 +0000", "2026-11-24T04:47:37Z"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 +0000", "2000-02-29T00:00:00Z"),
            (951_868_799, "Tue, 29 Feb 2000 23:59:59 +0000", "2000-02-29T23:59:59Z"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 +0000", "2000-03-01T00:00:00Z"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 +0000", "2100-03-01T00:00:00Z"),
            (LAST_SECOND, "Fri, 31 Dec 9999 23:59:59 +0000", "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc5322(UnixTime(seconds)), mail);
            assert_eq!(rfc3339(UnixTime(seconds)), log);
        }
    }

    #[test]
    fn a_time_after_the_year_9999_is_its_last_second() {
        for seconds in [LAST_SECOND + 1, u64::MAX / 2, u64::MAX] {
            assert_eq!(rfc3339(UnixTime(seconds)), "9999-12-31T23:59:59Z");
        }
    }

    #[test]
    fn every_day_of_eight_thousand_years_follows_the_one_before_it() {
        let leap = |y: u64| (y.is_multiple_of(4) && !y.is_multiple_of(100)) || y.is_multiple_of(400);
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..=LAST_SECOND / DAY_SECONDS {
            assert_eq!(calendar(days), (year, month, day));
            let length = match month {
                2 => 28 + u64::from(leap(year)),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > length {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
        assert_eq!((year, month, day), (10_000, 1, 1));
    }

    #[test]
    fn a_written_time_is_read_back() {
        for seconds in (0..LAST_SECOND).step_by(86_400 * 17 + 4_321) {
            assert_eq!(from_rfc3339(&rfc3339(UnixTime(seconds))), Some(UnixTime(seconds)));
        }
    }

    #[test]
    fn what_is_no_time_is_not_read() {
        for text in [
            "",
            "2026-11-24",
            "2026-11-24T04:47:37",
            "2026-11-24T04:47:37+00:00",
            "2026-11-24 04:47:37Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:60Z",
            "1969-12-31T23:59:59Z",
            "+026-11-24T04:47:37Z",
            "2026-11-24T04:47:37Z ",
            "2026-11-2\u{e9}T04:47:37Z",
        ] {
            assert_eq!(from_rfc3339(text), None, "{text:?}");
        }
    }
}
