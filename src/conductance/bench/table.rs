//! A report for people: its tables. The last column of each is text, the others but the first are numbers.

use super::report::{BenchReport, FormTiming, Scaling, StageReport, TaskReport};
use crate::summary::Listing;
use crate::text::{self, count, number};

/// The tables: throughput, activity and memory of all workloads, the stages of each, growth.
pub fn sections(report: &BenchReport) -> Vec<Listing> {
    let mut sections = vec![throughput(report), work(report), memory(report)];
    sections.extend(report.workloads.iter().map(stages));
    sections.push(backward_forms(report));
    sections.push(scaling(&report.scaling));
    sections.retain(|section| !section.rows.is_empty());
    sections
}

fn throughput(report: &BenchReport) -> Listing {
    let row = |w: &TaskReport| {
        let limit = match &w.limits.products {
            Some(limit) => format!(
                "{:.0} % of {} allowed by the loop's products at {} GFLOP/s",
                limit.reached_percent,
                number(limit.allowed_samples_per_second),
                number(limit.gflops.median)
            ),
            None => format!(
                "{:.0} % of {} allowed by the ceilings",
                w.limits.of_ceiling_percent,
                number(w.limits.ceiling_samples_per_second)
            ),
        };
        vec![
            title(w),
            w.batch_trials.to_string(),
            number(w.samples_per_second.median),
            number(w.samples_per_second.min),
            number(w.samples_per_second.max),
            number(w.ms_per_batch.median),
            limit,
        ]
    };
    Listing {
        title: "samples per second".to_owned(),
        head: heads(&[
            "",
            "batch",
            "median",
            "min",
            "max",
            "ms/batch",
            "of the limit",
        ]),
        rows: report.workloads.iter().map(row).collect(),
    }
}

fn backward_forms(report: &BenchReport) -> Listing {
    let row = |form: &FormTiming| {
        vec![
            format!("{}, {}", form.network, form.form),
            number(form.ms_per_batch.median),
            number(form.samples_per_second.median),
            String::new(),
        ]
    };
    Listing {
        title: "forms of the backward pass (--backward)".to_owned(),
        head: heads(&["", "ms/batch", "samples/s", ""]),
        rows: report.backward_forms.iter().map(row).collect(),
    }
}

fn work(report: &BenchReport) -> Listing {
    let row = |w: &TaskReport| {
        vec![
            title(w),
            number(w.state.input_events_per_trial),
            number(w.state.e_rate_hz),
            number(w.state.i_rate_hz),
            number(w.state.e_spikes_per_trial_step),
            number(w.state.i_spikes_per_trial_step),
            number(w.gflop_per_batch),
            number(w.tflops),
            number(w.gb_per_s),
            w.state.weights.clone(),
        ]
    };
    Listing {
        title: "activity and minimum arithmetic".to_owned(),
        head: heads(&[
            "",
            "events/trial",
            "E Hz",
            "I Hz",
            "E/step",
            "I/step",
            "GFLOP/batch",
            "TFLOP/s",
            "GB/s",
            "weights",
        ]),
        rows: report.workloads.iter().map(row).collect(),
    }
}

fn memory(report: &BenchReport) -> Listing {
    let peak = |w: &TaskReport| {
        w.memory
            .peak_bytes
            .map_or_else(|| "not known".to_owned(), text::bytes)
    };
    if report.about.device.backend == "cpu" {
        let row = |w: &TaskReport| vec![title(w), peak(w), w.engine.clone()];
        return Listing {
            title: "memory (of the whole process)".to_owned(),
            head: heads(&["", "peak", "engine"]),
            rows: report.workloads.iter().map(row).collect(),
        };
    }
    let bytes = |bytes: f64| text::bytes(bytes as u64);
    let row = |w: &TaskReport| {
        let m = &w.memory;
        vec![
            title(w),
            peak(w),
            number(m.dispatches_per_batch),
            number(m.submissions_per_batch),
            bytes(m.bytes_written_per_batch),
            bytes(m.bytes_read_per_batch),
            w.engine.clone(),
        ]
    };
    Listing {
        title: "memory (of the device), commands and transfers of a batch".to_owned(),
        head: heads(&[
            "",
            "peak",
            "dispatches",
            "submissions",
            "written",
            "read",
            "engine",
        ]),
        rows: report.workloads.iter().map(row).collect(),
    }
}

fn stages(w: &TaskReport) -> Listing {
    let optional = |value: Option<f64>| value.map_or_else(String::new, number);
    let row = |stage: &StageReport| {
        vec![
            stage.stage.clone(),
            number(stage.ms),
            stage
                .share_percent
                .map_or_else(String::new, |p| format!("{p:.1}")),
            optional(stage.tflops),
            optional(stage.gb_per_s),
            stage.remark.to_owned(),
        ]
    };
    Listing {
        title: format!("stages of {}", title(w)),
        head: heads(&["stage", "ms", "share %", "TFLOP/s", "GB/s", ""]),
        rows: w.stages.iter().map(row).collect(),
    }
}

fn scaling(all: &[Scaling]) -> Listing {
    let ratio = |ratio: Option<f64>| ratio.map_or_else(String::new, |r| format!("{r:.2}"));
    let mut rows = Vec::new();
    for s in all {
        let [batch, steps, n_e, n_i] = s.base;
        rows.push(vec![
            s.network.clone(),
            number(s.base_ms.median),
            String::new(),
            String::new(),
            format!(
                "{}, {}, {n_e} E + {n_i} I",
                count(batch, "trial", "trials"),
                count(steps, "time step", "time steps")
            ),
        ]);
        rows.extend(s.points.iter().map(|point| {
            vec![
                format!("  twice the {}", point.doubled),
                point.ms.map_or_else(String::new, |ms| number(ms.median)),
                ratio(point.ratio),
                ratio(point.ideal),
                point.problem.clone().unwrap_or_default(),
            ]
        }));
    }
    Listing {
        title: "time of a training batch as sizes double".to_owned(),
        head: heads(&["", "ms", "ratio", "ideal", ""]),
        rows,
    }
}

fn heads(heads: &[&str]) -> Vec<String> {
    heads.iter().map(|&head| head.to_owned()).collect()
}

fn title(w: &TaskReport) -> String {
    format!("{} {}", w.network, w.task.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::report::facts;
    use crate::bench::{About, Ceilings, MedianSpread, StartUp, Task};
    use crate::conductance::bench::report::{
        Limits, MemoryUse, NetworkActivity, ProductLimit, ScalingPoint,
    };
    use crate::train::manifest::DeviceInfo;

    fn spread(median: f64) -> MedianSpread {
        MedianSpread::of(&[median])
    }

    fn report() -> BenchReport {
        let about = About {
            device: DeviceInfo {
                backend: "cpu".to_owned(),
                ..DeviceInfo::default()
            },
            repetitions: 5,
            notes: vec!["mind this".to_owned()],
            ..About::default()
        };
        let workload = TaskReport {
            network: "ping".to_owned(),
            config_sha256: String::new(),
            task: Task::Training,
            batch_trials: 64,
            steps: 2000,
            cells: [784, 1024, 256, 10],
            state: NetworkActivity::default(),
            samples_per_second: spread(41.5),
            ms_per_batch: spread(1542.0),
            batches_per_repetition: 1,
            gflop_per_batch: 150.0,
            tflops: 0.0973,
            gb_per_s: 1.0,
            limits: Limits {
                ceiling_samples_per_second: 60.0,
                of_ceiling_percent: 69.0,
                products: Some(ProductLimit {
                    gflops: spread(104.9),
                    block_trials: 32,
                    gflop_per_sample: 2.1,
                    allowed_samples_per_second: 50.0,
                    reached_percent: 83.0,
                }),
            },
            stages: vec![StageReport {
                stage: "forward".to_owned(),
                ms: 300.0,
                share_percent: Some(19.45),
                tflops: None,
                gb_per_s: None,
                remark: "",
            }],
            memory: MemoryUse::default(),
            engine: "CPU engine".to_owned(),
        };
        let point = |doubled, ratio| ScalingPoint {
            doubled,
            ms: None,
            ratio,
            ideal: ratio.and(Some(2.0)),
            problem: None,
        };
        BenchReport {
            about,
            start_up: StartUp::default(),
            ceilings: Ceilings::default(),
            workloads: vec![workload],
            backward_forms: Vec::new(),
            scaling: vec![Scaling {
                network: "ping".to_owned(),
                base: [64, 2000, 1024, 256],
                base_ms: spread(1.0),
                points: vec![point("batch", Some(1.975)), point("cells", None)],
            }],
        }
    }

    #[test]
    fn every_row_has_a_cell_for_every_column() {
        let mut report = report();
        let titles: Vec<_> = sections(&report).into_iter().map(|s| s.title).collect();
        assert_eq!(titles.len(), 5, "{titles:?}");
        for section in sections(&report) {
            for row in &section.rows {
                assert_eq!(row.len(), section.head.len(), "{}", section.title);
            }
        }
        // Without timestamps there are no stages, and no empty table of them.
        report.workloads[0].stages.clear();
        report.scaling.clear();
        assert_eq!(sections(&report).len(), 3);
    }

    #[test]
    fn figures_are_where_people_look_for_them() {
        let report = report();
        let throughput = &sections(&report)[0].rows[0];
        assert_eq!(throughput[..3], ["ping training", "64", "41.5"]);
        assert!(throughput[6].starts_with("83 % of 50.0"), "{throughput:?}");
        assert!(sections(&report)[4].rows[1].contains(&"1.98".to_owned()));
        let facts = facts(&report.about, &report.start_up, &report.ceilings);
        assert!(facts.contains(&("note", "mind this".to_owned())));
        assert!(
            facts
                .iter()
                .any(|(_, value)| value == "medians of 5 repetitions after a warm-up")
        );
    }
}
