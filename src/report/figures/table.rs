//! The numbers of a figure, as the CSV file beside it.

use std::fmt::Write;

/// A table of text; numbers are written so that reading them back gives the same number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Name of each column, with its unit.
    pub header: Vec<String>,
    /// Rows, each as long as the header. What does not exist is empty.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new(header: &[&str]) -> Self {
        Self {
            header: header.iter().map(|h| (*h).to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row: the words first, then the numbers.
    pub fn push(&mut self, words: &[&str], numbers: &[f64]) {
        let words = words.iter().map(|w| (*w).to_owned());
        self.rows
            .push(words.chain(numbers.iter().map(|n| number(*n))).collect());
    }

    /// The table as CSV (RFC 4180): commas, quotes where needed, a line feed after each row.
    pub fn csv(&self) -> String {
        let mut csv = String::new();
        for row in std::iter::once(&self.header).chain(&self.rows) {
            for (i, field) in row.iter().enumerate() {
                let comma = if i > 0 { "," } else { "" };
                // Writing to a string cannot fail.
                let _ = if field.contains([',', '"', '\n', '\r']) {
                    write!(csv, "{comma}\"{}\"", field.replace('"', "\"\""))
                } else {
                    write!(csv, "{comma}{field}")
                };
            }
            csv.push('\n');
        }
        csv
    }
}

/// A number in the fewest digits that give it back; empty where it is not finite.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return String::new();
    }
    let plain = value == 0.0 || (1e-5..1e15).contains(&value.abs());
    if plain {
        format!("{value}")
    } else {
        format!("{value:e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_gaps_are_empty() {
        for value in [0.0, 0.1, -7.25, 1e300, 1e-12, 87.5, 1.0 / 3.0] {
            assert_eq!(number(value).parse::<f64>().unwrap(), value);
            assert!(number(value).len() < 25);
        }
        assert_eq!(number(f64::NAN) + &number(f64::INFINITY), "");
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        let mut table = Table::new(&["cell", "rate_hz"]);
        table.push(&["a,\"b\""], &[1.5]);
        table.push(&["c"], &[f64::NAN]);
        assert_eq!(table.csv(), "cell,rate_hz\n\"a,\"\"b\"\"\",1.5\nc,\n");
    }
}
