//! The families of networks, and what each does for a verb of the program: one `match` a verb.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::analysis::answers::Answers;
use crate::config::{self, ConfigError, Override, Problem, Settings};
use crate::device::DeviceOptions;
use crate::fault::{Blame, Fault};
use crate::gpu::GpuError;
use crate::train::checkpoint::Tensors;
use crate::train::epochs::Outcome;
use crate::train::experiment;
use crate::train::interrupt::Interrupt;
use crate::train::metrics::Metric;
use crate::train::origin::{Origin, ReadError};
use crate::train::progress::{Log, Reporter};
use crate::train::run_folder::RunFiles;
use crate::train::spectra::{TrainingSpectra, along_training};
use crate::train::stored::{self, StoredRunError};
use crate::{conductance, izhikevich, rate_rnn, train};

/// The one list of families: calls a macro with the variant and the module of each.
macro_rules! for_each_family {
    ($make:ident) => {
        $make!(Conductance conductance, RateRnn rate_rnn, Izhikevich izhikevich);
    };
}

macro_rules! families {
    ($($variant:ident $module:ident),* $(,)?) => {
        /// A family of networks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Family {
            $(#[doc = concat!("[`", stringify!($module), "`](crate::", stringify!($module), ").")] $variant),*
        }

        /// What a user wrote to describe a network of some family, its data and its training.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(untagged)]
        #[allow(clippy::large_enum_variant)] // there are few of them
        pub enum Config {
            $(#[doc = concat!("Of [`", stringify!($module), "`](crate::", stringify!($module), ").")] $variant(crate::$module::settings::Config)),*
        }

        $(impl From<crate::$module::settings::Config> for Config {
            fn from(config: crate::$module::settings::Config) -> Self {
                Self::$variant(config)
            }
        })*

        $(impl TryFrom<Config> for crate::$module::settings::Config {
            type Error = ConfigError;

            fn try_from(config: Config) -> Result<Self, ConfigError> {
                match config {
                    Config::$variant(config) => Ok(config),
                    other => Err(ConfigError::OtherFamily {
                        name: other.name().to_owned(),
                        family: other.family().name(),
                        needed: Family::$variant.name(),
                    }),
                }
            }
        })*

        impl Family {
            /// All families.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name in configurations and cases.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($module)),*
                }
            }

            /// What is measured once an epoch.
            pub fn metrics(self) -> &'static [Metric] {
                match self {
                    $(Self::$variant => crate::$module::metrics::METRICS),*
                }
            }

            /// JSON Schema of its configurations.
            pub fn schema(self) -> &'static Value {
                match self {
                    $(Self::$variant => crate::$module::settings::Config::schema()),*
                }
            }

            /// Its configuration where nothing is set.
            pub fn defaults(self) -> Config {
                match self {
                    $(Self::$variant => Config::$variant(crate::$module::settings::Config::default())),*
                }
            }

            /// What its defaults are.
            pub fn about_defaults(self) -> &'static str {
                match self {
                    $(Self::$variant => crate::$module::settings::DEFAULTS),*
                }
            }

            fn resolve(
                self,
                text: &str,
                source: &str,
                overrides: &[Override],
                seed: Option<u64>,
            ) -> Result<Config, ConfigError> {
                match self {
                    $(Self::$variant => {
                        config::resolve(text, source, overrides, seed).map(Config::$variant)
                    }),*
                }
            }
        }

        /// An experiment could not be prepared, or its training stopped.
        #[derive(Debug, thiserror::Error)]
        pub enum ExperimentError {
            $(#[doc = concat!("Of [`", stringify!($module), "`](crate::", stringify!($module), ").")]
              #[error(transparent)]
              $variant(#[from] crate::$module::experiment::ExperimentError),)*
            /// A configuration.
            #[error(transparent)]
            Config(#[from] ConfigError),
            /// A device.
            #[error(transparent)]
            Gpu(#[from] GpuError),
            /// An option of another family.
            #[error("{option} means nothing to {name}, a run of the family {family}; leave it out")]
            NoMeaning {
                /// The option.
                option: &'static str,
                /// Name of the run.
                name: String,
                /// Its family.
                family: &'static str,
            },
        }

        impl Blame for ExperimentError {
            fn fault(&self) -> Fault {
                match self {
                    $(Self::$variant(error) => error.fault(),)*
                    Self::Config(error) => error.fault(),
                    Self::Gpu(error) => error.fault(),
                    Self::NoMeaning { .. } => Fault::User,
                }
            }
        }

        impl ExperimentError {
            /// Whether another process has the folder.
            pub fn is_locked(&self) -> bool {
                match self {
                    $(Self::$variant(crate::$module::experiment::ExperimentError::Train(error)) => {
                        error.is_locked()
                    })*
                    _ => false,
                }
            }
        }

        /// A configuration with its data, ready to run.
        #[allow(clippy::large_enum_variant)] // there is one
        pub enum Experiment {
            $(#[doc = concat!("Of [`", stringify!($module), "`](crate::", stringify!($module), ").")] $variant(crate::$module::experiment::Experiment)),*
        }

        /// A run under way.
        #[allow(clippy::large_enum_variant)] // there is one
        pub enum Run<'a> {
            $(#[doc = concat!("Of [`", stringify!($module), "`](crate::", stringify!($module), ").")] $variant(experiment::Run<'a, crate::$module::experiment::Experiment>)),*
        }

        /// What was measured once on a trained network, beside the metrics of its epochs.
        #[derive(Clone, Debug)]
        #[allow(clippy::large_enum_variant)] // a run has one
        pub enum Findings {
            $(#[doc = concat!("Of [`", stringify!($module), "`](crate::", stringify!($module), ").")] $variant(crate::$module::findings::Findings)),*
        }

        impl Findings {
            /// Reads what lies in a run's folder and is made of the network `expected`; what is not is named in
            /// `left_out`.
            ///
            /// # Errors
            /// A file that cannot be read, or is damaged.
            pub fn read(
                family: Family,
                files: &RunFiles,
                expected: &Origin,
                left_out: &mut Vec<String>,
            ) -> Result<Self, ReadError> {
                match family {
                    $(Family::$variant => {
                        crate::$module::findings::Findings::read(files, expected, left_out).map(Self::$variant)
                    }),*
                }
            }

            /// Whether the network has been analysed.
            pub fn is_analysed(&self) -> bool {
                match self {
                    $(Self::$variant(findings) => findings.is_analysed()),*
                }
            }

            /// Whether the network has been swept.
            pub fn is_swept(&self) -> bool {
                match self {
                    $(Self::$variant(findings) => findings.is_swept()),*
                }
            }

            /// The answers to the test samples.
            pub fn answers(&self) -> Option<Answers<'_>> {
                match self {
                    $(Self::$variant(findings) => findings.answers()),*
                }
            }

            /// What there is, which checkpoint it is of, and what made it.
            pub fn provenance(&self) -> Vec<(&'static str, String)> {
                match self {
                    $(Self::$variant(findings) => findings.provenance()),*
                }
            }
        }

        impl Experiment {
            /// Loads the data (`place`: where it is now), selects the device and makes the plan. Nothing is written, and
            /// no engine is built.
            ///
            /// # Errors
            /// Data that cannot be used, no such device, or too little memory.
            pub fn prepare(
                config: Config,
                place: Option<&Path>,
                device: DeviceOptions,
            ) -> Result<Self, ExperimentError> {
                Ok(match config {
                    $(Config::$variant(config) => {
                        Self::$variant(crate::$module::experiment::Experiment::prepare(config, place, device)?)
                    }),*
                })
            }

            /// Name of the run.
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$variant(experiment) => &experiment.config.name),*
                }
            }

            /// What is unusual, for the user and the manifest.
            pub fn warnings(&self) -> &[String] {
                match self {
                    $(Self::$variant(experiment) => &experiment.warnings),*
                }
            }

            /// What there is to do, and with what.
            pub fn facts(&self) -> Vec<(&'static str, String)> {
                match self {
                    $(Self::$variant(experiment) => experiment.facts()),*
                }
            }

            /// How batches will go through the device, in words; none where there is nothing to say.
            ///
            /// # Errors
            /// A network that does not fit the device.
            pub fn device_plan(&self) -> Result<Option<String>, ExperimentError> {
                Ok(match self {
                    $(Self::$variant(experiment) => experiment.device_plan()?),*
                })
            }

            /// Spectra of the matrices of the run in `files`, at its start, at every checkpoint that was kept, and at
            /// the last one. None where `go_on`, asked between checkpoints, said no.
            ///
            /// # Errors
            /// Checkpoints that are damaged or of another run.
            pub fn spectra(
                &self,
                files: &RunFiles,
                go_on: &mut dyn FnMut() -> bool,
            ) -> Result<Option<TrainingSpectra>, ExperimentError> {
                Ok(match self {
                    $(Self::$variant(experiment) => along_training(experiment, files, go_on)?),*
                })
            }

            /// Plan and configuration.
            pub fn as_json(&self) -> Value {
                match self {
                    $(Self::$variant(experiment) => experiment.as_json()),*
                }
            }

            /// Checks weights that a run is to begin with; returns what is worth knowing of them.
            ///
            /// # Errors
            /// Weights that do not fit.
            pub fn check_weights(&self, weights: &Tensors) -> Result<Vec<String>, ExperimentError> {
                Ok(match self {
                    $(Self::$variant(experiment) => experiment.check_weights(weights)?),*
                })
            }

            /// Makes the folder of a new run, which begins with `weights` or with drawn ones, and builds its engine.
            /// `notes` go into the manifest.
            ///
            /// # Errors
            /// Weights that do not fit, a device that fails, or a folder that cannot be used.
            pub fn start(
                &self,
                folder: &Path,
                force: bool,
                weights: Option<&Tensors>,
                command: Vec<String>,
                notes: Vec<String>,
            ) -> Result<Run<'_>, ExperimentError> {
                Ok(match self {
                    $(Self::$variant(experiment) => {
                        let run = experiment::start(experiment, folder, force, weights, command, notes)?;
                        Run::$variant(run)
                    }),*
                })
            }

            /// Makes the folder of a run that begins with `weights` and leaves it, to be resumed.
            ///
            /// # Errors
            /// Weights that do not fit, or a folder that cannot be used.
            pub fn create_only(
                &self,
                folder: &Path,
                force: bool,
                weights: &Tensors,
                command: Vec<String>,
                notes: Vec<String>,
            ) -> Result<(), ExperimentError> {
                match self {
                    $(Self::$variant(experiment) => {
                        experiment::create_only(experiment, folder, force, weights, command, notes)?
                    }),*
                }
                Ok(())
            }

            /// Goes on with a run from its last checkpoint. `note` says what differs from before.
            ///
            /// # Errors
            /// No run, a damaged one, other data or configuration, or a device that fails.
            pub fn resume(&self, folder: &Path, note: &str) -> Result<Run<'_>, ExperimentError> {
                Ok(match self {
                    $(Self::$variant(experiment) => Run::$variant(experiment::resume(experiment, folder, note)?)),*
                })
            }
        }

        impl Run<'_> {
            /// The folder of the run.
            pub fn folder(&self) -> &Path {
                match self {
                    $(Self::$variant(run) => run.folder()),*
                }
            }

            /// Device and why it was chosen.
            pub fn device(&self) -> &str {
                match self {
                    $(Self::$variant(run) => &run.device),*
                }
            }

            /// A reporter that knows how much there is to do.
            pub fn reporter(&self, log: Log) -> Reporter {
                match self {
                    $(Self::$variant(run) => run.reporter(log)),*
                }
            }

            /// Trains to the last epoch or until somebody asks to stop, and records how it ended.
            ///
            /// # Errors
            /// The model failed or a file could not be written.
            pub fn train(
                &mut self,
                reporter: &mut Reporter,
                interrupt: &Interrupt,
            ) -> Result<Outcome, ExperimentError> {
                Ok(match self {
                    $(Self::$variant(run) => run.train(reporter, interrupt)?),*
                })
            }
        }

        impl Config {
            /// The family.
            pub fn family(&self) -> Family {
                match self {
                    $(Self::$variant(_) => Family::$variant),*
                }
            }

            /// Name of the run.
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$variant(config) => Settings::name(config)),*
                }
            }

            /// Passes over the training samples.
            pub fn epochs(&self) -> u64 {
                match self {
                    $(Self::$variant(config) => Settings::epochs(config)),*
                }
            }

            /// Sets the number of epochs.
            pub fn set_epochs(&mut self, epochs: u64) {
                match self {
                    $(Self::$variant(config) => Settings::set_epochs(config, epochs)),*
                }
            }

            /// Every seed by what it is for.
            pub fn seeds(&self) -> BTreeMap<String, u64> {
                match self {
                    $(Self::$variant(config) => Settings::seeds(config)),*
                }
            }

            /// Test samples; none where only the data can tell.
            pub fn test_samples(&self) -> Option<usize> {
                match self {
                    $(Self::$variant(config) => Settings::test_samples(config)),*
                }
            }

            /// Gives the run another name, which changes no result.
            pub fn set_name(&mut self, name: &str) {
                match self {
                    $(Self::$variant(config) => config.name = name.to_owned()),*
                }
            }

            /// Whether checkpoints are kept along training.
            pub fn keeps_checkpoints(&self) -> bool {
                match self {
                    $(Self::$variant(config) => config.training.keep_every_epochs.is_some()),*
                }
            }

            /// Whether samples are held out to choose the best epoch.
            pub fn has_validation(&self) -> bool {
                match self {
                    $(Self::$variant(config) => Settings::has_validation(config)),*
                }
            }

            /// Looks whether the data are there (`place`: where they are now).
            ///
            /// # Errors
            /// Data that cannot be used.
            pub fn check_data(&self, place: Option<&Path>) -> Result<(), ExperimentError> {
                match self {
                    $(Self::$variant(config) => crate::$module::experiment::check_data(config, place)?),*
                }
                Ok(())
            }

            /// Its settings of the data.
            pub fn data(&self) -> Value {
                match self {
                    $(Self::$variant(config) => serde_json::json!(config.data)),*
                }
            }

            /// SHA-256 but for the number of epochs: equal for runs that go the same way.
            pub fn run_sha256(&self) -> String {
                match self {
                    $(Self::$variant(config) => train::session::run_sha256(config)),*
                }
            }
        }
    };
}

for_each_family!(families);

// Below the list, which they use.
mod reading;
mod verbs;

pub use verbs::{
    AnalyseOptions, EvaluateOptions, Evaluated, analyse, bench, check, check_speed, compare,
    evaluate, predict,
};

/// The configurations inside the program, as (name, JSON text).
pub const BUILTINS: &[(&str, &str)] = &[
    ("coba", include_str!("../configs/coba.json")),
    (
        "orientation",
        include_str!("../configs/orientation/orientation.json"),
    ),
    (
        "orientation_offsets",
        include_str!("../configs/orientation/orientation_offsets.json"),
    ),
    ("ping", include_str!("../configs/ping.json")),
    ("quickstart", include_str!("../configs/quickstart.json")),
    ("rnn_adding", include_str!("../configs/rnn/rnn_adding.json")),
    ("rnn_col_ei", include_str!("../configs/rnn/rnn_col_ei.json")),
    ("rnn_dann", include_str!("../configs/rnn/rnn_dann.json")),
    (
        "rnn_language",
        include_str!("../configs/rnn/rnn_language.json"),
    ),
    (
        "rnn_quickstart",
        include_str!("../configs/rnn/rnn_quickstart.json"),
    ),
    (
        "rnn_standard",
        include_str!("../configs/rnn/rnn_standard.json"),
    ),
    (
        "small_digits",
        include_str!("../configs/orientation/small_digits.json"),
    ),
];

impl Family {
    /// The family of this name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|family| family.name() == name)
    }

    /// The names of all families.
    pub fn names() -> String {
        let names: Vec<_> = Self::ALL.iter().map(|family| family.name()).collect();
        names.join(", ")
    }
}

impl Default for Config {
    /// The defaults of the first family, which configurations need not name.
    fn default() -> Self {
        Family::ALL[0].defaults()
    }
}

impl Config {
    /// The settings of a conductance network; none of another family.
    pub fn as_conductance(&self) -> Option<&conductance::settings::Config> {
        match self {
            Self::Conductance(config) => Some(config),
            _ => None,
        }
    }
}

/// Runs of one shape that are to share an engine.
pub enum Lanes {
    /// Of Izhikevich networks.
    Izhikevich(Arc<izhikevich::lanes::Group>),
    /// Of rate RNNs.
    RateRnn(Arc<rate_rnn::lanes::Group>),
}

/// The right of one run to share it. Dropped unused, the others no longer wait for that run.
pub enum LaneTicket {
    /// Of an Izhikevich network.
    Izhikevich(izhikevich::lanes::Ticket),
    /// Of a rate RNN.
    RateRnn(rate_rnn::lanes::Ticket),
}

impl Lanes {
    /// Of so many runs, each of which takes a ticket; none where networks of this family cannot.
    pub fn new(family: Family, runs: usize) -> Option<Self> {
        match family {
            Family::Conductance => None,
            Family::Izhikevich => Some(Self::Izhikevich(izhikevich::lanes::Group::new(runs))),
            Family::RateRnn => Some(Self::RateRnn(rate_rnn::lanes::Group::new(runs))),
        }
    }

    /// A ticket, one for each run.
    pub fn ticket(&self) -> LaneTicket {
        match self {
            Self::Izhikevich(group) => LaneTicket::Izhikevich(izhikevich::lanes::ticket(group)),
            Self::RateRnn(group) => LaneTicket::RateRnn(rate_rnn::lanes::Ticket::of(group)),
        }
    }
}

impl Config {
    /// What runs that can share an engine have in common; none where networks of this family cannot.
    pub fn lane_shape(&self) -> Option<String> {
        match self {
            Self::Izhikevich(config) => izhikevich::lanes::shape(config),
            Self::RateRnn(config) => rate_rnn::lanes::shape(config),
            Self::Conductance(_) => None,
        }
    }
}

impl Experiment {
    /// [`prepare`](Self::prepare) for a run that shares an engine with others of its shape, where there is a ticket.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub fn prepare_lane(
        config: Config,
        place: Option<&Path>,
        device: DeviceOptions,
        ticket: Option<LaneTicket>,
    ) -> Result<Self, ExperimentError> {
        match (config, ticket) {
            (Config::Izhikevich(config), Some(LaneTicket::Izhikevich(ticket))) => {
                let mut experiment =
                    izhikevich::experiment::Experiment::prepare(config, place, device)?;
                experiment.share(ticket);
                Ok(Self::Izhikevich(experiment))
            }
            (Config::RateRnn(config), Some(LaneTicket::RateRnn(ticket))) => {
                let experiment =
                    rate_rnn::experiment::Experiment::prepare_lane(config, place, device, ticket)?;
                Ok(Self::RateRnn(experiment))
            }
            // A ticket of another family is dropped: nobody waits for it.
            (config, _) => Self::prepare(config, place, device),
        }
    }
}

impl Family {
    /// How many runs of one shape share an engine where nobody says it.
    pub fn usual_lanes(self, on_a_gpu: bool) -> usize {
        match (self, on_a_gpu) {
            (Self::Conductance, _) => 1,
            (_, true) => 64,
            // Processes of their own use a processor as well, and one that fails takes none along.
            (Self::Izhikevich, false) => 1,
            // A small batch is the work of one thread.
            (Self::RateRnn, false) => 32,
        }
    }
}

/// A run of any family in its folder.
pub type StoredRun = stored::StoredRun<Config>;

/// Opens the run in `folder`.
///
/// # Errors
/// No run, or a configuration that is damaged.
pub fn open(folder: &Path) -> Result<StoredRun, StoredRunError> {
    StoredRun::open(folder, |file| load(Some(file), &[], None))
}

/// Opens the run of a conductance network in `folder`, for what has no meaning elsewhere.
///
/// # Errors
/// As [`open`], and [`ConfigError::OtherFamily`].
pub fn open_conductance(
    folder: &Path,
) -> Result<stored::StoredRun<conductance::settings::Config>, StoredRunError> {
    stored::StoredRun::open(folder, |file| load(Some(file), &[], None)?.try_into())
}

impl Experiment {
    /// Data and plan of a stored run, its data where `data` says or where it was before.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub fn of_run(
        run: &StoredRun,
        data: Option<&Path>,
        device: DeviceOptions,
    ) -> Result<Self, ExperimentError> {
        Self::prepare(run.config.clone(), run.data_place(data).as_deref(), device)
    }
}

/// Text of the built-in configuration `name`, as `ping`.
pub fn builtin(name: &str) -> Option<&'static str> {
    let mut builtins = BUILTINS.iter();
    builtins
        .find(|(known, _)| *known == name)
        .map(|(_, text)| *text)
}

/// The names of the built-in configurations.
pub fn builtin_names() -> String {
    let names: Vec<_> = BUILTINS.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

/// Loads `file` (`None`: all defaults of the first family), sets all seeds to `seed`, then applies `overrides` in
/// order; checks everything.
///
/// If `file` does not exist, `NAME`, `NAME.json` and `configs/NAME.json` mean the built-in configuration `NAME`.
///
/// # Errors
/// Any [`ConfigError`]; what is wrong with values is collected, not only the first.
pub fn load(
    file: Option<&Path>,
    overrides: &[Override],
    seed: Option<u64>,
) -> Result<Config, ConfigError> {
    match file {
        Some(path) => {
            let (source, text) = config::read(path, BUILTINS)?;
            resolve(&text, &source, overrides, seed)
        }
        None => resolve("{}", "defaults", overrides, seed),
    }
}

/// Reads and checks a configuration from `text`, which messages call `source`, then applies `overrides` in order.
///
/// # Errors
/// [`ConfigError::Syntax`] and [`ConfigError::Invalid`].
pub fn parse(text: &str, source: &str, overrides: &[Override]) -> Result<Config, ConfigError> {
    resolve(text, source, overrides, None)
}

fn resolve(
    text: &str,
    source: &str,
    overrides: &[Override],
    seed: Option<u64>,
) -> Result<Config, ConfigError> {
    family_of(text, source, overrides)?.resolve(text, source, overrides, seed)
}

fn family_of(text: &str, source: &str, overrides: &[Override]) -> Result<Family, ConfigError> {
    match config::family_of(text, source, overrides)? {
        // Configurations older than the second family need not name theirs.
        None => Ok(Family::ALL[0]),
        Some(name) => Family::find(&name).ok_or_else(|| unknown_family(&name, source)),
    }
}

/// `a, b or c`.
fn either(names: &[String]) -> String {
    match names.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => names.concat(),
    }
}

fn unknown_family(name: &str, source: &str) -> ConfigError {
    let quoted = Family::ALL.iter().map(|f| format!("\"{}\"", f.name()));
    let quoted: Vec<_> = quoted.collect();
    ConfigError::Invalid(vec![Problem {
        source: source.to_owned(),
        key: "family".to_owned(),
        value: config::shown(&Value::from(name).to_string()),
        message: format!("must be {}", either(&quoted)),
    }])
}
