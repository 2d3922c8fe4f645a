//! What a trained network does when its loop is made weaker or stronger: W_EI and W_IE multiplied by
//! a grid of factors, the same test trials and noise at every point.

use std::path::Path;

use super::Experiment;
use crate::conductance::analysis::record::{LoopSweep, SWEEP_FORMAT, SweepPoint};
use crate::conductance::engine::EngineError;
use crate::conductance::settings::MatrixName;
use crate::conductance::weights::{Layout, Weights, scale};
use crate::fault::{Blame, Fault};
use crate::files::{FileError, write_atomic};
use crate::summary::{Listing, Summary};
use crate::text::{count, csv, exact};
use crate::train::manifest::program;
use crate::train::model::{ModelError, Part};
use crate::train::run_folder::RunFiles;
use crate::train::session::run_sha256;

/// Multipliers of the published grid; 6 and 8 are our choice.
pub const STUDY_GRID: [f64; 9] = [0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0];

/// Largest multiplier: weights stay far from the largest number of their precision.
const MAX_MULTIPLIER: f64 = 1e6;

/// A sweep cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// An axis without multipliers.
    #[error("no multiplier of w_{0}; give at least one with --grid, --ei or --ie")]
    Empty(&'static str),
    /// A multiplier that is no number, negative or too large.
    #[error("multiplier {value} of w_{matrix}: give a number from 0 to {MAX_MULTIPLIER}")]
    Multiplier {
        /// Short name of the matrix.
        matrix: &'static str,
        /// The multiplier.
        value: f64,
    },
    /// A multiplier that is there twice.
    #[error("multiplier {value} of w_{matrix} is given twice; remove one")]
    Twice {
        /// Short name of the matrix.
        matrix: &'static str,
        /// The multiplier.
        value: f64,
    },
    /// A network without the matrix that is to be multiplied.
    #[error(
        "w_{0} is absent, or all its effective weights are zero: this network has no E–I loop to multiply"
    )]
    NoLoop(&'static str),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The network could not be evaluated.
    #[error("{0}")]
    Model(ModelError),
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The table cannot be written.
    #[error("sweep.csv: {0}")]
    Table(#[from] csv::Error),
}

impl Blame for SweepError {
    fn fault(&self) -> Fault {
        match self {
            Self::Engine(error) => error.fault(),
            Self::Model(error) => error.fault(),
            Self::File(error) => error.fault(),
            Self::Table(error) => error.fault(),
            Self::Empty(_) | Self::Multiplier { .. } | Self::Twice { .. } | Self::NoLoop(_) => {
                Fault::User
            }
        }
    }
}

/// Multipliers of W_EI and W_IE, checked and ascending.
#[derive(Clone, Debug, PartialEq)]
pub struct LoopGrid {
    ei: Vec<f64>,
    ie: Vec<f64>,
}

impl LoopGrid {
    /// All pairs of these multipliers, in any order.
    ///
    /// # Errors
    /// No multiplier, one that is NaN, negative or above a million, or one that is there twice.
    pub fn new(ei: &[f64], ie: &[f64]) -> Result<Self, SweepError> {
        Ok(Self {
            ei: axis(MatrixName::WEi, ei)?,
            ie: axis(MatrixName::WIe, ie)?,
        })
    }

    /// Number of points.
    pub fn points(&self) -> usize {
        self.ei.len() * self.ie.len()
    }
}

fn axis(name: MatrixName, multipliers: &[f64]) -> Result<Vec<f64>, SweepError> {
    let matrix = name.short();
    if multipliers.is_empty() {
        return Err(SweepError::Empty(matrix));
    }
    let refused = |value: &&f64| !(0.0..=MAX_MULTIPLIER).contains(*value);
    if let Some(&value) = multipliers.iter().find(refused) {
        return Err(SweepError::Multiplier { matrix, value });
    }
    // Adding zero makes a negative zero a zero.
    let mut sorted: Vec<f64> = multipliers.iter().map(|x| x + 0.0).collect();
    sorted.sort_by(f64::total_cmp);
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(SweepError::Twice {
            matrix,
            value: pair[0],
        }),
        None => Ok(sorted),
    }
}

/// The weights that are swept, and where they come from.
#[derive(Clone, Copy, Debug)]
pub struct SweptWeights<'a> {
    /// Stored weights.
    pub weights: &'a Weights,
    /// `last`, `best` or `initial`.
    pub checkpoint: &'a str,
    /// Epochs trained.
    pub epoch: u64,
}

/// Measures the network on the test trials at every point of `grid`. Trials are encoded once; from
/// point to point only the loop's weights change. `go_on` is asked between batches and told how many
/// points are done and of how many; where it says no, the result is `None`.
///
/// # Errors
/// A network without loop, or a failure of the device.
pub fn loop_sweep(
    experiment: &Experiment,
    swept: SweptWeights<'_>,
    grid: &LoopGrid,
    go_on: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<Option<LoopSweep>, SweepError> {
    check_loop(experiment, swept.weights)?;
    // A multiplier has the precision of the weights, as that of `dalenet eval` has.
    let single = |factor: f64| f64::from(factor as f32);
    let (mut network, device) = experiment.open_network(swept.weights)?;
    let mut points = Vec::with_capacity(grid.points());
    for &ie in &grid.ie {
        for &ei in &grid.ei {
            let mut weights = swept.weights.clone();
            scale(&mut weights, MatrixName::WEi, single(ei));
            scale(&mut weights, MatrixName::WIe, single(ie));
            network.engine().load(&weights)?;
            let done = points.len();
            let mut go_on = || go_on(done, grid.points());
            let evaluation = network.evaluation(Part::Test, &mut go_on);
            let Some(evaluation) = evaluation.map_err(SweepError::Model)? else {
                return Ok(None);
            };
            let m = evaluation.measures();
            points.push(SweepPoint {
                ei,
                ie,
                accuracy_percent: m.accuracy_percent,
                correct: evaluation.scores.correct as u64,
                loss_nats: m.loss_nats,
                e_rate_hz: m.e_rate_hz,
                i_rate_hz: m.i_rate_hz,
            });
        }
    }
    Ok(Some(LoopSweep {
        format: SWEEP_FORMAT,
        checkpoint: swept.checkpoint.to_owned(),
        epoch: swept.epoch,
        config_sha256: run_sha256(&experiment.config),
        data_sha256: experiment.data_sha256.clone(),
        program: program(),
        device: device.info.name,
        trials: experiment.split.test.len() as u64,
        ei: grid.ei.clone(),
        ie: grid.ie.clone(),
        points,
    }))
}

/// Refuses a network in which W_EI or W_IE does nothing.
fn check_loop(experiment: &Experiment, weights: &Weights) -> Result<(), SweepError> {
    let layout = Layout::new(&experiment.params, weights).map_err(EngineError::Weights)?;
    for name in [MatrixName::WEi, MatrixName::WIe] {
        let slot = layout.slots.iter().find(|slot| slot.name == name);
        if !slot.is_some_and(|slot| slot.has_effect(&weights[&name].data)) {
            return Err(SweepError::NoLoop(name.short()));
        }
    }
    Ok(())
}

/// Writes `sweep.csv` and then `sweep.json` of the folder of `files`, each all or nothing.
///
/// # Errors
/// A file cannot be written.
pub fn write_sweep(files: &RunFiles, sweep: &LoopSweep) -> Result<(), SweepError> {
    write_atomic(&files.sweep_table(), &table(sweep)?)?;
    write_atomic(&files.sweep(), to_json(sweep).as_bytes())?;
    Ok(())
}

/// The sweep as JSON.
pub fn to_json(sweep: &LoopSweep) -> String {
    format!("{:#}\n", serde_json::json!(sweep))
}

/// The points as a table, a row each.
fn table(sweep: &LoopSweep) -> Result<Vec<u8>, csv::Error> {
    let head = [
        "ei",
        "ie",
        "accuracy_percent",
        "correct",
        "trials",
        "loss_nats",
        "e_rate_hz",
        "i_rate_hz",
    ];
    let row = |p: &SweepPoint| {
        [
            exact(p.ei),
            exact(p.ie),
            exact(p.accuracy_percent),
            p.correct.to_string(),
            sweep.trials.to_string(),
            exact(p.loss_nats),
            exact(p.e_rate_hz),
            exact(p.i_rate_hz),
        ]
    };
    csv(std::iter::once(head.map(str::to_owned)).chain(sweep.points.iter().map(row)))
}

/// Which multipliers to sweep.
#[derive(Clone, Debug, clap::Args)]
pub struct GridOptions {
    /// Multipliers of both matrices, separated by commas
    #[arg(long, value_name = "LIST", value_delimiter = ',', num_args = 1,
        allow_negative_numbers = true, default_values_t = STUDY_GRID)]
    grid: Vec<f64>,
    /// Multipliers of W_EI instead of those of --grid
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        num_args = 1,
        allow_negative_numbers = true
    )]
    ei: Option<Vec<f64>>,
    /// Multipliers of W_IE instead of those of --grid
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        num_args = 1,
        allow_negative_numbers = true
    )]
    ie: Option<Vec<f64>>,
}

impl GridOptions {
    /// The grid.
    ///
    /// # Errors
    /// As [`LoopGrid::new`].
    pub fn grid(&self) -> Result<LoopGrid, SweepError> {
        let ei = self.ei.as_ref().unwrap_or(&self.grid);
        let ie = self.ie.as_ref().unwrap_or(&self.grid);
        LoopGrid::new(ei, ie)
    }
}

/// The sweep of a checkpoint that was written to `files`, in words.
pub fn summary(sweep: &LoopSweep, checkpoint: &Path, files: &RunFiles) -> Summary {
    let facts = vec![
        (
            "checkpoint",
            format!("{} (epoch {})", checkpoint.display(), sweep.epoch),
        ),
        ("device", sweep.device.clone()),
        (
            "trials",
            format!(
                "{} at each point",
                count(sweep.trials as usize, "test trial", "test trials")
            ),
        ),
        (
            "written",
            format!(
                "{}, {}",
                files.sweep().display(),
                files.sweep_table().display()
            ),
        ),
    ];
    type Measure = fn(&SweepPoint) -> f64;
    let measures: [(&str, Measure); 3] = [
        ("accuracy, %", |p| p.accuracy_percent),
        ("E rate, Hz", |p| p.e_rate_hz),
        ("I rate, Hz", |p| p.i_rate_hz),
    ];
    let head = || {
        let multipliers = sweep.ei.iter().map(|ei| format!("{ei:>6}"));
        std::iter::once("W_IE \\ W_EI".to_owned()).chain(multipliers)
    };
    let listing = |(title, measure): (&str, Measure)| {
        let row = |row: &[SweepPoint]| {
            let name = row.first().map(|p| p.ie.to_string());
            let cells = row.iter().map(|p| format!("{:>6.2}", measure(p)));
            name.into_iter().chain(cells).collect()
        };
        let rows = sweep.points.chunks(sweep.ei.len()).map(row);
        Listing {
            title: title.to_owned(),
            ..Listing::new(head(), rows)
        }
    };
    Summary {
        facts,
        listings: measures.map(listing).into(),
        json: to_json(sweep),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multipliers_are_sorted_and_checked() {
        let grid = LoopGrid::new(&[2.0, 0.25, -0.0], &[1.0]).expect("sound");
        assert_eq!(grid.ei, [0.0, 0.25, 2.0]);
        assert!(grid.ei[0].is_sign_positive());
        assert_eq!(grid.points(), 3);
        for (ei, ie, part) in [
            (&[][..], &[1.0][..], "w_ei"),
            (&[1.0], &[], "w_ie"),
            (&[1.0, f64::NAN], &[1.0], "NaN"),
            (&[1.0], &[-0.5], "-0.5"),
            (&[f64::INFINITY], &[1.0], "inf"),
            (&[1e39], &[1.0], "1000000"),
            (
                &[1.0, 2.0, 1.0],
                &[1.0],
                "multiplier 1 of w_ei is given twice",
            ),
            (&[0.0, -0.0], &[1.0], "twice"),
        ] {
            let error = LoopGrid::new(ei, ie).expect_err("refused").to_string();
            assert!(error.contains(part), "{error}");
        }
        assert!(LoopGrid::new(&STUDY_GRID, &STUDY_GRID).is_ok());
    }
}
