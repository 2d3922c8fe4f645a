//! The numbers of a figure, as the CSV file beside it.

use crate::text;

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
        self.rows.push(
            words
                .chain(numbers.iter().map(|n| text::exact(*n)))
                .collect(),
        );
    }

    /// The table as CSV.
    ///
    /// # Errors
    /// A row that is not as long as the header.
    pub fn csv(&self) -> Result<Vec<u8>, csv::Error> {
        text::csv(std::iter::once(&self.header).chain(&self.rows))
    }
}
