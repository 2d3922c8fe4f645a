//! Tables of the page. One value has two renderings: what a reader sees, rounded, and the lines of
//! `numbers.csv`, exact.

use maud::{Markup, html};

use super::text::{NOTHING, exact, number, signed, spread, unit};
use crate::text;

/// A table with a name in every row.
#[derive(Clone, Debug, Default)]
pub struct NumberTable {
    /// Anchor on the page and name in `numbers.csv`.
    pub id: String,
    /// What is shown.
    pub caption: String,
    /// Head of the column of row names.
    pub corner: String,
    /// Heads and units of the other columns.
    pub columns: Vec<Column>,
    /// The rows.
    pub rows: Vec<TableRow>,
    /// Explanations below the table, a paragraph each.
    pub notes: Vec<String>,
}

/// A column's head.
#[derive(Clone, Debug)]
pub struct Column {
    /// What it holds.
    pub head: String,
    /// Its name in `numbers.csv`.
    pub key: String,
    /// Unit of its numbers; empty where there is none or rows have their own.
    pub unit: String,
}

/// A row.
#[derive(Clone, Debug)]
pub struct TableRow {
    /// Its name.
    pub name: String,
    /// Its name in `numbers.csv`.
    pub key: String,
    /// Unit of its numbers, where rows have one.
    pub unit: String,
    /// An entry a column.
    pub entries: Vec<Entry>,
    /// Heading of the rows it stands among; empty: none.
    pub group: &'static str,
}

/// What stands in a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// Words.
    Text(String),
    /// Something to copy, as a hash or a command.
    Code(String),
    /// A number; NaN is shown as a dash.
    Number(f64),
    /// A number that somebody wrote, with all its digits.
    Exact(f64),
    /// A difference, with its sign.
    Difference(f64),
    /// Mean and sample standard deviation over the `n` of `of` cells that have the number.
    Mean {
        /// Mean over cells.
        mean: f64,
        /// Sample standard deviation; NaN of a single cell.
        sd: f64,
        /// Cells with a number.
        n: usize,
        /// Cells that match.
        of: usize,
    },
    /// A measured entry, with the number that somebody reported in parentheses below it.
    Beside(Box<Self>, f64),
    /// A criterion that is met, not met, or cannot be judged, and why.
    Verdict(Option<bool>, String),
}

impl Entry {
    /// Words.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    fn html(&self) -> Markup {
        match self {
            Self::Text(text) if text.is_empty() => html! { (NOTHING) },
            Self::Text(text) => html! { (text) },
            Self::Code(text) => html! { code { (text) } },
            Self::Number(value) => html! { (number(*value)) },
            Self::Exact(value) => html! { (exact(*value)) },
            Self::Difference(value) => html! { (signed(*value)) },
            Self::Mean { mean, sd, n, of } => html! {
                (spread(*mean, *sd))
                @if *n > 0 && n != of { " " span.aside { "(n = " (n) " of " (of) ")" } }
            },
            Self::Beside(measured, reported) => html! {
                (measured.html())
                span.below { "(" (reported_number(*reported)) ")" }
            },
            Self::Verdict(verdict, why) => {
                let (class, mark) = match verdict {
                    Some(true) => ("met", "✓"),
                    Some(false) => ("unmet", "✗"),
                    None => ("open", "?"),
                };
                html! { span.verdict.(class) { span aria-hidden="true" { (mark) } " " (why) } }
            }
        }
    }

    fn is_number(&self) -> bool {
        matches!(
            self,
            Self::Number(_)
                | Self::Exact(_)
                | Self::Difference(_)
                | Self::Mean { .. }
                | Self::Beside(..)
        )
    }

    /// Name suffix, value and whether the unit applies, of every number in it.
    fn numbers(&self) -> Vec<(&'static str, f64, bool)> {
        match self {
            Self::Number(value) | Self::Exact(value) | Self::Difference(value) => {
                vec![("", *value, true)]
            }
            Self::Mean { mean, sd, n, of } => vec![
                (" mean", *mean, true),
                (" sd", *sd, true),
                (" n", *n as f64, false),
                (" cells", *of as f64, false),
            ],
            Self::Beside(measured, reported) => {
                let mut numbers = measured.numbers();
                numbers.push((" reported", *reported, true));
                numbers
            }
            Self::Verdict(Some(met), _) => vec![(" met", f64::from(u8::from(*met)), false)],
            Self::Verdict(None, _) | Self::Text(_) | Self::Code(_) => Vec::new(),
        }
    }
}

/// A number as somebody wrote it, or the mean of some: without the last digits of floating point.
fn reported_number(value: f64) -> String {
    exact(format!("{value:.4e}").parse().unwrap_or(value))
}

/// A column without a unit of its own.
pub fn column(head: impl Into<String>) -> Column {
    column_of(head, "")
}

/// A column of numbers in `unit` (`1` for pure numbers).
pub fn column_of(head: impl Into<String>, unit: impl Into<String>) -> Column {
    let head = head.into();
    Column {
        key: head.clone(),
        head,
        unit: unit.into(),
    }
}

impl Column {
    /// The same column under another name in `numbers.csv`.
    pub fn keyed(self, key: impl Into<String>) -> Self {
        let key = key.into();
        Self { key, ..self }
    }
}

impl TableRow {
    /// The same row under another name in `numbers.csv`.
    pub fn keyed(self, key: impl Into<String>) -> Self {
        let key = key.into();
        Self { key, ..self }
    }

    /// The same row among those below this heading.
    pub fn among(self, group: &'static str) -> Self {
        Self { group, ..self }
    }
}

/// A row.
pub fn row(name: impl Into<String>, entries: Vec<Entry>) -> TableRow {
    row_of(name, "", entries)
}

/// A row of numbers in `unit`.
pub fn row_of(name: impl Into<String>, unit: impl Into<String>, entries: Vec<Entry>) -> TableRow {
    let name = name.into();
    TableRow {
        key: name.clone(),
        name,
        unit: unit.into(),
        entries,
        group: "",
    }
}

impl NumberTable {
    /// The table in a box of its own that scrolls sideways where the page is narrow.
    pub fn html(&self) -> Markup {
        html! {
            div.table id=(self.id) role="region" tabindex="0" aria-label=(self.caption) {
                table {
                    caption { (self.caption) }
                    thead {
                        tr {
                            th scope="col" { (self.corner) }
                            @for (i, column) in self.columns.iter().enumerate() {
                                th.number[self.holds_numbers(i)] scope="col" {
                                    (breakable(&column.head)) (unit_html(&column.unit))
                                }
                            }
                        }
                    }
                    tbody {
                        @for (i, row) in self.rows.iter().enumerate() {
                            @if !row.group.is_empty() && (i == 0 || self.rows[i - 1].group != row.group) {
                                tr.group { th colspan=(self.columns.len() + 1) scope="colgroup" { (row.group) } }
                            }
                            tr {
                                th scope="row" { (breakable(&row.name)) (unit_html(&row.unit)) }
                                @for (i, entry) in row.entries.iter().enumerate() {
                                    td.number[self.holds_numbers(i)] { (entry.html()) }
                                }
                            }
                        }
                    }
                }
            }
            @for note in &self.notes { p.note { (note) } }
        }
    }

    fn holds_numbers(&self, column: usize) -> bool {
        let entries = self.rows.iter().filter_map(|row| row.entries.get(column));
        entries.into_iter().any(Entry::is_number)
    }
}

/// Names may go on in the next line after an underscore.
fn breakable(name: &str) -> Markup {
    html! {
        @for part in name.split_inclusive('_') {
            (part) @if part.ends_with('_') { wbr; }
        }
    }
}

fn unit_html(name: &str) -> Markup {
    let unit = unit(name);
    html! { @if !unit.is_empty() { " " span.unit { (unit) } } }
}

/// Every number of the tables, exact: a line per number with the name of its table, row and column,
/// its value (empty where it is no number) and its unit (empty for pure numbers).
///
/// # Errors
/// None in practice: it is written to memory.
pub fn numbers_csv(tables: &[NumberTable]) -> Result<Vec<u8>, csv::Error> {
    let head = ["table", "row", "column", "value", "unit"].map(str::to_owned);
    text::csv(std::iter::once(head).chain(tables.iter().flat_map(NumberTable::lines)))
}

impl NumberTable {
    fn lines(&self) -> Vec<[String; 5]> {
        let mut lines = Vec::new();
        for row in &self.rows {
            for (entry, column) in row.entries.iter().zip(&self.columns) {
                let of_row = !row.unit.is_empty();
                let of_entry = if of_row { &row.unit } else { &column.unit };
                for (suffix, value, has_unit) in entry.numbers() {
                    let unit = if has_unit { unit(of_entry) } else { "" };
                    let column = format!("{}{suffix}", column.key);
                    lines.push([
                        self.id.clone(),
                        row.key.clone(),
                        column,
                        text::exact(value),
                        unit.to_owned(),
                    ]);
                }
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> NumberTable {
        let mean = Entry::Mean {
            mean: 88.0,
            sd: f64::NAN,
            n: 1,
            of: 3,
        };
        NumberTable {
            id: "rates".into(),
            caption: "Rates".into(),
            corner: "cell".into(),
            columns: vec![
                column_of("E", "Hz"),
                column("judged"),
                column_of("all", "%"),
            ],
            rows: vec![row(
                "a,\"b\" <script>",
                vec![
                    Entry::Number(9.012_345_6),
                    Entry::Verdict(Some(false), "not met".into()),
                    mean,
                ],
            )],
            notes: vec!["5 < 6".into()],
        }
    }

    #[test]
    fn numbers_are_rounded_for_readers_and_exact_in_the_file() {
        let table = table();
        let html = table.html().into_string();
        assert!(
            html.contains("9.012<") && html.contains("(n = 1 of 3)"),
            "{html}"
        );
        let quoted = "rates,\"a,\"\"b\"\" <script>\",";
        let lines = [
            format!("{quoted}E,9.0123456,Hz"),
            format!("{quoted}judged met,0,"),
            format!("{quoted}all mean,88,%"),
            format!("{quoted}all sd,,%"),
            format!("{quoted}all n,1,"),
            format!("{quoted}all cells,3,"),
        ];
        let csv = String::from_utf8(numbers_csv(&[table]).unwrap()).unwrap();
        assert_eq!(
            csv,
            format!("table,row,column,value,unit\n{}\n", lines.join("\n"))
        );
    }

    #[test]
    fn what_users_write_is_escaped_and_heads_say_what_they_head() {
        let html = table().html().into_string();
        assert!(
            html.contains("&lt;script&gt;") && !html.contains("<script"),
            "{html}"
        );
        assert!(html.contains("5 &lt; 6"));
        assert!(html.contains(r#"scope="col""#) && html.contains(r#"scope="row""#));
    }
}
