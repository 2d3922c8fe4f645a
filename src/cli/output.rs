//! What goes to the terminal. A reader that goes away (`| head`) is no error.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;

use dalenet::report::figures::{Figure, Missing};
use dalenet::report::write_figures;
use dalenet::summary::Summary;

use super::error::Result;

/// Writes a line to standard output.
pub fn say(text: impl Display) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Writes a note to standard error, where it is in nobody's way.
pub fn note(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Pairs of a label and a value, aligned.
pub fn say_facts(facts: &[(&str, String)]) {
    let width = facts
        .iter()
        .map(|(label, _)| label.len())
        .max()
        .unwrap_or(0);
    for (label, value) in facts {
        say(format!("{label:width$}  {value}"));
    }
}

/// Rows of cells, each column as wide as its widest cell; the first column flush left, the others
/// flush right except the last, which is free text.
pub fn say_table(head: &[&str], rows: &[Vec<String>]) {
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let lines = || std::iter::once(&head).chain(rows);
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            let cells = lines().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    for line in lines() {
        let mut text = String::new();
        for (column, (cell, &width)) in line.iter().zip(&widths).enumerate() {
            text += &match column {
                0 => format!("{cell:<width$}"),
                n if n + 1 == head.len() => format!("  {cell}"),
                _ => format!("  {cell:>width$}"),
            };
        }
        say(text.trim_end());
    }
}

/// What was found out, as words and tables or as JSON.
pub fn say_summary(summary: &Summary, as_json: bool) {
    if as_json {
        say(summary.json.trim_end());
        return;
    }
    say_facts(&summary.facts);
    for listing in &summary.listings {
        say("");
        if !listing.title.is_empty() {
            say(&listing.title);
        }
        let head: Vec<&str> = listing.head.iter().map(String::as_str).collect();
        say_table(&head, &listing.rows);
    }
}

/// Writes figures into `folder` and says where they are and which are missing; beside JSON only the latter.
///
/// # Errors
/// A file cannot be written.
pub fn say_figures(
    folder: &Path,
    figures: Vec<std::result::Result<Figure, Missing>>,
    as_json: bool,
) -> Result<()> {
    let (drawn, missing) = dalenet::report::output::divide(figures);
    for Missing { title, reason, .. } in missing {
        note(format!("not drawn: {title}: {reason}"));
    }
    write_figures(folder, &drawn)?;
    for figure in drawn.iter().filter(|_| !as_json) {
        let file = folder.join(format!("{}.svg", figure.id));
        say(format!("\n{}: {}", figure.title, file.display()));
    }
    Ok(())
}
