//! From a prepared experiment of any family to a run: begun, gone on with, trained to its end and measured.

use std::path::{Path, PathBuf};

use super::checkpoint::Tensors;
use super::epochs::{Outcome, Recipe};
use super::interrupt::Interrupt;
use super::manifest::{DeviceInfo, Manifest, Status};
use super::metrics::{EpochMetrics, Metric};
use super::model::{Encoder, Model, ModelState};
use super::progress::{Log, Reporter, Schedule};
use super::run::{Stopped, TrainingRun};
use super::session::{Session, TrainError};
use super::spectra::{self, Spectra};
use crate::config::Settings;
use crate::data::Split;
use crate::text::count;

/// Makes the `ExperimentError` of a family: what every experiment can fail with, and the family's own errors.
macro_rules! experiment_error {
    ($($(#[$doc:meta])* $variant:ident($error:ty)),* $(,)?) => {
        /// An experiment could not be prepared, or its training stopped.
        #[derive(Debug, thiserror::Error)]
        pub enum ExperimentError {
            /// The configuration.
            #[error(transparent)]
            Config(#[from] $crate::config::ConfigError),
            /// The data.
            #[error(transparent)]
            Data(#[from] $crate::data::DataError),
            /// The device.
            #[error(transparent)]
            Gpu(#[from] $crate::gpu::GpuError),
            $($(#[$doc])* #[error(transparent)] $variant(#[from] $error),)*
            /// The run folder.
            #[error(transparent)]
            Train(#[from] $crate::train::session::TrainError),
            /// A run that is there already.
            #[error(transparent)]
            Stored(#[from] $crate::train::stored::StoredRunError),
            /// Samples that are no input of the network.
            #[error("{0}")]
            Samples(String),
            /// An option that cannot be.
            #[error("{0}")]
            Option(String),
            /// The network could not be evaluated.
            #[error("{0}")]
            Model($crate::train::model::ModelError),
            /// Training stopped before its end.
            #[error(transparent)]
            Stopped(#[from] $crate::train::run::Stopped),
            /// An analysis could not be written as JSON.
            #[error("the analysis cannot be written as JSON: {0}")]
            AnalysisJson(serde_json::Error),
        }

        impl $crate::fault::Blame for ExperimentError {
            fn fault(&self) -> $crate::fault::Fault {
                use $crate::fault::{Blame, Fault};
                match self {
                    Self::Config(error) => error.fault(),
                    Self::Data(error) => error.fault(),
                    Self::Gpu(error) => error.fault(),
                    $(Self::$variant(error) => Blame::fault(error),)*
                    Self::Train(error) => error.fault(),
                    Self::Stored(error) => error.fault(),
                    Self::Samples(_) | Self::Option(_) => Fault::User,
                    Self::Model(error) => error.fault(),
                    Self::Stopped(error) => error.fault(),
                    Self::AnalysisJson(_) => Fault::Program,
                }
            }
        }
    };
}

pub(crate) use experiment_error;

/// What an experiment is made on.
pub struct Data<'a> {
    /// What the data set is called.
    pub name: &'a str,
    /// The folder or file that the user named, absolute.
    pub place: Option<&'a PathBuf>,
    /// SHA-256 of the samples in use.
    pub sha256: &'a str,
    /// Which samples train, validate and test.
    pub split: &'a Split,
}

/// A configuration with its data, ready to run: what a family tells of it.
pub trait Prepared {
    /// The family's configuration.
    type Config: Settings;
    /// Its network on an engine, with data to be measured on.
    type Model: Model;
    /// What makes its batches.
    type Encoder: Encoder<Batch = <Self::Model as Model>::Batch>;
    /// Why it cannot run.
    type Error: From<TrainError> + From<Stopped> + std::fmt::Display;

    /// What to change where training diverges.
    const ADVICE: &'static str;

    /// The configuration.
    fn config(&self) -> &Self::Config;

    /// The data.
    fn data(&self) -> Data<'_>;

    /// What the manifest is to say.
    fn notes(&self) -> Vec<String>;

    /// Batches and epochs.
    fn recipe(&self) -> Recipe;

    /// What makes the batches.
    fn encoder(&self) -> Self::Encoder;

    /// Weights, given or drawn, of a network that has not begun to learn.
    ///
    /// # Errors
    /// Weights that do not fit.
    fn first_state(&self, weights: Option<&Tensors>) -> Result<ModelState, Self::Error>;

    /// The network with weights and optimiser state on its engine. `before` is what the run was on until now.
    ///
    /// # Errors
    /// State of another network, or a device that cannot take it.
    fn network(
        &self,
        state: &ModelState,
        before: Option<&DeviceInfo>,
    ) -> Result<(Self::Model, OpenedDevice), Self::Error>;

    /// The table of what is measured after each epoch.
    fn metrics(&self) -> &'static [Metric];

    /// Spectra of the matrices of stored weights; `measured`: the epoch that they are of, where it was.
    ///
    /// # Errors
    /// Weights of another network, or data that cannot be encoded.
    fn spectra(
        &self,
        weights: &Tensors,
        measured: Option<&EpochMetrics>,
    ) -> Result<Spectra, Self::Error>;

    /// Measures the trained network and writes what belongs beside its metrics; `false` where somebody asked to stop.
    ///
    /// # Errors
    /// The device failed, or a file could not be written.
    fn close(
        &self,
        network: &mut Self::Model,
        session: &Session,
        interrupt: &Interrupt,
    ) -> Result<bool, Self::Error>;
}

/// What an engine runs on, in words.
#[derive(Clone, Debug)]
pub struct OpenedDevice {
    /// The engine in a few words.
    pub summary: String,
    /// The device.
    pub info: DeviceInfo,
    /// Why it was chosen.
    pub reason: String,
    /// What else is to be said of it, for the manifest.
    pub note: Option<String>,
}

impl std::fmt::Display for OpenedDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Summary and reason may begin with the name, which is to be said once.
        let reason = self.reason.strip_prefix(&self.info.name);
        let reason = reason.or(self.reason.strip_prefix("CPU engine"));
        let reason = reason.map_or_else(
            || self.reason.clone(),
            |rest| {
                let rest = rest.trim_start_matches([' ', ':', ',', '(']);
                rest.replacen("): ", ": ", 1)
            },
        );
        if self.summary.starts_with(&self.info.name) {
            write!(f, "{} ({reason})", self.summary)
        } else {
            write!(f, "{} on {} ({reason})", self.summary, self.info.name)
        }
    }
}

/// Makes the folder of a new run, which begins with `weights` or with drawn ones, and builds its engine. `notes` go into
/// the manifest.
///
/// # Errors
/// Weights that do not fit, a device that fails, or a folder that cannot be used.
pub fn start<'a, E: Prepared>(
    experiment: &'a E,
    folder: &Path,
    force: bool,
    weights: Option<&Tensors>,
    command: Vec<String>,
    notes: Vec<String>,
) -> Result<Run<'a, E>, E::Error> {
    let state = experiment.first_state(weights)?;
    let (network, device) = experiment.network(&state, None)?;
    let mut manifest = manifest(experiment, command, notes);
    manifest.notes.extend(device.note.clone());
    manifest.device = device.info.clone();
    let session = Session::create(folder, force, experiment.config(), manifest, state)?;
    Ok(Run::new(experiment, session, network, device.to_string()))
}

/// Makes the folder of a run that begins with `weights` and leaves it, to be resumed.
///
/// # Errors
/// Weights that do not fit, or a folder that cannot be used.
pub fn create_only<E: Prepared>(
    experiment: &E,
    folder: &Path,
    force: bool,
    weights: &Tensors,
    command: Vec<String>,
    notes: Vec<String>,
) -> Result<(), E::Error> {
    let state = experiment.first_state(Some(weights))?;
    let manifest = manifest(experiment, command, notes);
    let mut session = Session::create(folder, force, experiment.config(), manifest, state)?;
    Ok(session.end(Status::Interrupted, None)?)
}

/// Goes on with a run from its last checkpoint. `note` says what differs from before.
///
/// # Errors
/// No run, a damaged one, other data or configuration, or a device that fails.
pub fn resume<'a, E: Prepared>(
    experiment: &'a E,
    folder: &Path,
    note: &str,
) -> Result<Run<'a, E>, E::Error> {
    let data = experiment.data();
    let (mut session, state) = Session::open(folder, experiment.config(), data.sha256)?;
    let before = &session.manifest().device;
    let (network, device) = experiment.network(&state, Some(before))?;
    let progress = session.progress();
    let mut notes = vec![format!(
        "from epoch {}, batch {}",
        progress.epochs_done, progress.batches_done_in_epoch
    )];
    let before = session.manifest().device.name.clone();
    let mut shown_device = device.to_string();
    if before != device.info.name && !before.is_empty() {
        notes.push(format!("on {} instead of {before}", device.info.name));
        shown_device += &format!("; until now on {before}");
    }
    notes.extend(device.note.clone());
    notes.extend((!note.is_empty()).then(|| note.to_owned()));
    session.go_on(experiment.config(), &notes.join("; "), |manifest| {
        manifest.device = device.info.clone();
        manifest.data_place = data.place.cloned().or(manifest.data_place.take());
    })?;
    Ok(Run::new(experiment, session, network, shown_device))
}

fn manifest(experiment: &impl Prepared, command: Vec<String>, mut notes: Vec<String>) -> Manifest {
    notes.extend(experiment.notes());
    let Data {
        name,
        place,
        sha256,
        split,
    } = experiment.data();
    Manifest {
        data_name: name.to_owned(),
        data_place: place.cloned(),
        samples: [
            ("train", split.train.len()),
            ("validation", split.validation.len()),
            ("test", split.test.len()),
        ]
        .map(|(part, samples)| (part.to_owned(), samples as u64))
        .into(),
        data_sha256: sha256.to_owned(),
        notes,
        ..Manifest::begin(command)
    }
}

/// Nothing where what was to be measured is there, else a sentence on what is missing and how to make it.
fn said<E: std::fmt::Display>(
    outcome: Result<bool, E>,
    (what, command): (&str, &str),
    session: &Session,
    reporter: &mut Reporter,
) -> Result<(), String> {
    let problem = match outcome {
        Ok(true) => return Ok(()),
        Ok(false) => "interrupted".to_owned(),
        Err(error) => error.to_string(),
    };
    let message = format!(
        "no {what}: {problem}; make it with: dalenet {command} {}",
        session.files().folder().display()
    );
    reporter.warning(&message);
    Err(message)
}

/// Spectra along training of a run that has kept checkpoints; `false` where somebody asked to stop.
fn write_spectra<E: Prepared>(
    experiment: &E,
    session: &Session,
    interrupt: &Interrupt,
) -> Result<bool, E::Error> {
    let mut go_on = || interrupt.requested().is_none();
    let spectra = spectra::along_training(experiment, session.files(), &mut go_on)?;
    if let Some(spectra) = &spectra {
        spectra::write(session.files(), spectra)?;
    }
    Ok(spectra.is_some())
}

/// A run under way: its folder, its network on an engine, and the device in words.
pub struct Run<'a, E: Prepared> {
    experiment: &'a E,
    training: TrainingRun<E::Model, E::Encoder>,
    /// Device and why it was chosen.
    pub device: String,
}

impl<'a, E: Prepared> Run<'a, E> {
    fn new(experiment: &'a E, session: Session, model: E::Model, device: String) -> Self {
        Self {
            experiment,
            training: TrainingRun {
                session,
                model,
                encoder: experiment.encoder(),
                recipe: experiment.recipe(),
                advice: E::ADVICE,
            },
            device,
        }
    }

    /// The folder of the run.
    pub fn folder(&self) -> &Path {
        self.training.folder()
    }

    /// How much there is to do.
    pub fn schedule(&self) -> Schedule {
        self.training.schedule()
    }

    /// A reporter that knows how much there is to do.
    pub fn reporter(&self, log: Log) -> Reporter {
        self.training.reporter(log)
    }

    /// Trains to the last epoch or until somebody asks to stop, then measures the trained network, and records how it
    /// ended. The run is trained and stays so whatever happens to that measurement.
    ///
    /// # Errors
    /// The model failed or a file could not be written.
    pub fn train(
        &mut self,
        reporter: &mut Reporter,
        interrupt: &Interrupt,
    ) -> Result<Outcome, E::Error> {
        let experiment = self.experiment;
        let close = |network: &mut E::Model, session: &Session, reporter: &mut Reporter| {
            let trials = experiment.data().split.test.len();
            let trials = count(trials, "test trial", "test trials");
            reporter.note(&format!("analysing {trials}\u{2026}"));
            let closed = experiment.close(network, session, interrupt);
            said(closed, ("analysis", "analyse"), session, reporter)?;
            if experiment.recipe().keep_every_epochs.is_none() {
                return Ok(());
            }
            let spectra = write_spectra(experiment, session, interrupt);
            said(spectra, ("spectra", "spectra"), session, reporter)
        };
        Ok(self.training.train(reporter, interrupt, close)?)
    }
}
