//! Recorded spikes of both populations, as `dalenet eval --record` writes them; other simulators may.

use std::collections::BTreeMap;
use std::path::Path;

use super::DataError;
use super::events::step_of;
use super::npy::NpyArray;
use super::npz::Npz;
use super::user::scalar;

/// Shortest and longest time step, and longest trial, ms: those of a configuration.
const DT_MS: [f64; 2] = [1e-4, 10.0];
const MOST_DURATION_MS: f64 = 1e6;
/// Most steps of all trials together.
const MOST_STEPS: usize = 1_000_000_000;
/// Most cells of a population.
const MOST_CELLS: f64 = 1e7;

/// Spikes of some trials.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedSpikes {
    /// Time step, ms.
    pub dt_ms: f64,
    /// Steps of a trial.
    pub steps: usize,
    /// E cells and I cells.
    pub cells: [usize; 2],
    /// (step, cell) of E and of I in each trial, sorted.
    pub trials: Vec<[Vec<(u32, u32)>; 2]>,
    /// Spikes of a cell in a step in which it had one already; they count once.
    pub merged: usize,
}

/// Loads recorded spikes: `trials` (`[n]`, the numbers of the trials, each once), the scalars `n_e`,
/// `n_i`, `duration_ms` and `dt_ms`, and for each population p in `e`, `i` the arrays
/// `spikes_p_trial`, `spikes_p_time_ms` and `spikes_p_cell`, one entry a spike in any order. Other
/// arrays are not looked at.
///
/// # Errors
/// The file is malformed, an array is missing, or its shape, type or a value does not fit.
pub fn load_recorded_npz(path: &Path) -> Result<RecordedSpikes, DataError> {
    let mut npz = Npz::open(path)?;
    let mut number = |name: &str, most: f64, is_whole: bool| -> Result<f64, DataError> {
        let wrong = |problem: String| DataError::array(path, name, problem);
        let value = scalar(path, &mut npz, name)?
            .ok_or_else(|| wrong("is missing; expected one number".into()))?;
        let fits = value <= most && if is_whole { value >= 0.0 } else { value > 0.0 };
        if !fits || (is_whole && value.fract() != 0.0) {
            let what = if is_whole {
                "a whole number from 0"
            } else {
                "a number above 0"
            };
            return Err(wrong(format!("is {value}; expected {what} to {most}")));
        }
        Ok(value)
    };
    let cells = [
        number("n_e", MOST_CELLS, true)?,
        number("n_i", MOST_CELLS, true)?,
    ];
    let cells = cells.map(|n| n as usize);
    let dt_ms = number("dt_ms", DT_MS[1], false)?;
    if dt_ms < DT_MS[0] {
        let problem = format!("is {dt_ms}; expected at least {}", DT_MS[0]);
        return Err(DataError::array(path, "dt_ms", problem));
    }
    let duration_ms = number("duration_ms", MOST_DURATION_MS, false)?;
    let steps = (duration_ms / dt_ms).round().max(1.0) as u32;

    let numbers = npz.array("trials")?;
    let mut places = BTreeMap::new();
    for (place, value) in numbers.integers().enumerate() {
        let problem = match value {
            None => format!("entry {place} is not a whole number"),
            Some(number) => match places.insert(number, place) {
                None => continue,
                Some(before) => format!("entries {before} and {place} are both {number}"),
            },
        };
        return Err(DataError::array(path, "trials", problem));
    }
    if places.len().saturating_mul(steps as usize) > MOST_STEPS {
        let problem = format!(
            "{} trials of {steps} steps are more than the {MOST_STEPS} steps allowed",
            places.len()
        );
        return Err(DataError::array(path, "trials", problem));
    }
    let mut trials = vec![[Vec::new(), Vec::new()]; places.len()];
    for (population, name) in ["e", "i"].into_iter().enumerate() {
        let array = |kind: &str| format!("spikes_{name}_{kind}");
        let [trial, time, cell] = ["trial", "time_ms", "cell"].map(array);
        let arrays = [&trial, &time, &cell].map(|name| npz.array(name));
        let [trials_of, times, cells_of] = arrays;
        let (trials_of, times, cells_of): (NpyArray, NpyArray, NpyArray) =
            (trials_of?, times?, cells_of?);
        for (array, name) in [(&trials_of, &trial), (&times, &time), (&cells_of, &cell)] {
            if array.shape != [trials_of.len()] {
                let problem = format!(
                    "its shape is {:?}; expected [{}], one entry a spike as in `{trial}`",
                    array.shape,
                    trials_of.len()
                );
                return Err(DataError::array(path, name, problem));
            }
        }
        let spikes = (trials_of.integers().zip(times.floats())).zip(cells_of.integers());
        for (spike, ((number, time_ms), number_of_cell)) in spikes.enumerate() {
            let wrong = |array: &str, problem: String| {
                DataError::array(path, array, format!("entry {spike} {problem}"))
            };
            let place = number.and_then(|number| places.get(&number));
            let place =
                place.ok_or_else(|| wrong(&trial, "is no number of a trial in `trials`".into()))?;
            let step = step_of(time_ms, dt_ms).filter(|step| *step < steps);
            let step = step.ok_or_else(|| {
                wrong(
                    &time,
                    format!("is {time_ms}; expected 0 to below {duration_ms} ms"),
                )
            })?;
            let in_range = |cell: i64| u32::try_from(cell).ok();
            let cell_there = number_of_cell.and_then(in_range);
            let cell_there = cell_there.filter(|c| (*c as usize) < cells[population]);
            let cell_there = cell_there.ok_or_else(|| {
                wrong(
                    &cell,
                    format!("is no cell; `n_{name}` is {}", cells[population]),
                )
            })?;
            trials[*place][population].push((step, cell_there));
        }
    }
    let mut merged = 0;
    for spikes in trials.iter_mut().flatten() {
        spikes.sort_unstable();
        merged += spikes.len();
        spikes.dedup();
        merged -= spikes.len();
    }
    Ok(RecordedSpikes {
        dt_ms,
        steps: steps as usize,
        cells,
        trials,
        merged,
    })
}
