//! The golden cases in `tests/golden`, run on the engines of the tests.

use std::path::{Path, PathBuf};

use dalenet::conductance::batch::{Population, SpikeBits};
use dalenet::conductance::engine::Engine;
use dalenet::conductance::parity::{self, Case};
use dalenet::parity::CaseReport;

use super::networks::{Device, Setup};

/// Every case file, sorted.
pub fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let entries = std::fs::read_dir(&folder).expect("tests/golden is there");
    let paths = entries.map(|entry| entry.expect("readable").path());
    let mut files: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|e| e == "safetensors"))
        .collect();
    files.sort();
    files
}

/// The case of a name.
pub fn load(name: &str) -> Case {
    let path = path(name);
    Case::load(&path).unwrap_or_else(|e| panic!("{e}"))
}

/// The file of a name.
pub fn path(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    folder.join(format!("{name}.safetensors"))
}

/// The network and trials of a case.
pub fn setup(case: &Case) -> Setup {
    Setup {
        params: case.params.clone(),
        weights: case.weights.clone(),
        batch: case.batch.clone(),
    }
}

/// Compares a device with a case.
pub fn run(case: &Case, device: &Device) -> CaseReport {
    run_with(case, device, |engine| engine)
}

/// Compares a device, wrapped by `wrap`, with a case.
pub fn run_with(
    case: &Case,
    device: &Device,
    wrap: impl Fn(Box<dyn Engine>) -> Box<dyn Engine>,
) -> CaseReport {
    let mut make = |case: &Case| Ok(wrap((device.make)(&setup(case))));
    parity::run(case, device.precision, &mut make).expect("the engine runs")
}

/// The rows that failed, for messages.
pub fn failures(report: &CaseReport) -> Vec<String> {
    let failed = report.rows.iter().filter(|row| !row.passed);
    failed.map(|row| format!("{row:?}")).collect()
}

/// Flips one bit of a raster.
pub fn flip(
    raster: &mut SpikeBits,
    trial: usize,
    step: usize,
    population: Population,
    cell: usize,
) {
    let row = raster.row_words();
    let word = raster.words_of(population).start + cell / 32;
    raster.words[(trial * raster.steps + step) * row + word] ^= 1 << (cell % 32);
}
