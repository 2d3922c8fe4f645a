//! Recorded spikes of both populations, as `dalenet eval --record` writes them; other simulators may.

use std::collections::BTreeMap;
use std::path::Path;

use super::DataError;
use super::events::step_of;
use super::npy::NpyArray;
use super::npz::Npz;
use super::user::scalar;
use crate::text::count;

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
    let cells = [
        number(path, &mut npz, "n_e", MOST_CELLS, true)?,
        number(path, &mut npz, "n_i", MOST_CELLS, true)?,
    ];
    let cells = cells.map(|n| n as usize);
    let dt_ms = number(path, &mut npz, "dt_ms", DT_MS[1], false)?;
    if dt_ms < DT_MS[0] {
        let problem = format!("is {dt_ms}; expected at least {}", DT_MS[0]);
        return Err(DataError::array(path, "dt_ms", problem));
    }
    let duration_ms = number(path, &mut npz, "duration_ms", MOST_DURATION_MS, false)?;
    let steps = (duration_ms / dt_ms).round().max(1.0) as u32;

    let places = trial_places(path, &npz.array("trials")?)?;
    if places.len().saturating_mul(steps as usize) > MOST_STEPS {
        let problem = format!(
            "{} of {} are more than the {MOST_STEPS} time steps allowed",
            count(places.len(), "trial", "trials"),
            count(steps as usize, "time step", "time steps")
        );
        return Err(DataError::array(path, "trials", problem));
    }
    let mut trials = vec![[Vec::new(), Vec::new()]; places.len()];
    for (population, name) in ["e", "i"].into_iter().enumerate() {
        let of = cells[population];
        for spike in spikes_of(path, &mut npz, name, of, (dt_ms, duration_ms, steps))? {
            let place = places.get(&spike.trial).copied();
            let trial = place.and_then(|place| trials.get_mut(place));
            let trial = trial.ok_or_else(|| {
                let problem = format!("entry {} is no number of a trial in `trials`", spike.entry);
                DataError::array(path, &format!("spikes_{name}_trial"), problem)
            })?;
            trial[population].push((spike.step, spike.cell));
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

/// A number that must be there: whole from 0, or above 0.
fn number(
    path: &Path,
    npz: &mut Npz,
    name: &str,
    most: f64,
    is_whole: bool,
) -> Result<f64, DataError> {
    let wrong = |problem: String| DataError::array(path, name, problem);
    let value =
        scalar(path, npz, name)?.ok_or_else(|| wrong("is missing; expected one number".into()))?;
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
}

/// The place of each trial by its number.
fn trial_places(path: &Path, numbers: &NpyArray) -> Result<BTreeMap<i64, usize>, DataError> {
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
    Ok(places)
}

/// A spike of a file.
struct Spike {
    /// Its place in the lists.
    entry: usize,
    trial: i64,
    step: u32,
    cell: u32,
}

/// The spikes of the population `name` of `cells` cells, checked but for their trials.
fn spikes_of(
    path: &Path,
    npz: &mut Npz,
    name: &str,
    cells: usize,
    (dt_ms, duration_ms, steps): (f64, f64, u32),
) -> Result<Vec<Spike>, DataError> {
    let named = ["trial", "time_ms", "cell"].map(|kind| format!("spikes_{name}_{kind}"));
    let [trial, time, cell] = &named;
    let [trials, times, cells_of] = npz.lists([trial, time, cell])?;
    let wrong = |array: &str, entry: usize, problem: String| {
        DataError::array(path, array, format!("entry {entry} {problem}"))
    };
    let mut spikes = Vec::new();
    let times = times.floats().zip(cells_of.integers());
    for (entry, (number, (time_ms, index))) in trials.integers().zip(times).enumerate() {
        let Some(number) = number else {
            return Err(wrong(
                trial,
                entry,
                "is no number of a trial in `trials`".into(),
            ));
        };
        let Some(step) = step_of(time_ms, dt_ms).filter(|step| *step < steps) else {
            let problem = format!("is {time_ms}; expected 0 to below {duration_ms} ms");
            return Err(wrong(time, entry, problem));
        };
        let index = index.and_then(|index| u32::try_from(index).ok());
        let Some(index) = index.filter(|index| (*index as usize) < cells) else {
            let problem = format!("is no cell; `n_{name}` is {cells}");
            return Err(wrong(cell, entry, problem));
        };
        spikes.push(Spike {
            entry,
            trial: number,
            step,
            cell: index,
        });
    }
    Ok(spikes)
}
