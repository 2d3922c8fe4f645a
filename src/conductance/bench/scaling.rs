//! How the time of a training batch grows with its trials, steps and cells.

use super::measure::time;
use super::report::{Scaling, ScalingPoint};
use super::subject::BenchNetwork;
use crate::bench::BenchTarget;
use crate::bench::MedianSpread;
use crate::bench::Task;
use crate::conductance::experiment::ExperimentError;
use crate::conductance::settings::Config;
use crate::conductance::work;

/// What can double.
#[derive(Clone, Copy, PartialEq, Eq)]
enum GrowthAxis {
    Batch,
    Steps,
    Cells,
}

impl GrowthAxis {
    fn name(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Steps => "steps",
            Self::Cells => "cells",
        }
    }

    fn double(self, config: &Config) -> Config {
        let mut config = config.clone();
        match self {
            Self::Batch => config.training.batch_size *= 2,
            Self::Steps => config.network.duration_ms *= 2.0,
            Self::Cells => {
                config.network.n_e *= 2;
                config.network.n_i *= 2;
            }
        }
        config
    }
}

/// One measured size.
struct GrowthPoint {
    size: [usize; 4],
    seconds: MedianSpread,
    /// Least operations of a batch.
    flops: f64,
}

/// Times training batches of `config` and of the same with each size doubled. A doubled network
/// that does not fit the device is reported, not an error.
pub(super) fn scaling(
    config: &Config,
    network: &str,
    target: &BenchTarget,
    repetitions: usize,
) -> Result<Scaling, ExperimentError> {
    let base = point(config.clone(), target, repetitions)?;
    let mut points = Vec::new();
    for axis in [GrowthAxis::Batch, GrowthAxis::Steps, GrowthAxis::Cells] {
        let doubled = point(axis.double(config), target, repetitions);
        points.push(match doubled {
            Ok(doubled) => ScalingPoint {
                doubled: axis.name(),
                ms: Some(doubled.seconds.times(1e3)),
                ratio: Some(doubled.seconds.median / base.seconds.median),
                ideal: Some(match axis {
                    GrowthAxis::Batch | GrowthAxis::Steps => 2.0,
                    GrowthAxis::Cells => doubled.flops / base.flops,
                }),
                problem: None,
            },
            Err(error) => ScalingPoint {
                doubled: axis.name(),
                ms: None,
                ratio: None,
                ideal: None,
                problem: Some(error.to_string()),
            },
        });
    }
    Ok(Scaling {
        network: network.to_owned(),
        base: base.size,
        base_ms: base.seconds.times(1e3),
        points,
    })
}

fn point(
    config: Config,
    target: &BenchTarget,
    repetitions: usize,
) -> Result<GrowthPoint, ExperimentError> {
    let mut subject = BenchNetwork::open(config, target)?;
    subject.infer()?;
    let (_, seconds) = time(&mut subject, Task::Training, repetitions)?;
    let stages = work::training(&subject.params, &subject.layout, subject.activity);
    let p = &subject.params;
    Ok(GrowthPoint {
        size: [subject.batch_trials(), p.steps, p.n_e(), p.n_i()],
        seconds,
        flops: work::total(&stages).0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_axis_doubles_its_own_size_only() {
        let config = Config::default();
        let sizes = |config: &Config| {
            let n = &config.network;
            [config.training.batch_size, n.steps(), n.n_e, n.n_i]
        };
        let [batch, steps, e, i] = sizes(&config);
        assert_eq!(
            sizes(&GrowthAxis::Batch.double(&config)),
            [2 * batch, steps, e, i]
        );
        assert_eq!(
            sizes(&GrowthAxis::Steps.double(&config)),
            [batch, 2 * steps, e, i]
        );
        let cells = GrowthAxis::Cells.double(&config);
        assert_eq!(sizes(&cells), [batch, steps, 2 * e, 2 * i]);
    }
}
