//! Dates of the proleptic Gregorian calendar, from nanoseconds since 1970 in UTC.

use super::value::NANOS_PER_SECOND;

pub(crate) const SECONDS_PER_DAY: i64 = 86_400;

/// 0001-01-01T00:00:00Z.
pub(crate) const TIMESTAMP_MIN: i128 = -62_135_596_800 * NANOS_PER_SECOND;
/// Behind 9999-12-31T23:59:59.999999999Z.
pub(crate) const TIMESTAMP_END: i128 = 253_402_300_800 * NANOS_PER_SECOND;
/// Ten thousand years, as long as a duration may be.
const DURATION_MAX: i128 = 315_576_000_000 * NANOS_PER_SECOND;

/// Whether a timestamp can be so many nanoseconds from 1970.
pub(crate) fn is_timestamp(nanos: i128) -> bool {
    (TIMESTAMP_MIN..TIMESTAMP_END).contains(&nanos)
}

/// Whether a duration can be so many nanoseconds.
pub(crate) fn is_duration(nanos: i128) -> bool {
    (-DURATION_MAX..=DURATION_MAX).contains(&nanos)
}

/// A moment taken apart.
pub(crate) struct Civil {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
    /// From 1.
    pub(crate) day_of_year: i64,
    /// 1 is Monday, 7 is Sunday.
    pub(crate) day_of_week: i64,
    pub(crate) second_of_day: i64,
    pub(crate) nanos: i64,
}

/// Takes a timestamp apart.
pub(crate) fn civil(nanos: i128) -> Civil {
    let seconds = narrow(nanos.div_euclid(NANOS_PER_SECOND));
    let days = seconds.div_euclid(SECONDS_PER_DAY);
    let (year, month, day) = date_from_days(days);
    Civil {
        year,
        month,
        day,
        day_of_year: days - days_from_date(year, 1, 1) + 1,
        // 1970-01-01 was a Thursday.
        day_of_week: (days + 3).rem_euclid(7) + 1,
        second_of_day: seconds.rem_euclid(SECONDS_PER_DAY),
        nanos: narrow(nanos.rem_euclid(NANOS_PER_SECOND)),
    }
}

/// Midnight of a date as nanoseconds since 1970, if there is such a day in the years 1 to 9999.
pub(crate) fn midnight(year: i64, month: i64, day: i64) -> Option<i128> {
    andiron_protocol::Timestamp::from_date(year, month, day)
        .map(|moment| i128::from(moment.as_micros()) * 1000)
}

/// RFC 3339 with as many digits of fraction as are needed.
pub(crate) fn to_rfc3339(nanos: i128) -> String {
    let at = civil(nanos);
    let (hour, minute, second) = (
        at.second_of_day / 3600,
        at.second_of_day / 60 % 60,
        at.second_of_day % 60,
    );
    let mut text = format!(
        "{:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}",
        at.year, at.month, at.day
    );
    if at.nanos != 0 {
        text.push('.');
        text.push_str(format!("{:09}", at.nanos).trim_end_matches('0'));
    }
    text.push('Z');
    text
}

/// What is in range by the invariant of timestamps and durations.
pub(crate) fn narrow(number: i128) -> i64 {
    i64::try_from(number).unwrap_or(if number < 0 { i64::MIN } else { i64::MAX })
}

/// Days since 1970; the year is counted from March, so that the leap day is its last.
fn days_from_date(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_from_date`].
fn date_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = (shifted_month + 2) % 12 + 1;
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}
