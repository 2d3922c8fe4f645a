//! Numbers and words as a reader of the page sees them.

/// Stands where there is no number.
pub const NOTHING: &str = "–";

/// A number with four significant digits; small and large ones with a power of ten.
pub fn number(value: f64) -> String {
    quantity(value, None)
}

/// A mean and its spread, to the same decimal place.
pub fn spread(mean: f64, sd: f64) -> String {
    quantity(mean, Some(sd).filter(|sd| sd.is_finite()))
}

/// As [`number`], with a sign also where it is positive.
pub fn signed(value: f64) -> String {
    let text = number(value);
    if value > 0.0 {
        format!("+{text}")
    } else {
        text
    }
}

/// A number as it was written, with the minus sign of typographers.
pub fn exact(value: f64) -> String {
    if value.is_nan() {
        return NOTHING.into();
    }
    if value == 0.0 || (1e-3..1e9).contains(&value.abs()) {
        return minus(&value.to_string());
    }
    let text = format!("{value:e}");
    match text
        .split_once('e')
        .map(|(digits, power)| (digits, power.parse()))
    {
        Some((digits, Ok(power))) => minus(&format!("{digits}×10{}", superscript(power))),
        _ => minus(&text),
    }
}

fn quantity(value: f64, sd: Option<f64>) -> String {
    if value.is_nan() {
        return NOTHING.into();
    }
    if !value.is_finite() {
        return minus(&value.to_string()).replace("inf", "∞");
    }
    // A mean of zero is written to the place of its spread.
    let size = value.abs().max(sd.unwrap_or(0.0));
    let exponent = if size == 0.0 {
        0
    } else {
        size.log10().floor() as i32
    };
    let is_plain = (-3..6).contains(&exponent);
    let scale = if is_plain { 1.0 } else { 10_f64.powi(exponent) };
    let decimals = if size == 0.0 {
        0
    } else if is_plain {
        // Whole numbers need no decimals, unless a spread has some.
        let is_whole = value.fract() == 0.0 && sd.is_none_or(|sd| sd.fract() == 0.0);
        if is_whole {
            0
        } else {
            (3 - exponent).clamp(0, 6) as usize
        }
    } else {
        2
    };
    let mut text = minus(&format!("{:.decimals$}", value / scale));
    if let Some(sd) = sd {
        text += &format!(" ± {:.decimals$}", sd / scale);
    }
    match (is_plain, sd) {
        (true, _) => text,
        (false, None) => format!("{text}×10{}", superscript(exponent)),
        (false, Some(_)) => format!("({text})×10{}", superscript(exponent)),
    }
}

fn minus(text: &str) -> String {
    text.replace('-', "−")
}

fn superscript(exponent: i32) -> String {
    let raise = |c: char| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        // The other digits lie side by side.
        digit => char::from_u32(0x2070 + digit.to_digit(10).unwrap_or(0)).unwrap_or(digit),
    };
    exponent.to_string().chars().map(raise).collect()
}

/// The text with a capital letter first.
pub fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

/// `a`, `a and b`, `a, b and c`.
pub fn list(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// The unit as it is written behind a number: pure numbers have none.
pub fn unit(unit: &str) -> &str {
    if unit == "1" { "" } else { unit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_four_digits_and_no_more() {
        for (value, text) in [
            (87.5, "87.50"),
            (9.01234, "9.012"),
            (315.24, "315.2"),
            (0.0078125, "0.007812"),
            (-0.0561, "−0.05610"),
            (0.000_021_3, "2.13×10⁻⁵"),
            (1.5e7, "1.50×10⁷"),
            (0.0, "0"),
            (100.0, "100"),
            (f64::NAN, "–"),
            (f64::NEG_INFINITY, "−∞"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_mean_and_its_spread_end_at_the_same_place() {
        assert_eq!(spread(87.75, 0.433), "87.75 ± 0.43");
        assert_eq!(spread(0.000_02, 0.000_001), "(2.00 ± 0.10)×10⁻⁵");
        assert_eq!(spread(9.0, f64::NAN), "9");
        assert_eq!(spread(0.0, 0.0), "0 ± 0");
        assert_eq!(signed(0.25), "+0.2500");
        assert_eq!(
            [exact(4e-4), exact(-0.25), exact(1024.0)],
            ["4×10⁻⁴", "−0.25", "1024"]
        );
    }

    #[test]
    fn words_are_joined_as_people_do() {
        let words = ["a", "b", "c"].map(String::from);
        assert_eq!(list(&words), "a, b and c");
        assert_eq!(list(&words[..2]), "a and b");
    }
}
