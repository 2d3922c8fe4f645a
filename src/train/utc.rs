//! Calendar time in UTC, as run names and manifests need it; nothing else of a calendar is used,
//! so no time crate is.

use std::time::{SystemTime, UNIX_EPOCH};

const SECONDS_PER_DAY: u64 = 86_400;

/// A moment in UTC, to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Utc {
    /// Year, 1970 and later.
    pub year: u64,
    /// Month, 1 to 12.
    pub month: u64,
    /// Day of the month, 1 to 31.
    pub day: u64,
    /// Second of the day, 0 to 86 399.
    pub second_of_day: u64,
}

impl Utc {
    /// Now, by the system clock. A clock set before 1970 counts as 1970.
    pub fn now() -> Self {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self::from_unix_seconds(since_epoch.as_secs())
    }

    /// The moment `seconds` after 1970-01-01 00:00:00 UTC, leap seconds not counted, as Unix does.
    /// Seconds after the year 9999 count as its last second.
    pub fn from_unix_seconds(seconds: u64) -> Self {
        const LAST: u64 = 253_402_300_799;
        let seconds = seconds.min(LAST);
        let mut day = seconds / SECONDS_PER_DAY;
        let mut year = 1970;
        while day >= days_in_year(year) {
            day -= days_in_year(year);
            year += 1;
        }
        let mut month = 1;
        while day >= days_in_month(year, month) {
            day -= days_in_month(year, month);
            month += 1;
        }
        Self {
            year,
            month,
            day: day + 1,
            second_of_day: seconds % SECONDS_PER_DAY,
        }
    }

    /// For file names: `20260131-235959`.
    pub fn compact(&self) -> String {
        let (hour, minute, second) = self.clock();
        let Self {
            year, month, day, ..
        } = self;
        format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}")
    }

    /// As ISO 8601 and RFC 3339 write it: `2026-01-31T23:59:59Z`.
    pub fn iso(&self) -> String {
        let (hour, minute, second) = self.clock();
        let Self {
            year, month, day, ..
        } = self;
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    fn clock(&self) -> (u64, u64, u64) {
        let second = self.second_of_day;
        (second / 3600, second / 60 % 60, second % 60)
    }
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in_year(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

fn days_in_month(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values: GNU `date -u -d @SECONDS +%FT%TZ`.
    #[test]
    fn known_moments() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (1_735_689_600, "2025-01-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (u64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(Utc::from_unix_seconds(seconds).iso(), expected);
        }
        assert_eq!(
            Utc::from_unix_seconds(1_709_251_199).compact(),
            "20240229-235959"
        );
    }
}
