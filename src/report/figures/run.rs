//! Figures of a single run.

use super::activity::{has_raster, raster_panel, rhythm_words, run_cell_rates, spectrum_panel};
use super::draw::mark::Mark;
use super::draw::page::{Page, Row};
use super::draw::panel::{Key, Panel, Sample};
use super::draw::scale::{Axis, Scale};
use super::draw::svg::{Colour, Dash, Fill, Stroke};
use super::groups::{BLUE, Run, VERMILION};
use super::table::Table;
use super::training::{epoch_axis, series};
use super::{Missing, Sheet, weights};
use crate::analysis::record::{ExampleTrial, RunAnalysis};
use crate::record::RunRecord;
use crate::train::metrics::EpochMetrics;

const NO_ANALYSIS: &str = "the run has no analysis; `dalenet analyse` makes one";
/// Width of the bins of population rates, ms.
const RATE_BIN_MS: f64 = 2.0;

/// Every figure of a run.
pub fn sheets(record: &RunRecord) -> Vec<Result<Sheet, Missing>> {
    let run = Run {
        cell: &record.config.name,
        seed: "",
        record,
    };
    let of_analysis = |id: &str, title: &str, make: fn(&RunAnalysis) -> Result<Sheet, Missing>| {
        record
            .analysis
            .as_ref()
            .map_or_else(|| Err(Missing::new(id, title, NO_ANALYSIS)), make)
    };
    vec![
        curves(&run),
        of_analysis("raster", "Spike raster", raster),
        of_analysis("spectrum", "Rhythm", spectrum),
        weights::of_run(&run),
        of_analysis("classes", "Classes", classes),
        run_cell_rates(&run),
    ]
}

fn curves(run: &Run) -> Result<Sheet, Missing> {
    type Line = (
        &'static str,
        &'static str,
        Colour,
        Dash,
        fn(&EpochMetrics) -> f64,
    );
    let panels: [(&str, &str, Vec<Line>); 6] = [
        (
            "Accuracy",
            "accuracy (%)",
            vec![
                ("train", "train_accuracy_percent", BLUE, Dash::Dashed, |m| {
                    m.train_accuracy_percent
                }),
                (
                    "test",
                    "test_accuracy_percent",
                    Colour::Ink,
                    Dash::Solid,
                    |m| m.test_accuracy_percent,
                ),
            ],
        ),
        (
            "Cross-entropy",
            "loss (nats)",
            vec![
                ("train", "train_loss_nats", BLUE, Dash::Dashed, |m| {
                    m.train_loss_nats
                }),
                ("test", "test_loss_nats", Colour::Ink, Dash::Solid, |m| {
                    m.test_loss_nats
                }),
            ],
        ),
        (
            "Rates (test mean)",
            "rate (Hz)",
            vec![
                ("E", "e_rate_hz", BLUE, Dash::Solid, |m| m.e_rate_hz),
                ("I", "i_rate_hz", VERMILION, Dash::Dashed, |m| m.i_rate_hz),
            ],
        ),
        (
            "E cells",
            "share (%)",
            vec![
                (
                    "active in a trial",
                    "active_e_percent",
                    BLUE,
                    Dash::Solid,
                    |m| m.active_e_percent,
                ),
                (
                    "silent",
                    "silent_e_percent",
                    Colour::Ink,
                    Dash::Dashed,
                    |m| m.silent_e_percent,
                ),
            ],
        ),
        (
            "Gradient norm",
            "norm before clipping",
            vec![
                ("mean", "gradient_norm", Colour::Ink, Dash::Solid, |m| {
                    m.gradient_norm
                }),
                (
                    "largest",
                    "gradient_norm_max",
                    VERMILION,
                    Dash::Dotted,
                    |m| m.gradient_norm_max,
                ),
            ],
        ),
        (
            "Answers",
            "margin, confidence",
            vec![
                ("margin", "margin", Colour::Ink, Dash::Solid, |m| m.margin),
                ("confidence", "confidence", BLUE, Dash::Dashed, |m| {
                    m.confidence
                }),
            ],
        ),
    ];
    let mut columns = vec!["epoch"];
    columns.extend(
        panels
            .iter()
            .flat_map(|(_, _, lines)| lines.iter().map(|l| l.1)),
    );
    let mut table = Table::new(&columns);
    for m in &run.record.epochs {
        let measures = panels
            .iter()
            .flat_map(|(_, _, lines)| lines.iter().map(|l| (l.4)(m)));
        table.push(
            &[],
            &std::iter::once(m.epoch as f64)
                .chain(measures)
                .collect::<Vec<_>>(),
        );
    }
    let panels = panels.into_iter().map(|(name, unit, lines)| {
        let y = Axis::new(unit);
        let y = if unit.starts_with("norm") {
            y.scaled(Scale::Log)
        } else {
            y
        };
        let y = if unit.ends_with("(%)") || unit.ends_with("(Hz)") {
            y.from(0.0)
        } else {
            y
        };
        let mut panel = Panel::new(name, epoch_axis(), y);
        for (label, _, colour, dash, measure) in lines {
            let stroke = Stroke::solid(colour, 1.5).dashed(dash);
            panel.marks.push(Mark::Line {
                points: series(run, measure),
                stroke,
            });
            panel.key.push(Key::new(Sample::Line(stroke, None), label));
        }
        panel
    });
    let page = Page::grid(panels.collect(), 3, 115.0);
    if page.rows.is_empty() {
        return Err(Missing::new(
            "curves",
            "Training curves",
            "no epoch has been measured yet",
        ));
    }
    Ok(Sheet {
        id: "curves".into(),
        title: "Training curves".into(),
        caption: "Measures of every epoch; epoch 0 is the untrained network. Training measures are means over an epoch \
                  while the weights change, the others are taken on the test set after it."
            .into(),
        alt: "Accuracy, loss, rates, activity, gradient norm and margin against the epoch.".into(),
        page,
        table,
    })
}

fn raster(analysis: &RunAnalysis) -> Result<Sheet, Missing> {
    let trial = &analysis.raster;
    if !has_raster(trial) {
        return Err(Missing::new(
            "raster",
            "Spike raster",
            "the example trial has no spikes",
        ));
    }
    let mut table = Table::new(&["quantity", "time_ms", "value"]);
    for (name, spikes) in [("e_spike_of_cell", &trial.e), ("i_spike_of_cell", &trial.i)] {
        for (time, cell) in spikes {
            table.push(&[name], &[f64::from(*time), f64::from(*cell)]);
        }
    }
    let x = Axis::new("time (ms)").from(0.0).to(trial.duration_ms);
    let mut rates = Panel::new(
        "Rate of the cells shown",
        x,
        Axis::new("rate (Hz)").from(0.0),
    );
    for (name, cells, spikes, colour) in [
        ("E", trial.e_cells, &trial.e, BLUE),
        ("I", trial.i_cells, &trial.i, VERMILION),
    ] {
        let Some((edges, heights)) = binned_rate(trial, spikes, cells) else {
            continue;
        };
        for (edge, height) in edges.iter().zip(&heights) {
            table.push(
                &[&format!("{}_rate_hz_from", name.to_lowercase())],
                &[*edge, *height],
            );
        }
        let stroke = Stroke::solid(colour, 1.2);
        rates.key.push(Key::new(Sample::Line(stroke, None), name));
        rates.marks.push(Mark::Steps {
            edges,
            heights,
            stroke: Some(stroke),
            fill: Some(Fill {
                colour,
                opacity: 0.12,
            }),
        });
    }
    let mut above = raster_panel(trial);
    above.x.label.clear();
    Ok(Sheet {
        id: "raster".into(),
        title: "Spike raster".into(),
        caption: format!(
            "One test trial ({} checkpoint, epoch {}): the first {} E and {} I cells; their rates in bins of {} ms. \
             Over all cells E fires at {:.1} Hz and I at {:.1} Hz in this trial.",
            analysis.checkpoint,
            analysis.epoch,
            trial.e_cells,
            trial.i_cells,
            RATE_BIN_MS,
            trial.e_rate_hz,
            trial.i_rate_hz
        ),
        alt: "Spikes of E and I cells in one test trial and their rates.".into(),
        page: Page {
            key: Vec::new(),
            rows: vec![
                Row {
                    height: 300.0,
                    panels: vec![above],
                },
                Row {
                    height: 90.0,
                    panels: vec![rates],
                },
            ],
        },
        table,
    })
}

/// Edges of bins and the rate of `cells` cells in each, Hz; none without cells.
fn binned_rate(
    trial: &ExampleTrial,
    spikes: &[(f32, u32)],
    cells: u32,
) -> Option<(Vec<f64>, Vec<f64>)> {
    // Trials of an hour would have a million bins.
    let bins = (trial.duration_ms / RATE_BIN_MS).round().clamp(1.0, 2000.0) as usize;
    let width = trial.duration_ms / bins as f64;
    if cells == 0 {
        return None;
    }
    let mut rates = vec![0.0; bins];
    for (time, cell) in spikes {
        let place = f64::from(*time) / width;
        if *cell < cells && (0.0..bins as f64).contains(&place) {
            rates[place as usize] += 1000.0 / (width * f64::from(cells));
        }
    }
    Some(((0..=bins).map(|k| k as f64 * width).collect(), rates))
}

fn spectrum(analysis: &RunAnalysis) -> Result<Sheet, Missing> {
    let rhythm = &analysis.rhythm;
    let mut power = spectrum_panel("Spectrum of the E population", &[(rhythm, BLUE)]);
    power.key.push(Key::new(
        Sample::Line(Stroke::solid(BLUE, 1.5), None),
        "measured",
    ));
    power.key.push(Key::new(
        Sample::Line(Stroke::solid(BLUE, 1.1).dashed(Dash::Dotted), None),
        "shuffled",
    ));
    power
        .key
        .push(Key::new(Sample::Nothing, rhythm_words(rhythm)));
    let points: Vec<_> = rhythm
        .lag_ms
        .iter()
        .copied()
        .zip(rhythm.autocorrelation.iter().copied())
        .collect();
    let mut lags = Panel::new(
        "Autocorrelogram",
        Axis::new("lag (ms)"),
        Axis::new("correlation"),
    );
    lags.marks.push(Mark::Line {
        points: points.clone(),
        stroke: Stroke::solid(BLUE, 1.4),
    });
    lags.key.push(Key::new(
        Sample::Nothing,
        format!("contrast {}", weights::brief(rhythm.contrast)),
    ));
    let mut intervals = Panel::new(
        "Inter-spike intervals of E",
        Axis::new("interval (ms)").from(0.0),
        Axis::new("intervals").from(0.0),
    );
    let counts: Vec<f64> = rhythm.interval_count.iter().map(|c| *c as f64).collect();
    let mut table = Table::new(&["quantity", "x", "y"]);
    for (name, values) in [
        ("power", &rhythm.power),
        ("shuffled_power", &rhythm.raised_null_power()),
    ] {
        for (frequency, value) in rhythm.frequency_hz.iter().zip(values) {
            table.push(&[name], &[*frequency, *value]);
        }
    }
    for (lag, value) in points {
        table.push(&["autocorrelation_at_ms"], &[lag, value]);
    }
    for (edge, count) in rhythm.interval_ms.iter().zip(&counts) {
        table.push(&["intervals_from_ms"], &[*edge, *count]);
    }
    let numbers = [
        ("peak_hz", rhythm.peak_hz),
        ("contrast", rhythm.contrast),
        ("cv", rhythm.cv),
    ];
    for (name, value) in numbers {
        table.push(&[name], &[value, f64::NAN]);
    }
    if let [first, second, ..] = rhythm.interval_ms[..] {
        let mut edges = rhythm.interval_ms.clone();
        edges.push(edges[edges.len() - 1] + second - first);
        edges.truncate(counts.len() + 1);
        let heights = counts.iter().copied().take(edges.len() - 1).collect();
        let stroke = Some(Stroke::solid(BLUE, 1.0));
        intervals.marks.push(Mark::Steps {
            edges,
            heights,
            stroke,
            fill: Some(Fill {
                colour: BLUE,
                opacity: 0.4,
            }),
        });
        intervals.key.push(Key::new(
            Sample::Nothing,
            format!("CV {}", weights::brief(rhythm.cv)),
        ));
    }
    let page = Page::grid(vec![power, lags, intervals], 3, 150.0);
    if page.rows.is_empty() {
        return Err(Missing::new(
            "spectrum",
            "Rhythm",
            "the analysis has no spectrum",
        ));
    }
    Ok(Sheet {
        id: "spectrum".into(),
        title: "Rhythm of the E population".into(),
        caption: format!(
            "Power density of the E population rate, mean over test trials, and that of rate-matched shuffled trains \
             (dotted); autocorrelogram and inter-spike intervals. {} checkpoint, epoch {}.",
            analysis.checkpoint, analysis.epoch
        ),
        alt: "Spectrum with its null, autocorrelogram and inter-spike intervals.".into(),
        page,
        table,
    })
}

fn classes(analysis: &RunAnalysis) -> Result<Sheet, Missing> {
    let test = &analysis.test;
    let pairs = || test.labels.iter().zip(&test.predicted);
    let classes = test
        .labels
        .iter()
        .chain(&test.predicted)
        .max()
        .map_or(0, |c| *c as usize + 1);
    // Labels are bounded by the data sets read; a damaged file must not ask for a picture of 4 billion bars.
    if classes == 0 || classes > 1000 {
        return Err(Missing::new(
            "classes",
            "Classes",
            "the analysis has no usable answers",
        ));
    }
    let mut table = Table::new(&["class", "trials", "accuracy_percent", "e_rate_hz"]);
    let names = |step: usize| {
        (0..classes)
            .step_by(step)
            .map(|c| (c as f64, c.to_string()))
            .collect()
    };
    let step = classes.div_ceil(12);
    let x = || {
        Axis::new("class")
            .from(-0.6)
            .to(classes as f64 - 0.4)
            .named(names(step))
    };
    let mut accuracy = Panel::new(
        "Accuracy by class",
        x(),
        Axis::new("accuracy (%)").from(0.0).to(100.0),
    );
    let mut rates = Panel::new("E rate by class", x(), Axis::new("rate (Hz)").from(0.0));
    let fill = Fill {
        colour: BLUE,
        opacity: 0.75,
    };
    for class in 0..classes {
        let of_class = || pairs().filter(|(label, _)| **label as usize == class);
        let trials = of_class().count() as f64;
        let share =
            100.0 * of_class().filter(|(label, answer)| label == answer).count() as f64 / trials;
        let rate = test.class_e_rate_hz.get(class).copied().unwrap_or(f64::NAN);
        table.push(&[], &[class as f64, trials, share, rate]);
        for (panel, value) in [(&mut accuracy, share), (&mut rates, rate)] {
            let at = class as f64;
            panel.marks.push(Mark::Bar {
                from: (at - 0.36, 0.0),
                to: (at + 0.36, value),
                fill,
            });
        }
    }
    for (panel, mean) in [
        (&mut accuracy, test.accuracy_percent),
        (&mut rates, test.e_rate_hz),
    ] {
        let stroke = Stroke::solid(Colour::Ink, 1.2).dashed(Dash::Dashed);
        panel.marks.push(Mark::Level { y: mean, stroke });
        panel.key.push(Key::new(
            Sample::Line(stroke, None),
            format!("mean {}", weights::brief(mean)),
        ));
    }
    table.push(
        &["mean"],
        &[
            test.labels.len() as f64,
            test.accuracy_percent,
            test.e_rate_hz,
        ],
    );
    // The most frequent errors, as a grid of answers.
    let confusion = (classes <= 12).then(|| confusion(analysis, classes, &mut table));
    let mut page = Page::grid(vec![accuracy, rates], 2, 130.0);
    if let Some(panel) = confusion {
        page = page.above(Page::grid(vec![panel], 1, 22.0 * classes as f64));
    }
    Ok(Sheet {
        id: "classes".into(),
        title: "Classes".into(),
        caption: format!(
            "Accuracy and mean E rate in the test trials of each class, and how many trials of a class (rows) were \
             answered with which class (columns). {} checkpoint, epoch {}.",
            analysis.checkpoint, analysis.epoch
        ),
        alt: "Accuracy and E rate by class, and a table of answers by class.".into(),
        page,
        table,
    })
}

fn confusion(analysis: &RunAnalysis, classes: usize, table: &mut Table) -> Panel {
    let mut counts = vec![vec![0_u32; classes]; classes];
    for (label, answer) in analysis.test.labels.iter().zip(&analysis.test.predicted) {
        counts[*label as usize][*answer as usize] += 1;
    }
    let axis = |name: &str, flip: bool| {
        let place = |c: usize| {
            if flip {
                (classes - 1 - c) as f64
            } else {
                c as f64
            }
        };
        let names = (0..classes).map(|c| (place(c), c.to_string())).collect();
        Axis::new(name)
            .from(-0.5)
            .to(classes as f64 - 0.5)
            .named(names)
    };
    let mut panel = Panel::new(
        "Answers (trials)",
        axis("class answered", false),
        axis("class shown", true),
    );
    panel.grid = false;
    table
        .header
        .extend((0..classes).map(|c| format!("answered_{c}")));
    for (label, row) in counts.iter().enumerate() {
        let most = row.iter().sum::<u32>().max(1);
        for (answer, count) in row.iter().enumerate().filter(|(_, count)| **count > 0) {
            let at = (answer as f64, (classes - 1 - label) as f64);
            let colour = if label == answer { BLUE } else { VERMILION };
            let fill = Fill {
                colour,
                opacity: 0.12 + 0.5 * f64::from(*count) / f64::from(most),
            };
            panel.marks.push(Mark::Bar {
                from: (at.0 - 0.48, at.1 - 0.47),
                to: (at.0 + 0.48, at.1 + 0.47),
                fill,
            });
            panel.marks.push(Mark::Words {
                at,
                down: 0.0,
                words: count.to_string(),
                size: 11.0,
                colour: Colour::Ink,
            });
        }
        table.rows[label].extend(row.iter().map(u32::to_string));
    }
    for row in &mut table.rows {
        row.resize(table.header.len(), String::new());
    }
    panel
}
