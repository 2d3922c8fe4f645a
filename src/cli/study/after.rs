//! What a study measures on a cell once it is trained.

use dalenet::conductance::experiment::Experiment;
use dalenet::conductance::experiment::sweep::{LoopGrid, SweptWeights, loop_sweep, write_sweep};
use dalenet::families::{self, AnalyseOptions};
use dalenet::study::folder::Unmeasured;
use dalenet::study::{Cell, Study, StudyFolder};
use dalenet::text;
use dalenet::train::interrupt::Interrupt;
use dalenet::train::spectra;
use dalenet::train::stored::WhichCheckpoint;

use super::RunArgs;
use crate::cli::error::Result;
use crate::cli::output::note;

/// Measures what the study wants of a complete cell and what is not there yet: the analysis, which
/// `train` has usually made, spectra along training, and the grid of loop multipliers.
///
/// # Errors
/// The cell's run cannot be read, its device fails, or a file cannot be written.
pub fn measure(
    study: &Study,
    folder: &StudyFolder,
    cell: &Cell,
    args: &RunArgs,
    interrupt: &Interrupt,
) -> Result<()> {
    let unmeasured = folder.unmeasured(study, cell);
    if unmeasured == Unmeasured::default() {
        return Ok(());
    }
    let (data, device) = (args.data.as_deref(), args.device.options());
    if unmeasured.analysis {
        let run = families::open(&folder.cell(&cell.name))?;
        let which = WhichCheckpoint::Last;
        let options = AnalyseOptions::default();
        families::analyse(run, which, data, device, &options, &mut |text| note(text))?;
    }
    if unmeasured.spectra {
        let run = families::open(&folder.cell(&cell.name))?;
        let experiment = families::Experiment::of_run(&run, data, device)?;
        let mut go_on = || interrupt.requested().is_none();
        // Nothing where somebody asked to stop; the next run of the study finds it unmeasured.
        if let Some(spectra) = experiment.spectra(&run.files, &mut go_on)? {
            spectra::write(&run.files, &spectra)?;
        }
    }
    if let Some(wanted) = study.spec.sweep.as_ref().filter(|_| unmeasured.sweep) {
        let run = families::open_conductance(&folder.cell(&cell.name))?;
        let last = run.checkpoint(WhichCheckpoint::Last)?;
        let experiment = Experiment::of_run(&run, data, device)?;
        let grid = LoopGrid::new(&wanted.ei, &wanted.ie)?;
        let points = text::count(grid.points(), "pair", "pairs");
        note(format!("sweeping {points} of loop multipliers\u{2026}"));
        let swept = SweptWeights {
            weights: &experiment.weights_of(&last)?,
            checkpoint: last.which.name(),
            epoch: last.content.progress.epochs_done,
        };
        let mut go_on = |_, _| interrupt.requested().is_none();
        // Nothing where somebody asked to stop; the next run of the study finds it unmeasured.
        if let Some(sweep) = loop_sweep(&experiment, swept, &grid, &mut go_on)? {
            write_sweep(&run.files, &sweep)?;
        }
    }
    Ok(())
}
