//! Panels in rows on a sheet 180 mm wide.

use super::bar::ColourBar;
use super::mark::Frame;
use super::panel::{self, Key, Panel};
use super::svg::Svg;

/// Width of every figure: 180 mm at 96 pixels an inch.
pub const WIDTH: f64 = 680.0;
const MARGIN: f64 = 4.0;
const ROW_GAP: f64 = 12.0;

/// Panels side by side.
#[derive(Clone, Debug)]
pub struct PanelRow {
    /// Height of the data areas, pixels.
    pub height: f64,
    /// The panels, left to right.
    pub panels: Vec<Panel>,
}

/// A figure to be drawn.
#[derive(Clone, Debug, Default)]
pub struct PanelRows {
    /// Key of all panels.
    pub key: Vec<Key>,
    /// Colours of all panels.
    pub bar: Option<ColourBar>,
    /// The rows, top to bottom.
    pub rows: Vec<PanelRow>,
}

impl PanelRows {
    /// Panels that have data, `columns` in a row; the last row may be shorter.
    pub fn grid(panels: Vec<Panel>, columns: usize, height: f64) -> Self {
        let panels: Vec<Panel> = panels.into_iter().filter(Panel::has_data).collect();
        let columns = columns.clamp(1, panels.len().max(1));
        let rows = panels.chunks(columns).map(|row| PanelRow {
            height,
            panels: row.to_vec(),
        });
        Self {
            rows: rows.collect(),
            ..Self::default()
        }
    }

    /// The same page with a key above its panels.
    pub fn with_key(self, key: Vec<Key>) -> Self {
        Self { key, ..self }
    }

    /// The same page with a colour bar below its key.
    pub fn with_bar(self, bar: ColourBar) -> Self {
        let bar = Some(bar);
        Self { bar, ..self }
    }

    /// The page with another below it.
    pub fn above(mut self, other: Self) -> Self {
        self.rows.extend(other.rows);
        self.key.extend(other.key);
        self
    }

    /// All panels.
    pub fn panels(&self) -> impl Iterator<Item = &Panel> {
        self.rows.iter().flat_map(|row| &row.panels)
    }

    /// The page as SVG.
    pub fn svg(&self, id: &str, alt: &str) -> String {
        let mut svg = Svg::new(id);
        let inner = WIDTH - 2.0 * MARGIN;
        panel::draw_key(&mut svg, &self.key, (MARGIN, MARGIN), inner);
        let key = panel::key_height(&self.key, inner);
        let mut top = MARGIN + key + if key > 0.0 { 8.0 } else { 0.0 };
        if let Some(bar) = &self.bar {
            bar.draw(&mut svg, (MARGIN, top));
            top += ColourBar::HEIGHT;
        }
        let lettered = self.panels().count() > 1;
        let mut letters = 'a'..='z';
        let columns = self
            .rows
            .iter()
            .map(|row| row.panels.len())
            .max()
            .unwrap_or(1);
        for row in &self.rows {
            // A shorter last row keeps the columns of the rows above, and panels in rows of one size
            // have their axes under each other.
            let even = row.panels.iter().all(|p| p.share == 1.0);
            let shares: f64 = row.panels.iter().map(|p| p.share).sum();
            let shares = if even {
                shares.max(columns as f64)
            } else {
                shares
            };
            let left_of = |column: usize, panel: &Panel| {
                if !even {
                    return panel.left(row.height);
                }
                let rows = self
                    .rows
                    .iter()
                    .filter(|r| r.panels.iter().all(|p| p.share == 1.0));
                let same = rows.filter_map(|r| r.panels.get(column).map(|p| p.left(r.height)));
                same.fold(0.0, f64::max)
            };
            let mut placed = Vec::new();
            let mut start = MARGIN;
            // Shares of uneven rows are those of the data: long names take nothing from their panel.
            let labels: f64 = row
                .panels
                .iter()
                .map(|p| p.left(row.height) + Panel::RIGHT)
                .sum();
            for (column, panel) in row.panels.iter().enumerate() {
                let width = if even {
                    inner * panel.share / shares
                } else {
                    let own = panel.left(row.height) + Panel::RIGHT;
                    own + (inner - labels).max(60.0) * panel.share / shares
                };
                let left = start + left_of(column, panel);
                placed.push((left, (start + width - Panel::RIGHT).max(left + 20.0), panel));
                start += width;
            }
            let head = placed
                .iter()
                .map(|(l, r, p)| p.head(r - l))
                .fold(0.0, f64::max);
            let foot = placed.iter().map(|(_, _, p)| p.foot()).fold(0.0, f64::max);
            for (left, right, panel) in placed {
                let frame = Frame {
                    left,
                    right,
                    top: top + head,
                    bottom: top + head + row.height,
                };
                panel.draw(&mut svg, frame, head, letters.next().filter(|_| lettered));
            }
            top += head + row.height + foot + ROW_GAP;
        }
        svg.finish(WIDTH, top - ROW_GAP + MARGIN, alt)
    }
}
