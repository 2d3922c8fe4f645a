//! The spike raster of a trial: a dot a spike, E cells below and I cells above, and the rates of
//! both populations in a panel underneath.

use std::path::Path;

use super::canvas::{Anchor, Canvas, Colour, Direction};
use crate::train::files::{self, FileError};
use rate::population_rate_hz;
use ticks::ticks;

mod rate;
mod ticks;

/// Vermilion and blue of the Okabe-Ito palette, told apart with any colour vision.
const I_COLOUR: Colour = [213, 94, 0];
const E_COLOUR: Colour = [0, 114, 178];
const INK: Colour = [40, 40, 40];
const FAINT: Colour = [228, 228, 228];

/// Sizes in pixels. The picture is meant to be shown at half size, so that it prints well.
const WIDTH: i64 = 1920;
const PLOT_LEFT: i64 = 200;
const PLOT_RIGHT: i64 = WIDTH - 60;
const PLOT_TOP: i64 = 110;
const POPULATION_GAP: i64 = 44;
const PANEL_GAP: i64 = 50;
const RATE_HEIGHT: i64 = 260;
const BOTTOM: i64 = 130;
/// Height of the rows of E cells: a pixel a cell at the canonical 1024.
const E_HEIGHT: i64 = 1024;
const SMALLEST_HEIGHT: i64 = 160;
const LARGEST_I_HEIGHT: i64 = 512;
const TITLE_SIZE: f32 = 44.0;
const LABEL_SIZE: f32 = 36.0;
const TICK_SIZE: f32 = 32.0;

/// A raster could not be drawn or written.
#[derive(Debug, thiserror::Error)]
pub enum RasterError {
    /// The trial has no length.
    #[error("a raster needs a duration above 0 ms, not {duration_ms}")]
    Duration {
        /// The duration given, ms.
        duration_ms: f32,
    },
    /// There are no cells at all.
    #[error("a raster needs cells: both populations are empty")]
    NoCells,
    /// A spike lies outside the trial or belongs to no cell.
    #[error(
        "spike {index} of population {population} (cell {cell}, {time_ms} ms) is outside \
         {cells} cells and 0 to {duration_ms} ms"
    )]
    Spike {
        /// `E` or `I`.
        population: char,
        /// Place in the list.
        index: usize,
        /// Its cell.
        cell: u32,
        /// Its time, ms.
        time_ms: f32,
        /// Cells of the population.
        cells: u32,
        /// Length of the trial, ms.
        duration_ms: f32,
    },
    /// The typeface in the program cannot be read.
    #[error("the built-in typeface cannot be read: {0}")]
    Font(#[from] ab_glyph::InvalidFont),
    /// The picture could not be encoded.
    #[error("the picture cannot be encoded: {0}")]
    Png(#[from] image::ImageError),
    /// The file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// What a raster shows. Spikes are pairs of a time (ms, 0 to `duration_ms`) and a cell (0 to n-1),
/// in any order.
#[derive(Debug, Clone, Copy)]
pub struct RasterPlot<'a> {
    /// Length of the trial, ms.
    pub duration_ms: f32,
    /// Number of E cells.
    pub n_e: u32,
    /// Number of I cells; may be 0.
    pub n_i: u32,
    /// Spikes of E cells.
    pub spikes_e: &'a [(f32, u32)],
    /// Spikes of I cells.
    pub spikes_i: &'a [(f32, u32)],
    /// One line above the plot; made smaller, then shortened, where it is too long.
    pub title: &'a str,
}

/// One population and the pixel rows it has.
struct Population<'a> {
    name: char,
    cells: u32,
    spikes: &'a [(f32, u32)],
    colour: Colour,
    top: i64,
    height: i64,
}

impl RasterPlot<'_> {
    /// Draws the raster and writes it as PNG, all or nothing.
    ///
    /// # Errors
    /// [`RasterError`] where a spike, the duration or the counts make no sense, or the file cannot
    /// be written.
    pub fn write_png(&self, path: &Path) -> Result<(), RasterError> {
        Ok(files::write_atomic(path, &self.png()?)?)
    }

    /// The raster as the bytes of a PNG file.
    ///
    /// # Errors
    /// [`RasterError`] where a spike, the duration or the counts make no sense.
    pub fn png(&self) -> Result<Vec<u8>, RasterError> {
        self.check()?;
        let populations = self.populations();
        let raster_bottom = populations
            .last()
            .map_or(PLOT_TOP, |last| last.top + last.height);
        let rate_top = raster_bottom + PANEL_GAP;
        let rate_bottom = rate_top + RATE_HEIGHT;
        let mut canvas = Canvas::new(WIDTH as u32, (rate_bottom + BOTTOM) as u32)?;

        self.draw_title(&mut canvas);
        self.draw_time_axis(
            &mut canvas,
            &[(PLOT_TOP, raster_bottom), (rate_top, rate_bottom)],
        );
        for population in &populations {
            self.draw_cells(&mut canvas, population);
        }
        self.draw_rates(&mut canvas, &populations, rate_top);
        Ok(canvas.png()?)
    }

    fn check(&self) -> Result<(), RasterError> {
        let Self {
            duration_ms,
            n_e,
            n_i,
            ..
        } = *self;
        if !(duration_ms > 0.0 && duration_ms.is_finite()) {
            return Err(RasterError::Duration { duration_ms });
        }
        if n_e == 0 && n_i == 0 {
            return Err(RasterError::NoCells);
        }
        for (population, cells, spikes) in [('E', n_e, self.spikes_e), ('I', n_i, self.spikes_i)] {
            let outside = |&(time_ms, cell): &(f32, u32)| {
                !(0.0..=duration_ms).contains(&time_ms) || cell >= cells
            };
            if let Some(index) = spikes.iter().position(outside) {
                let (time_ms, cell) = spikes[index];
                return Err(RasterError::Spike {
                    population,
                    index,
                    cell,
                    time_ms,
                    cells,
                    duration_ms,
                });
            }
        }
        Ok(())
    }

    /// The populations that have cells, top to bottom. Rows are whole pixels where cells are few;
    /// where they are many, several cells share a row.
    fn populations(&self) -> Vec<Population<'_>> {
        let rows = |cells: u32, most: i64| {
            let cells = i64::from(cells);
            if cells > most {
                most
            } else {
                (most / cells.max(1)) * cells
            }
        };
        let e_height = rows(self.n_e, E_HEIGHT);
        let same_scale = if self.n_e == 0 {
            LARGEST_I_HEIGHT
        } else {
            e_height * i64::from(self.n_i) / i64::from(self.n_e)
        };
        let i_height = rows(
            self.n_i,
            same_scale.clamp(SMALLEST_HEIGHT, LARGEST_I_HEIGHT),
        );
        let mut populations = Vec::new();
        let mut top = PLOT_TOP;
        for (name, cells, spikes, colour, height) in [
            ('I', self.n_i, self.spikes_i, I_COLOUR, i_height),
            ('E', self.n_e, self.spikes_e, E_COLOUR, e_height),
        ] {
            if cells > 0 {
                populations.push(Population {
                    name,
                    cells,
                    spikes,
                    colour,
                    top,
                    height,
                });
                top += height + POPULATION_GAP;
            }
        }
        populations
    }

    fn x(&self, time_ms: f32) -> f32 {
        PLOT_LEFT as f32 + time_ms / self.duration_ms * (PLOT_RIGHT - PLOT_LEFT) as f32
    }

    fn draw_title(&self, canvas: &mut Canvas) {
        let space = (PLOT_RIGHT - PLOT_LEFT) as f32;
        let mut title = self.title.to_owned();
        let natural = canvas.text_width(&title, TITLE_SIZE);
        let size = (TITLE_SIZE * space / natural.max(space)).max(TICK_SIZE);
        while canvas.text_width(&title, size) > space {
            let kept = title.chars().count().saturating_sub(2);
            title = title.chars().take(kept).chain(['…']).collect();
        }
        let at = (PLOT_LEFT as f32, PLOT_TOP as f32 / 2.0);
        canvas.text(at, &title, size, INK, Anchor::Start, Direction::Across);
    }

    /// Ticks and labels below the last panel, a faint line through all of them.
    fn draw_time_axis(&self, canvas: &mut Canvas, panels: &[(i64, i64)]) {
        let bottom = panels.last().map_or(0, |panel| panel.1);
        let (ticks, decimals) = ticks(self.duration_ms, 10);
        for time_ms in ticks {
            let x = self.x(time_ms).round() as i64;
            for (top, bottom) in panels {
                canvas.rectangle(x, *top, 2, bottom - top, FAINT);
            }
            canvas.rectangle(x, bottom, 2, 12, INK);
            let label = format!("{time_ms:.decimals$}");
            canvas.text(
                (x as f32, bottom as f32 + 36.0),
                &label,
                TICK_SIZE,
                INK,
                Anchor::Middle,
                Direction::Across,
            );
        }
        let middle = (PLOT_LEFT + PLOT_RIGHT) as f32 / 2.0;
        canvas.text(
            (middle, bottom as f32 + 90.0),
            "time (ms)",
            LABEL_SIZE,
            INK,
            Anchor::Middle,
            Direction::Across,
        );
        canvas.rectangle(PLOT_LEFT, bottom, PLOT_RIGHT - PLOT_LEFT + 2, 2, INK);
    }

    fn draw_cells(&self, canvas: &mut Canvas, population: &Population<'_>) {
        let Population {
            name,
            cells,
            spikes,
            colour,
            top,
            height,
        } = *population;
        // The middle of a cell's rows; cell 0 is the lowest.
        let centre = |cell: u32| {
            top + height - 1 - (2 * i64::from(cell) + 1) * height / (2 * i64::from(cells))
        };
        let row_height = height / i64::from(cells);
        // Where rows are a pixel, a dot reaches over its neighbours', or it would hardly be seen.
        let dot_height = row_height.clamp(3, 12);
        for &(time_ms, cell) in spikes {
            let x = self.x(time_ms).round() as i64;
            canvas.rectangle(x - 1, centre(cell) - dot_height / 2, 4, dot_height, colour);
        }
        canvas.rectangle(PLOT_LEFT - 2, top, 2, height, INK);
        let labels = [0, cells / 2, cells - 1];
        let count = if cells > 2 { 3 } else { cells as usize };
        for cell in labels.into_iter().rev().take(count) {
            let y = centre(cell);
            canvas.rectangle(PLOT_LEFT - 14, y, 12, 2, INK);
            let at = ((PLOT_LEFT - 22) as f32, y as f32);
            canvas.text(
                at,
                &cell.to_string(),
                TICK_SIZE,
                INK,
                Anchor::End,
                Direction::Across,
            );
        }
        let at = (60.0, (top + height / 2) as f32);
        canvas.text(
            at,
            &format!("{name} cell"),
            LABEL_SIZE,
            colour,
            Anchor::Middle,
            Direction::Up,
        );
    }

    fn draw_rates(&self, canvas: &mut Canvas, populations: &[Population<'_>], top: i64) {
        let rates: Vec<_> = populations
            .iter()
            .map(|population| {
                (
                    population,
                    population_rate_hz(population.spikes, population.cells, self.duration_ms),
                )
            })
            .collect();
        let largest = rates
            .iter()
            .flat_map(|(_, rate)| rate)
            .fold(0.0_f32, |a, b| a.max(*b));
        let (ticks, decimals) = ticks(if largest > 0.0 { largest } else { 1.0 }, 4);
        // The axis reaches a little over the largest rate.
        let scale = 0.92 * RATE_HEIGHT as f32 / if largest > 0.0 { largest } else { 1.0 };
        let bottom = (top + RATE_HEIGHT) as f32;
        for rate_hz in ticks {
            let y = (bottom - scale * rate_hz).round();
            canvas.rectangle(PLOT_LEFT - 14, y as i64, 12, 2, INK);
            let at = ((PLOT_LEFT - 22) as f32, y);
            canvas.text(
                at,
                &format!("{rate_hz:.decimals$}"),
                TICK_SIZE,
                INK,
                Anchor::End,
                Direction::Across,
            );
        }
        for (population, rate_hz) in rates.iter().rev() {
            let bin_ms = self.duration_ms / rate_hz.len() as f32;
            let points: Vec<_> = rate_hz
                .iter()
                .enumerate()
                .map(|(bin, rate)| (self.x((bin as f32 + 0.5) * bin_ms), bottom - scale * rate))
                .collect();
            canvas.line(&points, 4.0, population.colour);
        }
        canvas.rectangle(PLOT_LEFT - 2, top, 2, RATE_HEIGHT + 2, INK);
        let at = (60.0, bottom - RATE_HEIGHT as f32 / 2.0);
        canvas.text(
            at,
            "rate (Hz)",
            LABEL_SIZE,
            INK,
            Anchor::Middle,
            Direction::Up,
        );
    }
}
