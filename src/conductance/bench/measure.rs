//! Training and inference of one network: repetitions, stages, memory.

use std::time::Instant;

use super::report::{Limits, MemoryUse, NetworkActivity, ProductLimit, StageReport, TaskReport};
use super::subject::BenchNetwork;
use crate::bench::MedianSpread;
use crate::bench::{Ceilings, Task};
use crate::bench::{product_gflops, repeat};
use crate::conductance::block_trials;
use crate::conductance::engine::{Quantity, StageTime};
use crate::conductance::experiment::ExperimentError;
use crate::conductance::work::{
    self, BACKWARD, LOOP_PRODUCTS, REPLAY, StageWork, WEIGHT_GRADIENTS, loop_flops_per_trial,
    loop_matrices,
};
use crate::config;

/// What all measurements of a run have in common.
pub(super) struct Setup<'a> {
    pub(super) repetitions: usize,
    pub(super) ceilings: &'a Ceilings,
    /// Threads of the CPU engine; none on a GPU.
    pub(super) threads: Option<usize>,
}

/// Times `task` batches of `subject`, in total and by stage.
pub(super) fn workload(
    subject: &mut BenchNetwork,
    network: &str,
    task: Task,
    setup: &Setup<'_>,
) -> Result<TaskReport, ExperimentError> {
    // The spikes of a batch are counted by inference only; they are the same in training.
    subject.infer()?;
    let mut product_gflops = loop_products(subject, task, setup);
    forget_peak();
    let before = subject.opened.engine.usage();
    let (batches, seconds) = time(subject, task, setup.repetitions)?;
    let after = subject.opened.engine.usage();
    // Before and after the batches: other load on the machine is then likelier to slow both.
    product_gflops.extend(loop_products(subject, task, setup));
    let run = ((setup.repetitions * batches) + 1) as f64;
    let per_batch = |from: u64, to: u64| to.saturating_sub(from) as f64 / run;

    let stage_work = match task {
        Task::Training => work::training(&subject.params, &subject.layout, subject.activity),
        Task::Inference => work::inference(&subject.params, &subject.layout, subject.activity),
    };
    let (flops, bytes) = work::total(&stage_work);
    let trials = subject.batch_trials();
    let samples_per_second = seconds.rate(trials as f64);
    Ok(TaskReport {
        network: network.to_owned(),
        config_sha256: config::sha256(&subject.config),
        task,
        batch_trials: trials,
        steps: subject.params.steps,
        cells: subject.cells(),
        state: state(subject),
        samples_per_second,
        ms_per_batch: seconds.times(1e3),
        batches_per_repetition: batches,
        gflop_per_batch: flops * 1e-9,
        tflops: flops / seconds.median * 1e-12,
        gb_per_s: bytes / seconds.median * 1e-9,
        limits: limits(
            subject,
            &stage_work,
            &product_gflops,
            setup.threads,
            samples_per_second.median,
            setup.ceilings,
        ),
        stages: stages(subject, task, &stage_work, setup)?,
        memory: MemoryUse {
            peak_bytes: after.peak_bytes,
            dispatches_per_batch: per_batch(before.dispatches, after.dispatches),
            submissions_per_batch: per_batch(before.submissions, after.submissions),
            bytes_read_per_batch: per_batch(before.bytes_read, after.bytes_read),
            bytes_written_per_batch: per_batch(before.bytes_written, after.bytes_written),
        },
        engine: subject.opened.engine.describe(),
    })
}

/// Batches a repetition and seconds a batch.
pub(super) fn time(
    subject: &mut BenchNetwork,
    task: Task,
    repetitions: usize,
) -> Result<(usize, MedianSpread), ExperimentError> {
    repeat(repetitions, || run(subject, task))
}

fn run(subject: &mut BenchNetwork, task: Task) -> Result<(), ExperimentError> {
    match task {
        Task::Training => subject.train(),
        Task::Inference => subject.infer(),
    }
}

fn state(subject: &BenchNetwork) -> NetworkActivity {
    let (p, activity) = (&subject.params, subject.activity);
    let trials = activity.trials as f64;
    let per_step = |spikes: u64| spikes as f64 / (trials * p.steps as f64);
    let hz = |spikes: u64, cells: usize| spikes as f64 / (trials * cells as f64 * p.duration_s());
    NetworkActivity {
        weights: format!("initial, in_mean_us {}", subject.config.weights.in_mean_us),
        input_events_per_trial: activity.input_events as f64 / trials,
        e_spikes_per_trial_step: per_step(activity.spikes_e),
        i_spikes_per_trial_step: per_step(activity.spikes_i),
        e_rate_hz: hz(activity.spikes_e, p.n_e()),
        i_rate_hz: hz(activity.spikes_i, p.n_i()),
    }
}

/// What the ceilings and the products of the loop allow, against `reached` samples a second.
fn limits(
    subject: &BenchNetwork,
    stage_work: &[StageWork],
    product_gflops: &[f64],
    threads: Option<usize>,
    reached: f64,
    ceilings: &Ceilings,
) -> Limits {
    let arithmetic = ceilings.arithmetic_tflops() * 1e12;
    let copy = ceilings.copy_gb_per_s.median * 1e9;
    let counted = stage_work.iter().filter(|work| work.stage != REPLAY);
    let least: f64 = counted
        .map(|work| (work.flops / arithmetic).max(work.bytes / copy))
        .sum();
    let allowed = subject.batch_trials() as f64 / least;
    let products = (!product_gflops.is_empty()).then(|| {
        let gflops = MedianSpread::of(product_gflops);
        let gflop = 1e-9 * loop_flops_per_trial(&subject.params, subject.wiring());
        let allowed = gflops.median / gflop;
        ProductLimit {
            gflops,
            block_trials: block_of(subject, threads.unwrap_or(1)),
            gflop_per_sample: gflop,
            allowed_samples_per_second: allowed,
            reached_percent: 100.0 * reached / allowed,
        }
    });
    Limits {
        ceiling_samples_per_second: allowed,
        of_ceiling_percent: 100.0 * reached / allowed,
        products,
    }
}

/// Rates of the products of the loop alone, as the CPU engine makes them in training; none without
/// a loop, or on a GPU.
fn loop_products(subject: &BenchNetwork, task: Task, setup: &Setup<'_>) -> Vec<f64> {
    let matrices = loop_matrices(&subject.params, subject.wiring());
    let (Some(threads), Task::Training, false) = (setup.threads, task, matrices.is_empty()) else {
        return Vec::new();
    };
    let block = block_of(subject, threads);
    let shapes: Vec<[usize; 3]> = matrices
        .into_iter()
        .map(|(pre, post)| [pre, block, post])
        .collect();
    product_gflops(threads, &shapes, setup.repetitions)
}

/// Trials that the CPU engine multiplies together.
fn block_of(subject: &BenchNetwork, threads: usize) -> usize {
    let trials = subject.batch_trials();
    block_trials(trials, threads).min(trials)
}

/// Times of the stages, in batches of their own since timing may cost time; then what a batch does
/// besides, and what runs beside batches.
fn stages(
    subject: &mut BenchNetwork,
    task: Task,
    stage_work: &[StageWork],
    setup: &Setup<'_>,
) -> Result<Vec<StageReport>, ExperimentError> {
    let batches = setup.repetitions.max(1);
    subject.opened.engine.time_stages(true);
    subject.opened.engine.stage_times()?;
    let start = Instant::now();
    for _ in 0..batches {
        run(subject, task)?;
    }
    let times = subject.opened.engine.stage_times()?;
    let wall = start.elapsed().as_secs_f64() / batches as f64;
    subject.opened.engine.time_stages(false);

    let mut stages = by_stage(&times, batches, wall, stage_work);
    let timed: f64 = stages.iter().map(|stage| stage.ms).sum();
    if !stages.is_empty() {
        let ms = (1e3 * wall - timed).max(0.0);
        let (name, remark) = match setup.threads {
            Some(_) => ("rest", ""),
            None => (
                "transfers and host",
                "upload, submission, waiting, read-back",
            ),
        };
        stages.push(StageReport {
            share_percent: Some(0.1 * ms / wall),
            ..other(name, ms, remark)
        });
    }
    let encode = median_seconds(batches, || subject.encode().map(drop))?;
    stages.push(other(
        "encode",
        1e3 * encode,
        "on a host thread, overlapping the previous batch",
    ));
    if task == Task::Training {
        let seconds = median_seconds(batches, || {
            Ok(subject.opened.engine.read(Quantity::Weights).map(drop)?)
        })?;
        stages.push(StageReport {
            gb_per_s: Some(4e-9 * subject.layout.len as f64 / seconds),
            ..other(
                "read-back of weights",
                1e3 * seconds,
                "for a checkpoint only",
            )
        });
    }
    Ok(stages)
}

/// Median time of `work`, after once as a warm-up.
fn median_seconds(
    repetitions: usize,
    mut work: impl FnMut() -> Result<(), ExperimentError>,
) -> Result<f64, ExperimentError> {
    let mut seconds = Vec::new();
    for _ in 0..=repetitions {
        let start = Instant::now();
        work()?;
        seconds.push(start.elapsed().as_secs_f64().max(1e-9));
    }
    Ok(MedianSpread::of(&seconds[1..]).median)
}

/// A row without known work.
fn other(stage: &str, ms: f64, remark: &'static str) -> StageReport {
    StageReport {
        stage: stage.to_owned(),
        ms,
        share_percent: None,
        tflops: None,
        gb_per_s: None,
        remark,
    }
}

/// Sums of equal stages in the order of their first time, with the work of each. An engine that
/// does not tell apart loop products, replay or weight gradients does them in its backward stage.
fn by_stage(
    times: &[StageTime],
    batches: usize,
    wall: f64,
    stage_work: &[StageWork],
) -> Vec<StageReport> {
    let mut sums: Vec<(&str, f64)> = Vec::new();
    for time in times {
        match sums.iter_mut().find(|(stage, _)| *stage == time.stage) {
            Some((_, sum)) => *sum += time.seconds,
            None => sums.push((&time.stage, time.seconds)),
        }
    }
    let told = |name: &str| sums.iter().any(|(stage, _)| *stage == name);
    let work_of = |stage: &str| -> Option<StageWork> {
        let named = |name: &str| stage_work.iter().find(|work| work.stage == name).copied();
        let mut work = named(stage)?;
        for part in [LOOP_PRODUCTS, REPLAY, WEIGHT_GRADIENTS] {
            if stage == BACKWARD
                && !told(part)
                && let Some(part) = named(part)
            {
                work.flops += part.flops;
                work.bytes += part.bytes;
            }
        }
        Some(work)
    };
    let stages = sums.iter().map(|&(stage, sum)| {
        let seconds = sum / batches as f64;
        let work = work_of(stage).filter(|_| seconds > 0.0);
        let remark = match stage {
            BACKWARD => match (told(REPLAY), told(WEIGHT_GRADIENTS)) {
                (true, true) => "",
                (true, false) => "with weight gradients",
                (false, true) => "with replay",
                (false, false) => "with replay and weight gradients",
            },
            _ => "",
        };
        StageReport {
            share_percent: Some(100.0 * seconds / wall),
            tflops: work.map(|work| work.flops / seconds * 1e-12),
            gb_per_s: work.map(|work| work.bytes / seconds * 1e-9),
            ..other(stage, 1e3 * seconds, remark)
        }
    });
    stages.collect()
}

/// Lets the peak of the resident memory start again where the system allows it, so that it is this
/// workload's.
fn forget_peak() {
    // Linux: 5 resets the peak. Elsewhere there is no such file, and no peak either.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(stage: &str, seconds: f64) -> StageTime {
        StageTime {
            stage: stage.to_owned(),
            seconds,
        }
    }

    fn work(stage: &'static str, flops: f64) -> StageWork {
        StageWork {
            stage,
            flops,
            bytes: 1e9,
        }
    }

    #[test]
    fn equal_stages_are_added_and_untold_ones_fall_to_backward() {
        let works = [
            work("forward", 1e12),
            work(REPLAY, 1e12),
            work(BACKWARD, 2e12),
            work(WEIGHT_GRADIENTS, 3e12),
        ];
        let coarse = [
            time("forward", 1.0),
            time("backward", 4.0),
            time("forward", 1.0),
        ];
        let stages = by_stage(&coarse, 2, 4.0, &works);
        assert_eq!(stages.len(), 2);
        assert_eq!((stages[0].ms, stages[0].share_percent), (1e3, Some(25.0)));
        assert_eq!(stages[0].tflops, Some(1.0));
        assert_eq!(stages[1].tflops, Some(3.0));
        assert_eq!(stages[1].gb_per_s, Some(1.5));
        let fine = [
            time(REPLAY, 1.0),
            time(BACKWARD, 1.0),
            time(WEIGHT_GRADIENTS, 1.0),
        ];
        let stages = by_stage(&fine, 1, 3.0, &works);
        let rates: Vec<_> = stages.iter().filter_map(|stage| stage.tflops).collect();
        assert_eq!(rates, [1.0, 2.0, 3.0]);
        assert_eq!(
            by_stage(&[time("loss", 1.0)], 1, 1.0, &works)[0].tflops,
            None
        );
    }
}
