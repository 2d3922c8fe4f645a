//! What a subcommand found out about a network, for people and for programs.

/// What was found out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Labels and what is said of them.
    pub facts: Vec<(&'static str, String)>,
    /// Tables below them.
    pub listings: Vec<Listing>,
    /// The same as JSON.
    pub json: String,
}

/// A table for the terminal.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// What stands above it; may be empty.
    pub title: String,
    /// Heads of its columns.
    pub head: Vec<String>,
    /// Its rows.
    pub rows: Vec<Vec<String>>,
}

impl Listing {
    /// A table without a title.
    pub fn new<S: Into<String>>(
        head: impl IntoIterator<Item = S>,
        rows: impl IntoIterator<Item = Vec<String>>,
    ) -> Self {
        Self {
            title: String::new(),
            head: head.into_iter().map(Into::into).collect(),
            rows: rows.into_iter().collect(),
        }
    }
}
