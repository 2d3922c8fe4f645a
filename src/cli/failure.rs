//! Which exit code an error is worth: the only place that knows.

use dalenet::bench::BenchError;
use dalenet::conductance::engine::EngineError;
use dalenet::conductance::plan::PlanError;
use dalenet::conductance::weights::WeightsError;
use dalenet::config::ConfigError;
use dalenet::data::DataError;
use dalenet::experiment::ExperimentError;
use dalenet::experiment::sweep::SweepError;
use dalenet::gpu::GpuError;
use dalenet::parity::CaseError;
use dalenet::report::ReportError;
use dalenet::study::StudyError;
use dalenet::train::checkpoint::CheckpointError;
use dalenet::train::run_folder::RunFolderError;
use dalenet::train::session::TrainError;

/// Something went wrong on the way.
pub const FAILED: u8 = 1;
/// Wrong use, configuration or data.
pub const WRONG_USE: u8 = 2;
const NO_DEVICE: u8 = 3;

/// The user asked for something that cannot be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WrongUse(pub String);

/// The exit code of an error, by the first part of its chain that says one.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    error.chain().find_map(of).unwrap_or(FAILED)
}

fn of(error: &(dyn std::error::Error + 'static)) -> Option<u8> {
    let is_wrong_use = error.is::<WrongUse>()
        || error.is::<ConfigError>()
        || error.is::<CaseError>()
        || error.is::<WeightsError>();
    if is_wrong_use {
        Some(WRONG_USE)
    } else if let Some(error) = error.downcast_ref::<StudyError>() {
        Some(of_study(error))
    } else if error.is::<PlanError>() {
        Some(NO_DEVICE)
    } else if let Some(error) = error.downcast_ref::<DataError>() {
        Some(of_data(error))
    } else if let Some(error) = error.downcast_ref::<GpuError>() {
        Some(of_gpu(error))
    } else if let Some(error) = error.downcast_ref::<EngineError>() {
        Some(of_engine(error))
    } else if let Some(error) = error.downcast_ref::<BenchError>() {
        Some(of_bench(error))
    } else if let Some(error) = error.downcast_ref::<RunFolderError>() {
        Some(of_folder(error))
    } else if let Some(error) = error.downcast_ref::<CheckpointError>() {
        Some(of_checkpoint(error))
    } else if let Some(error) = error.downcast_ref::<TrainError>() {
        Some(of_training(error))
    } else if let Some(error) = error.downcast_ref::<SweepError>() {
        Some(of_sweep(error))
    } else if let Some(error) = error.downcast_ref::<ReportError>() {
        Some(of_report(error))
    } else {
        error.downcast_ref::<ExperimentError>().map(of_experiment)
    }
}

fn of_experiment(error: &ExperimentError) -> u8 {
    match error {
        ExperimentError::Data(error) => of_data(error),
        ExperimentError::Plan(_) => NO_DEVICE,
        ExperimentError::Gpu(error) => of_gpu(error),
        ExperimentError::Engine(error) => of_engine(error),
        ExperimentError::Weights(_) => WRONG_USE,
        ExperimentError::Train(error) | ExperimentError::Stopped { source: error, .. } => {
            of_training(error)
        }
        ExperimentError::AnalysisJson(_) => FAILED,
    }
}

fn of_sweep(error: &SweepError) -> u8 {
    match error {
        SweepError::Engine(error) => of_engine(error),
        SweepError::Model(error) => of(error.as_ref()).unwrap_or(FAILED),
        SweepError::File(_) => FAILED,
        SweepError::Empty(_)
        | SweepError::Multiplier { .. }
        | SweepError::Twice { .. }
        | SweepError::NoLoop(_) => WRONG_USE,
    }
}

fn of_study(error: &StudyError) -> u8 {
    match error {
        StudyError::File(_) | StudyError::Table { .. } | StudyError::Start { .. } => FAILED,
        _ => WRONG_USE,
    }
}

fn of_bench(error: &BenchError) -> u8 {
    match error {
        BenchError::Config(_) => WRONG_USE,
        BenchError::Data(error) => of_data(error),
        BenchError::Plan(_) => NO_DEVICE,
        BenchError::Gpu(error) => of_gpu(error),
        BenchError::Engine(error) => of_engine(error),
    }
}

fn of_report(error: &ReportError) -> u8 {
    match error {
        ReportError::Nothing { .. } | ReportError::Record(_) | ReportError::Study(_) => WRONG_USE,
        ReportError::File(_) | ReportError::Figure { .. } | ReportError::Table(_) => FAILED,
    }
}

fn of_training(error: &TrainError) -> u8 {
    match error {
        TrainError::RunFolder(error) => of_folder(error),
        TrainError::Checkpoint(error) => of_checkpoint(error),
        TrainError::Model(error) => of(error.as_ref()).unwrap_or(FAILED),
        _ => FAILED,
    }
}

fn of_folder(error: &RunFolderError) -> u8 {
    match error {
        RunFolderError::Exists { .. }
        | RunFolderError::NoRun { .. }
        | RunFolderError::BadName { .. } => WRONG_USE,
        _ => FAILED,
    }
}

fn of_checkpoint(error: &CheckpointError) -> u8 {
    match error {
        CheckpointError::OtherRun { .. } | CheckpointError::NoWeights { .. } => WRONG_USE,
        _ => FAILED,
    }
}

fn of_data(error: &DataError) -> u8 {
    match error {
        DataError::Fetch { .. } => FAILED,
        DataError::Io {
            action: "write", ..
        } => FAILED,
        _ => WRONG_USE,
    }
}

fn of_engine(error: &EngineError) -> u8 {
    match error {
        EngineError::Weights(_) => WRONG_USE,
        EngineError::Memory(_) | EngineError::Threads(_) => NO_DEVICE,
        EngineError::Gpu(error) => of_gpu(error),
        _ => FAILED,
    }
}

fn of_gpu(error: &GpuError) -> u8 {
    match error {
        GpuError::BadDeviceChoice { .. } | GpuError::BadInjection { .. } => WRONG_USE,
        _ => NO_DEVICE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_fails_on_the_way_has_the_code_of_devices() {
        let lost = GpuError::DeviceLost {
            message: "gone".into(),
        };
        for (error, code) in [
            (lost, NO_DEVICE),
            (GpuError::Validation("refused".into()), NO_DEVICE),
            (GpuError::Timeout { seconds: 9 }, NO_DEVICE),
            (GpuError::BadDeviceChoice { text: "x".into() }, WRONG_USE),
        ] {
            let source = TrainError::Model(Box::new(EngineError::Gpu(error)));
            let folder = "run".into();
            let error = ExperimentError::Stopped { folder, source };
            assert_eq!(exit_code(&error.into()), code);
        }
    }
}
