//! A figure before it is drawn: the numbers of its file, and the marks that are made of them.
//!
//! Marks read the rows of the table by the names of its columns, so that the picture and the file beside
//! it cannot differ.

use super::draw::mark::{Mark, Point};
use super::draw::page::PanelRows;
use super::draw::svg::{Colour, Fill, Marker, Stroke};
use crate::text;

/// A figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Name of its files.
    pub id: String,
    /// A few words above it.
    pub title: String,
    /// What it shows, and of which weights, epochs and cells.
    pub caption: String,
    /// What a reader who sees no picture is told.
    pub alt: String,
    /// The picture.
    pub svg: String,
    /// The numbers drawn.
    pub table: Table,
}

/// A figure that the data do not give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Name the figure would have.
    pub id: String,
    /// Its title.
    pub title: String,
    /// What is lacking.
    pub reason: String,
}

impl Missing {
    /// A figure that is missing for a reason.
    pub fn new(id: impl Into<String>, title: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            title: title.into(),
            reason: reason.into(),
        }
    }
}

/// A figure before it is drawn.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// Name of its files.
    pub id: String,
    /// A few words above it.
    pub title: String,
    /// What it shows.
    pub caption: String,
    /// What a reader who sees no picture is told.
    pub alt: String,
    /// Its panels.
    pub page: PanelRows,
    /// Its numbers.
    pub table: Table,
}

impl Sheet {
    /// Draws it.
    pub fn drawn(self) -> Figure {
        let svg = self.page.svg(&self.id, &self.alt);
        Figure {
            id: self.id,
            title: self.title,
            caption: self.caption,
            alt: self.alt,
            svg,
            table: self.table,
        }
    }
}

/// The numbers of a figure, as its CSV file has them: numbers are written so that reading them back gives
/// the same number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Name of each column, with its unit.
    pub header: Vec<String>,
    /// Rows, each as long as the header. What does not exist is empty.
    pub rows: Vec<Vec<String>>,
}

/// Some rows of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows(Vec<usize>);

impl Rows {
    /// Takes rows on.
    pub fn extend(&mut self, other: Rows) {
        self.0.extend(other.0);
    }
}

/// How markers look.
#[derive(Clone, Copy, Debug)]
pub struct Dots {
    /// Shape.
    pub marker: Marker,
    /// Pixels across.
    pub size: f64,
    /// Colour.
    pub colour: Colour,
    /// Outline only.
    pub open: bool,
}

impl Dots {
    /// Full markers.
    pub fn full(marker: Marker, size: f64, colour: Colour) -> Self {
        Self {
            marker,
            size,
            colour,
            open: false,
        }
    }

    /// Outlines of markers.
    pub fn open(marker: Marker, size: f64, colour: Colour) -> Self {
        Self {
            open: true,
            ..Self::full(marker, size, colour)
        }
    }

    /// Such a marker at each point.
    pub fn at(self, points: Vec<Point>) -> Mark {
        Mark::Points {
            points,
            marker: self.marker,
            size: self.size,
            colour: self.colour,
            open: self.open,
        }
    }
}

impl Table {
    /// A table without rows.
    pub fn new<S: AsRef<str>>(header: &[S]) -> Self {
        Self {
            header: header.iter().map(|h| h.as_ref().to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row: the words first, then the numbers.
    pub fn row(&mut self, words: &[&str], numbers: &[f64]) -> Rows {
        self.add(words, [numbers])
    }

    /// Adds rows that begin with the same words.
    pub fn add<N: AsRef<[f64]>>(
        &mut self,
        words: &[&str],
        rows: impl IntoIterator<Item = N>,
    ) -> Rows {
        let first = self.rows.len();
        for numbers in rows {
            let numbers = numbers.as_ref().iter().map(|n| text::exact(*n));
            let words = words.iter().map(|w| (*w).to_owned());
            self.rows.push(words.chain(numbers).collect());
        }
        Rows((first..self.rows.len()).collect())
    }

    /// Fills every row up to the length of the header.
    pub fn complete(&mut self) {
        for row in &mut self.rows {
            row.resize(self.header.len(), String::new());
        }
    }

    /// The numbers of a column; NaN where there is none.
    pub fn column(&self, rows: &Rows, name: &str) -> Vec<f64> {
        let place = self.header.iter().position(|column| column == name);
        let number = |row: &usize| self.rows.get(*row)?.get(place?)?.parse().ok();
        let numbers = rows.0.iter().map(number);
        numbers.map(|number| number.unwrap_or(f64::NAN)).collect()
    }

    /// The first number of a column; NaN where there is none.
    pub fn number(&self, rows: &Rows, name: &str) -> f64 {
        self.column(rows, name).first().copied().unwrap_or(f64::NAN)
    }

    /// The points of two columns.
    pub fn points(&self, rows: &Rows, [x, y]: [&str; 2]) -> Vec<Point> {
        let (x, y) = (self.column(rows, x), self.column(rows, y));
        x.into_iter().zip(y).collect()
    }

    /// A line through the points of two columns.
    pub fn line(&self, rows: &Rows, columns: [&str; 2], stroke: Stroke) -> Mark {
        Mark::Line {
            points: self.points(rows, columns),
            stroke,
        }
    }

    /// A marker at each point of two columns.
    pub fn dots(&self, rows: &Rows, columns: [&str; 2], dots: Dots) -> Mark {
        dots.at(self.points(rows, columns))
    }

    /// A histogram of the columns of the lower ends, the upper ends and the heights of its bins.
    pub fn steps(
        &self,
        rows: &Rows,
        [low, high, height]: [&str; 3],
        stroke: Option<Stroke>,
        fill: Option<Fill>,
    ) -> Mark {
        let mut edges = self.column(rows, low);
        edges.extend(self.column(rows, high).last());
        Mark::Steps {
            edges,
            heights: self.column(rows, height),
            stroke,
            fill,
        }
    }

    /// As [`steps`](Self::steps), where each bin reaches to the next one and the last one to `end`.
    pub fn steps_to(
        &self,
        rows: &Rows,
        [low, height]: [&str; 2],
        end: f64,
        stroke: Stroke,
        fill: Fill,
    ) -> Mark {
        let mut edges = self.column(rows, low);
        edges.push(end);
        Mark::Steps {
            edges,
            heights: self.column(rows, height),
            stroke: Some(stroke),
            fill: Some(fill),
        }
    }

    /// A vertical interval for each row, by the columns of its place and its ends.
    pub fn intervals(
        &self,
        rows: &Rows,
        [x, low, high]: [&str; 3],
        stroke: Stroke,
    ) -> impl Iterator<Item = Mark> {
        let ends = self.points(rows, [low, high]).into_iter();
        let places = self.column(rows, x).into_iter();
        places
            .zip(ends)
            .map(move |(x, y)| Mark::Interval { x, y, stroke })
    }

    /// The area between two lines of the same places.
    pub fn band(&self, low: &Rows, high: &Rows, columns: [&str; 2], fill: Fill) -> Mark {
        let highs = self.column(high, columns[1]);
        let lows = self.points(low, columns).into_iter();
        Mark::Band {
            points: lows
                .zip(highs)
                .map(|((x, low), high)| (x, low, high))
                .collect(),
            fill,
        }
    }

    /// A bar from 0 upwards for each row, by the columns of its place and its height.
    pub fn columns(
        &self,
        rows: &Rows,
        columns: [&str; 2],
        half_width: f64,
        fill: Fill,
    ) -> impl Iterator<Item = Mark> {
        let points = self.points(rows, columns).into_iter();
        points.map(move |(x, y)| Mark::Bar {
            from: (x - half_width, 0.0),
            to: (x + half_width, y),
            fill,
        })
    }

    /// A bar across for each row, by the columns of its ends, around the height `place`.
    pub fn bars(
        &self,
        rows: &Rows,
        ends: [&str; 2],
        (place, half_height): (f64, f64),
        fill: Fill,
    ) -> impl Iterator<Item = Mark> {
        let ends = self.points(rows, ends).into_iter();
        ends.map(move |(from, to)| Mark::Bar {
            from: (from, place - half_height),
            to: (to, place + half_height),
            fill,
        })
    }

    /// The table as CSV.
    ///
    /// # Errors
    /// A row that is not as long as the header.
    pub fn csv(&self) -> Result<Vec<u8>, csv::Error> {
        text::csv(std::iter::once(&self.header).chain(&self.rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_made_of_the_rows_of_the_file() {
        let mut table = Table::new(&["cell", "epoch", "rate_hz"]);
        table.row(&["a"], &[0.0, 9.5]);
        let rows = table.add(&["b"], [[1.0, 0.1 + 0.2], [2.0, f64::NAN]]);
        let Mark::Line { points, .. } =
            table.line(&rows, ["epoch", "rate_hz"], Stroke::solid(Colour::Ink, 1.0))
        else {
            panic!("a line")
        };
        assert_eq!(points[0], (1.0, 0.1 + 0.2));
        assert!(points[1].1.is_nan() && points.len() == 2);
        assert!(table.column(&rows, "speed")[0].is_nan());
        assert_eq!(
            String::from_utf8(table.csv().unwrap()).unwrap(),
            "cell,epoch,rate_hz\na,0,9.5\nb,1,0.30000000000000004\nb,2,\n"
        );
    }
}
