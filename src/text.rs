//! Counts, sizes, durations and numbers as a person at a terminal reads them, and numbers and rows as
//! CSV files keep them. What pages need beyond that is in [`crate::report::text`].

/// A number of things: `1 batch`, `2 batches`.
pub fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// A number of bytes.
pub fn bytes(bytes: u64) -> String {
    if bytes < 1 << 20 {
        return format!("{} KiB", bytes.div_ceil(1 << 10));
    }
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib < 10.0 {
        format!("{mib:.1} MiB")
    } else if mib < 1024.0 {
        format!("{mib:.0} MiB")
    } else {
        format!("{:.1} GiB", mib / 1024.0)
    }
}

/// A duration: `0.4 s`, `48 s`, `16 min 38 s`, `1 h 02 min`, `3 d 04 h`.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "unknown".to_owned();
    }
    // Rounded first, so that no part shows as 60; a negative zero is none.
    if seconds < 9.95 {
        return format!("{:.1} s", seconds.abs());
    }
    let whole = seconds.round() as u64;
    let (minutes, hours, days) = (whole / 60, whole / 3600, whole / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{whole} s"),
        (0, 0, _) => format!("{minutes} min {:02} s", whole % 60),
        (0, _, _) => format!("{hours} h {:02} min", minutes % 60),
        _ => format!("{days} d {:02} h", hours % 24),
    }
}

/// A number of any size in three digits or more.
pub fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 1e7 => format!("{value:.2e}"),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size >= 0.001 => format!("{value:.4}"),
        _ => format!("{value:.2e}"),
    }
}

/// A number with fixed decimals, or with an exponent where those would show nothing of it.
pub fn fixed(value: f64, decimals: usize) -> String {
    let size = value.abs();
    let smallest = 0.5 * 10_f64.powi(-i32::try_from(decimals).unwrap_or(i32::MAX));
    if size != 0.0 && size.is_finite() && (size >= 1e6 || size < smallest) {
        format!("{value:.1e}")
    } else {
        format!("{value:.decimals$}")
    }
}

/// A number in the fewest digits that give it back; empty where it is NaN.
pub fn exact(value: f64) -> String {
    match value {
        value if value.is_nan() => String::new(),
        // Without the sign of a negative zero.
        0.0 => "0".to_owned(),
        value => value.to_string(),
    }
}

/// Rows of equal length as CSV (RFC 4180, a line feed after each row).
///
/// # Errors
/// Rows of different lengths.
pub fn csv<R>(rows: impl IntoIterator<Item = R>) -> Result<Vec<u8>, csv::Error>
where
    R: IntoIterator<Item: AsRef<[u8]>>,
{
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row)?;
    }
    writer
        .into_inner()
        .map_err(|error| csv::Error::from(error.into_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits_or_more() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (123_456.7, "123457"),
            (12.345, "12.3"),
            (1.2345, "1.23"),
            (0.01234, "0.0123"),
            (1.5e-7, "1.50e-7"),
            (1.25e16, "1.25e16"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn numbers_of_files_come_back_and_gaps_are_empty() {
        for value in [0.0, 0.1, -7.25, 1e300, 1e-12, 87.5, 1.0 / 3.0] {
            assert_eq!(exact(value).parse::<f64>().unwrap(), value);
        }
        assert_eq!(exact(f64::NAN) + &exact(-0.0), "0");
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        let rows = [["cell", "rate_hz"], ["a,\"b\"", "1.5"], ["c", ""]];
        let text = csv(rows).unwrap();
        assert_eq!(text, b"cell,rate_hz\n\"a,\"\"b\"\"\",1.5\nc,\n");
        assert!(csv([vec!["a", "b"], vec!["c"]]).is_err());
    }

    #[test]
    fn sizes_and_counts_are_said_as_people_do() {
        assert_eq!(count(1, "class", "classes"), "1 class");
        assert_eq!(count(0, "class", "classes"), "0 classes");
        for (size, text) in [
            (1, "1 KiB"),
            (1 << 20, "1.0 MiB"),
            (12 << 20, "12 MiB"),
            (3 << 30, "3.0 GiB"),
        ] {
            assert_eq!(bytes(size), text);
        }
    }

    #[test]
    fn numbers_stay_readable() {
        for (value, decimals, expected) in [
            (0.0, 2, "0.00"),
            (0.004, 2, "4.0e-3"),
            (0.005, 2, "0.01"),
            (-1.5, 1, "-1.5"),
            (2e6, 2, "2.0e6"),
        ] {
            assert_eq!(fixed(value, decimals), expected);
        }
    }

    #[test]
    fn durations_read_well() {
        for (seconds, expected) in [
            (0.0, "0.0 s"),
            (0.44, "0.4 s"),
            (9.94, "9.9 s"),
            (9.96, "10 s"),
            (59.4, "59 s"),
            (59.6, "1 min 00 s"),
            (998.0, "16 min 38 s"),
            (3599.7, "1 h 00 min"),
            (3720.0, "1 h 02 min"),
            (86_400.0 * 3.0 + 4.0 * 3600.0, "3 d 04 h"),
            (f64::NAN, "unknown"),
            (-1.0, "unknown"),
            (-0.0, "0.0 s"),
        ] {
            assert_eq!(duration(seconds), expected);
        }
    }
}
