//! What the program does with stored runs and devices, by the family of the networks: a `match` a verb.

use std::path::Path;

use super::{BUILTINS, Config, ExperimentError, Family, StoredRun, family_of};
use crate::bench::BenchOptions;
use crate::check::{Checked, Checklist};
use crate::config::{self, ConfigError};
use crate::data::Samples;
use crate::device::DeviceOptions;
use crate::gpu::Selection;
use crate::parity::{CaseError, CaseFile, CaseReport, ParityError, Precision};
use crate::summary::Summary;
use crate::train::stored::WhichCheckpoint;

macro_rules! verbs {
    ($($variant:ident $module:ident),* $(,)?) => {
        /// What only networks of one family can be asked of an evaluation.
        #[derive(Clone, Debug, Default, clap::Args)]
        pub struct EvaluateOptions {
            $(#[doc = concat!("Of [`", stringify!($module), "`](crate::", stringify!($module), ").")]
              #[command(flatten)]
              pub $module: crate::$module::evaluate::Options),*
        }

        /// What only networks of one family can be asked of an analysis.
        #[derive(Clone, Debug, Default, clap::Args)]
        pub struct AnalyseOptions {
            $(#[doc = concat!("Of [`", stringify!($module), "`](crate::", stringify!($module), ").")]
              #[command(flatten)]
              pub $module: crate::$module::analyse::Options),*
        }

        impl EvaluateOptions {
            /// One that was given and means nothing to networks of `family`.
            fn foreign(&self, family: Family) -> Option<&'static str> {
                let given = [$((Family::$variant, self.$module.given())),*];
                foreign(family, &given)
            }
        }

        impl AnalyseOptions {
            /// One that was given and means nothing to networks of `family`.
            fn foreign(&self, family: Family) -> Option<&'static str> {
                let given = [$((Family::$variant, self.$module.given())),*];
                foreign(family, &given)
            }
        }

        /// Measures a checkpoint of a run on its test samples; `data` is where a file of them is now. `note` is told what
        /// is worth knowing.
        ///
        /// # Errors
        /// A checkpoint of another run, data or options that cannot be used, or a device that fails.
        pub fn evaluate(
            run: StoredRun,
            which: WhichCheckpoint,
            data: Option<&Path>,
            device: DeviceOptions,
            options: &EvaluateOptions,
            note: &mut dyn FnMut(String),
        ) -> Result<Evaluated, ExperimentError> {
            if let Some(option) = options.foreign(run.config.family()) {
                return Err(ExperimentError::no_meaning(option, &run.config));
            }
            match run.config.clone() {
                $(Config::$variant(config) => {
                    let run = run.with_config(config);
                    let options = &options.$module;
                    let evaluate = crate::$module::evaluate::evaluate;
                    let (summary, recorded) = evaluate(&run, which, data, device, options, note)?;
                    Ok((summary, recorded.map_err(Into::into)))
                })*
            }
        }

        /// Measures the engines of a family on one device; `progress` hears what is being measured.
        ///
        /// # Errors
        /// A configuration that cannot be used or is of another family than the first, no such device or one that fails,
        /// or too little memory.
        pub fn bench(
            options: &BenchOptions,
            progress: &mut dyn FnMut(&str),
        ) -> Result<Summary, ExperimentError> {
            match bench_family(options)? {
                $(Family::$variant => Ok(crate::$module::bench::run(options, progress)?)),*
            }
        }

        /// Checks every family on a device.
        pub fn check(checked: &Checked<'_>, checklist: &mut Checklist<'_>) {
            $(crate::$module::check::check(checked, checklist);)*
        }

        /// How fast networks of each family train and run.
        pub fn check_speed(
            options: &BenchOptions,
            progress: &mut dyn FnMut(&str),
        ) -> Vec<Result<Summary, ExperimentError>> {
            vec![$(crate::$module::check::speed(options, progress).map_err(Into::into)),*]
        }

        /// Measures a checkpoint of a run on all its test trials; `data` is where a file of them is now. That of the last
        /// checkpoint becomes the run's `analysis.json`. `note` is told what goes on.
        ///
        /// # Errors
        /// A checkpoint of another run, data or options that cannot be used, a device that fails, or a file that cannot
        /// be written.
        pub fn analyse(
            run: StoredRun,
            which: WhichCheckpoint,
            data: Option<&Path>,
            device: DeviceOptions,
            options: &AnalyseOptions,
            note: &mut dyn FnMut(String),
        ) -> Result<Summary, ExperimentError> {
            if let Some(option) = options.foreign(run.config.family()) {
                return Err(ExperimentError::no_meaning(option, &run.config));
            }
            match run.config.clone() {
                $(Config::$variant(config) => {
                    let run = run.with_config(config);
                    let options = &options.$module;
                    Ok(crate::$module::analyse::of_run(&run, which, data, device, options, note)?)
                })*
            }
        }

        impl Family {
            /// Compares the engine of a selected device with a case of the family.
            fn compare(
                self,
                file: &CaseFile,
                precision: Precision,
                selection: &Selection,
                options: &DeviceOptions,
            ) -> Result<CaseReport, ParityError> {
                match self {
                    $(Self::$variant => crate::$module::parity::compare(file, precision, selection, options)),*
                }
            }
        }

        impl Config {
            /// The class scores of the first `count` of `samples`, a row a sample, of a checkpoint of a run of
            /// this configuration.
            fn predict(
                &self,
                run: StoredRun,
                which: WhichCheckpoint,
                samples: Samples,
                count: usize,
                device: DeviceOptions,
            ) -> Result<Vec<Vec<f64>>, ExperimentError> {
                Ok(match self {
                    $(Self::$variant(config) => {
                        let run = run.with_config(config.clone());
                        crate::$module::predict::predict(&run, which, samples, count, device)?
                    }),*
                })
            }
        }
    };
}

for_each_family!(verbs);

/// An evaluation, and what became of what was to be recorded: a sentence, or why there is none.
pub type Evaluated = (Summary, Result<Option<String>, ExperimentError>);

/// The family of the networks to be measured, which must all be of one.
fn bench_family(options: &BenchOptions) -> Result<Family, ConfigError> {
    let mut all = None;
    for name in &options.networks {
        let (source, text) = config::read(Path::new(name), BUILTINS)?;
        let family = family_of(&text, &source, &options.set)?;
        if *all.get_or_insert(family) != family {
            return Err(ConfigError::OtherFamily {
                name: name.clone(),
                family: family.name(),
                needed: all.unwrap_or(family).name(),
            });
        }
    }
    Ok(all.unwrap_or(Family::ALL[0]))
}

/// The option that was given of another family than this.
fn foreign(family: Family, given: &[(Family, Option<&'static str>)]) -> Option<&'static str> {
    let mut others = given.iter().filter(|(of, _)| *of != family);
    others.find_map(|(_, option)| *option)
}

impl ExperimentError {
    fn no_meaning(option: &'static str, config: &Config) -> Self {
        Self::NoMeaning {
            option,
            name: config.name().to_owned(),
            family: config.family().name(),
        }
    }
}

/// The class scores of the first `count` of `samples`, a row a sample, of a checkpoint of a run.
///
/// # Errors
/// A checkpoint that is damaged, samples that do not fit the network, or a device that fails.
pub fn predict(
    run: StoredRun,
    which: WhichCheckpoint,
    samples: Samples,
    count: usize,
    device: DeviceOptions,
) -> Result<Vec<Vec<f64>>, ExperimentError> {
    let config = run.config.clone();
    config.predict(run, which, samples, count, device)
}

/// Compares the engine of a selected device with a case of any family.
///
/// # Errors
/// What is no case, or one of a family that is not known; an engine that fails.
pub fn compare(
    file: &CaseFile,
    precision: Precision,
    selection: &Selection,
    options: &DeviceOptions,
) -> Result<CaseReport, ParityError> {
    let Some(family) = Family::find(&file.family) else {
        return Err(ParityError::Case(CaseError::Family {
            path: file.path.clone(),
            family: file.family.clone(),
            known: Family::names(),
        }));
    };
    family.compare(file, precision, selection, options)
}
