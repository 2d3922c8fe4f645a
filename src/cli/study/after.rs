//! What a study measures on a cell once it is trained.

use anyhow::Result;
use dalenet::analysis::rhythm::Settings;
use dalenet::experiment::sweep::{LoopGrid, SweptWeights, loop_sweep, write_sweep};
use dalenet::experiment::write_analysis;
use dalenet::study::{Cell, Study, StudyFolder};
use dalenet::train::interrupt::Interrupt;
use dalenet::train::run_folder::RunFiles;

use super::RunArgs;
use crate::cli::analyse::analyse;
use crate::cli::arguments::Which;
use crate::cli::output::note;
use crate::cli::stored::{StoredRun, data_place};

/// Measures what the study wants of a complete cell and what is not there yet: the analysis, which
/// `train` has usually made, and the grid of loop multipliers.
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
    let path = folder.cell(&cell.name);
    let files = RunFiles::at(&path);
    let data = data_place(&path, args.data.clone());
    if folder.lacks_analysis(cell) {
        let run = StoredRun::load(&path, Which::Last)?;
        let which = Which::Last;
        let settings = Settings::default();
        let analysis = analyse(&run, &files, which, data.as_deref(), &args.device, settings)?;
        write_analysis(&files, &analysis)?;
    }
    let Some(wanted) = &study.spec.sweep else {
        return Ok(());
    };
    if folder.lacks_sweep(study, cell) {
        let grid = LoopGrid::new(&wanted.ei, &wanted.ie)?;
        let run = StoredRun::load(&path, Which::Last)?;
        let (experiment, weights) = run.experiment(data.as_deref(), args.device.options())?;
        note(format!(
            "sweeping {} loop multipliers\u{2026}",
            grid.points()
        ));
        let swept = SweptWeights {
            weights: &weights,
            checkpoint: Which::Last.name(),
            epoch: run.checkpoint.progress.epochs_done,
        };
        let mut go_on = |_, _| interrupt.requested().is_none();
        // Nothing where somebody asked to stop; the next run of the study finds it missing.
        if let Some(sweep) = loop_sweep(&experiment, swept, &grid, &mut go_on)? {
            write_sweep(&files, &sweep)?;
        }
    }
    Ok(())
}
