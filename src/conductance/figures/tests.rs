//! Checks of every figure: what the picture says, that it fits, and that its numbers are beside it.

use std::collections::HashSet;

use resvg::usvg::{self, roxmltree};

use super::OF_STUDY;
use super::fixtures::{self, COBA, LOOP, PING};
use crate::conductance::measures::MEASURES;
use crate::conductance::metrics::{E_RATE, I_RATE};
use crate::conductance::record;
use crate::families::Family;
use crate::record::RunRecord;
use crate::report::figures::choice;
use crate::report::figures::draw::mark::Mark;
use crate::report::figures::draw::text;
use crate::report::figures::groups::Groups;
use crate::report::figures::sheet::Sheet;
use crate::report::figures::{Figure, Missing, png};
use crate::study::CellRecord;
use crate::study::spec::StudySpec;
use crate::train::metrics::{GRADIENT_NORM, TEST_ACCURACY, WEIGHT_NORM};

fn of_study(spec: &StudySpec, cells: &[CellRecord]) -> Vec<Result<Figure, Missing>> {
    Family::Conductance.figures_of_study(spec, cells)
}

fn of_run(run: &RunRecord) -> Vec<Result<Figure, Missing>> {
    Family::Conductance.figures_of_run(run)
}

fn sheets_of_study(spec: &StudySpec, cells: &[CellRecord]) -> Vec<Result<Sheet, Missing>> {
    choice::sheets(OF_STUDY, &Groups::new(spec, cells), &spec.figures)
}

/// Every figure of the fixtures, by study.
fn everything() -> Vec<(String, Result<Sheet, Missing>)> {
    let mut all = Vec::new();
    for (name, (spec, cells)) in [
        ("audit", fixtures::audit(40)),
        ("loop", fixtures::trainable_loop(30)),
    ] {
        all.extend(
            sheets_of_study(&spec, &cells)
                .into_iter()
                .map(|s| (name.to_owned(), s)),
        );
    }
    for (name, kind) in [("ping", PING), ("coba", COBA), ("pruned", LOOP)] {
        let record = fixtures::record(name, kind, 42, 40);
        all.extend(
            super::of_run(&record)
                .into_iter()
                .map(|s| (name.to_owned(), s)),
        );
    }
    all
}

/// A text of a figure: what it says, and its box in tenths of a pixel (left, top, right, bottom).
type Label = (String, [f64; 4]);

fn labels(svg: &str) -> (Vec<Label>, f64, f64) {
    let document = roxmltree::Document::parse(svg).unwrap();
    let root = document.root_element();
    let view: Vec<f64> = root
        .attribute("viewBox")
        .unwrap()
        .split(' ')
        .map(|n| n.parse().unwrap())
        .collect();
    let labels = root.descendants().filter_map(|node| {
        let label = node.attribute("data-text")?;
        let transform = node.attribute("transform")?;
        let numbers: Vec<f64> = transform
            .split(|c: char| !(c.is_ascii_digit() || c == '-' || c == '.'))
            .filter_map(|n| n.parse().ok())
            .collect();
        let size = numbers.last()? * 1000.0;
        let (x, y, width) = (numbers[0], numbers[1], text::width(label, size));
        // Capitals and figures: 0.72 above the baseline and nothing below.
        let area = if transform.contains("rotate") {
            [x - 0.72 * size, y - width, x, y]
        } else {
            [x, y - 0.72 * size, x + width, y]
        };
        Some((label.to_owned(), area))
    });
    (labels.collect(), view[2], view[3])
}

fn outside(svg: &str) -> Vec<String> {
    let (labels, width, height) = labels(svg);
    let out = |b: &[f64; 4]| b[0] < 0.0 || b[1] < 0.0 || b[2] > width || b[3] > height;
    labels
        .into_iter()
        .filter(|(_, b)| out(b))
        .map(|(label, b)| format!("{label} {b:?}"))
        .collect()
}

/// Texts with characters that the typeface lacks and draws as boxes.
fn without_glyph(svg: &str) -> Vec<String> {
    let (labels, _, _) = labels(svg);
    let lacks = |label: &str| text::set(label).0.iter().any(|glyph| glyph.glyph == 0);
    let lacking = labels.into_iter().filter(|(label, _)| lacks(label));
    lacking
        .map(|(label, _)| format!("no glyph for `{label}`"))
        .collect()
}

fn overlapping(svg: &str) -> Vec<String> {
    let (labels, _, _) = labels(svg);
    let mut found = Vec::new();
    for (i, (one, a)) in labels.iter().enumerate() {
        for (other, b) in &labels[i + 1..] {
            let apart = a[2] <= b[0] || b[2] <= a[0] || a[3] <= b[1] || b[3] <= a[1];
            if !apart && !one.is_empty() && !other.is_empty() {
                found.push(format!("`{one}` {a:?} and `{other}` {b:?}"));
            }
        }
    }
    found
}

#[test]
fn every_figure_parses_fits_and_has_no_overlapping_text() {
    let mut bad = Vec::new();
    let mut drawn = 0;
    for (study, sheet) in everything() {
        let Ok(sheet) = sheet else { continue };
        let figure = sheet.drawn();
        drawn += 1;
        let tree = usvg::Tree::from_str(&figure.svg, &usvg::Options::default()).unwrap();
        let (ink, size) = (tree.root().abs_stroke_bounding_box(), tree.size());
        let inside = ink.left() >= -1.0
            && ink.top() >= -1.0
            && ink.right() <= size.width() + 1.0
            && ink.bottom() <= size.height() + 1.0;
        if !inside {
            bad.push(format!(
                "{study}/{}: drawn to {ink:?} of {size:?}",
                figure.id
            ));
        }
        for problem in outside(&figure.svg)
            .into_iter()
            .chain(overlapping(&figure.svg))
            .chain(without_glyph(&figure.svg))
        {
            bad.push(format!("{study}/{}: {problem}", figure.id));
        }
        for words in ["NaN", "inf"] {
            if figure
                .svg
                .split("data-text")
                .any(|part| part.split('"').nth(3).unwrap_or("").contains(words))
            {
                bad.push(format!("{study}/{}: {words} in a coordinate", figure.id));
            }
        }
        if figure.svg.len() > 250_000 {
            bad.push(format!("{study}/{}: {} bytes", figure.id, figure.svg.len()));
        }
        if [&figure.title, &figure.caption, &figure.alt]
            .iter()
            .any(|t| t.is_empty())
        {
            bad.push(format!("{study}/{}: no words", figure.id));
        }
        // For eyes: where this variable names a folder, the figures are written there.
        if let Ok(folder) = std::env::var("DALENET_LOOK") {
            let path = std::path::Path::new(&folder).join(format!("{study}_{}", figure.id));
            std::fs::write(path.with_extension("png"), png(&figure.svg, 1360).unwrap()).unwrap();
            std::fs::write(path.with_extension("svg"), &figure.svg).unwrap();
            std::fs::write(path.with_extension("csv"), figure.table.csv().unwrap()).unwrap();
        }
    }
    assert_eq!(bad, [""; 0]);
    assert!(drawn > 55, "{drawn}");
}

#[test]
fn the_checks_of_layout_can_fail() {
    let mut svg = crate::report::figures::draw::svg::Svg::new("t");
    let ink = crate::report::figures::draw::svg::Colour::Ink;
    svg.text(
        (90.0, 50.0),
        "over the edge",
        11.0,
        crate::report::figures::draw::svg::Anchor::Start,
        ink,
    );
    svg.text(
        (95.0, 52.0),
        "over ∇ another",
        11.0,
        crate::report::figures::draw::svg::Anchor::Start,
        ink,
    );
    let svg = svg.finish(100.0, 100.0, "");
    assert_eq!((outside(&svg).len(), overlapping(&svg).len()), (2, 1));
    assert_eq!(without_glyph(&svg).len(), 1);
}

#[test]
fn the_same_records_give_the_same_bytes() {
    let draw = || {
        everything()
            .into_iter()
            .filter_map(|(_, s)| Some(s.ok()?.drawn()))
            .collect::<Vec<_>>()
    };
    let (one, two) = (draw(), draw());
    assert!(one == two);
    // Planted: another seed gives another picture.
    let of = |seed| {
        of_run(&fixtures::record("a", PING, seed, 20))[0]
            .clone()
            .unwrap()
            .svg
    };
    assert_ne!(of(1), of(2));
}

/// Numbers drawn as data that the table beside lacks. Bars that only carry words or colours of a
/// category are places, not numbers, and so are the categories themselves.
fn absent_numbers(sheet: &Sheet) -> Vec<f64> {
    let cells = sheet.table.rows.iter().flatten();
    let known: HashSet<u64> = cells
        .filter_map(|c| c.parse::<f64>().ok())
        .map(f64::to_bits)
        .collect();
    let mut absent = Vec::new();
    for panel in sheet.page.panels() {
        let places_only = [!panel.x.names.is_empty(), !panel.y.names.is_empty()];
        for mark in &panel.marks {
            let places: Vec<(f64, f64)> = match mark {
                Mark::Words { .. } | Mark::Level { .. } | Mark::Spikes { .. } => continue,
                Mark::Bar { to, .. } => vec![*to],
                Mark::Steps { edges, heights, .. } => {
                    edges.iter().copied().zip(heights.iter().copied()).collect()
                }
                mark => mark.places(),
            };
            for (x, y) in places {
                for (value, named) in [(x, places_only[0]), (y, places_only[1])] {
                    let fixed = named || !value.is_finite() || value == 0.0 || value == 1.0;
                    if !fixed && !known.contains(&value.to_bits()) {
                        absent.push(value);
                    }
                }
            }
        }
    }
    absent
}

#[test]
fn every_number_drawn_is_in_the_table() {
    for (study, sheet) in everything() {
        let Ok(mut sheet) = sheet else { continue };
        let absent = absent_numbers(&sheet);
        assert!(
            absent.is_empty(),
            "{study}/{}: {:?}",
            sheet.id,
            &absent[..absent.len().min(5)]
        );
        assert!(
            sheet
                .table
                .rows
                .iter()
                .all(|row| row.len() <= sheet.table.header.len()),
            "{}",
            sheet.id
        );
        // Planted: without its table, a figure of numbers must be found out.
        let named = sheet
            .page
            .panels()
            .all(|p| !p.x.names.is_empty() && !p.y.names.is_empty());
        let spikes = sheet
            .page
            .panels()
            .all(|p| p.marks.iter().all(|m| matches!(m, Mark::Spikes { .. })));
        sheet.table.rows.clear();
        assert!(
            named || spikes || !absent_numbers(&sheet).is_empty(),
            "{study}/{}",
            sheet.id
        );
    }
}

#[test]
fn names_choose_figures_in_their_order() {
    let (mut spec, cells) = fixtures::trainable_loop(3);
    spec.figures = [
        "norms",
        "diagnostic",
        "weights_CONDITION",
        "training_curves",
        "nothing",
    ]
    .map(String::from)
    .into();
    let ids: Vec<String> = of_study(&spec, &cells)
        .iter()
        .map(|f| {
            f.as_ref()
                .map_or_else(|m| format!("-{}", m.id), |f| f.id.clone())
        })
        .collect();
    assert_eq!(ids.len(), 1 + 12 + 12 + 1 + 1);
    assert_eq!((ids[0].as_str(), ids[26].as_str()), ("norms", "-nothing"));
    assert!(ids.contains(&"diagnostic_trainable_ping_init_project".to_owned()));
    let weights = of_study(&spec, &cells)[13].clone().unwrap();
    assert!(weights.svg.contains("pruned 0.0 %"), "legend");
}

#[test]
fn what_the_data_lack_is_missing_with_a_reason() {
    let (spec, mut cells) = fixtures::audit(2);
    for cell in &mut cells {
        let run = cell.record.as_mut().unwrap();
        *record::findings_mut(run) = Default::default();
        run.steps.clear();
        run.epochs.truncate(0);
    }
    for figure in of_study(&spec, &cells)
        .into_iter()
        .chain(of_run(cells[0].record.as_ref().unwrap()))
    {
        let missing = figure.unwrap_err();
        assert!(missing.reason.len() > 15, "{missing:?}");
    }
    let none: Vec<_> = of_study(&spec, &[]);
    assert!(none.len() > 10 && none.iter().all(Result::is_err));
}

#[test]
fn a_gap_is_a_gap() {
    let mut record = fixtures::record("gap", PING, 1, 20);
    let svg = |record: &crate::record::RunRecord| of_run(record)[0].as_ref().unwrap().svg.clone();
    let whole = svg(&record).matches('M').count();
    record.epochs[10][E_RATE] = f64::NAN;
    assert_eq!(svg(&record).matches('M').count(), whole + 1);
}

#[test]
fn hostile_sizes_are_drawn_or_refused_but_never_panic() {
    let check = |spec: &StudySpec, cells: &[CellRecord]| {
        for figure in of_study(spec, cells).into_iter().flatten() {
            let tree = usvg::Tree::from_str(&figure.svg, &usvg::Options::default()).unwrap();
            assert!(tree.size().height() < 5000.0, "{}", figure.id);
            assert_eq!(outside(&figure.svg), [""; 0], "{}", figure.id);
            png(&figure.svg, 100).unwrap();
        }
    };
    // One cell, no axes, no epoch and one epoch.
    for epochs in [0, 1] {
        check(
            &fixtures::spec(&[]),
            &[fixtures::cell(
                0,
                &[],
                Some(fixtures::record("only", LOOP, 1, epochs)),
            )],
        );
    }
    // Equal, huge, tiny and absent values, and names that are no XML.
    for value in [
        0.0,
        7.0,
        1e9,
        1e300,
        -1e300,
        1e-300,
        f64::NAN,
        f64::INFINITY,
    ] {
        let mut record = fixtures::record("odd", PING, 1, 3);
        for m in &mut record.epochs {
            (m[TEST_ACCURACY], m[E_RATE], m[I_RATE], m[GRADIENT_NORM]) =
                (value, value, value, value);
            let mut norms = m.by_matrix(WEIGHT_NORM).clone();
            norms.values_mut().for_each(|v| *v = value);
            m.set_by_matrix(WEIGHT_NORM, norms);
        }
        for step in &mut record.steps {
            step.numbers.iter_mut().for_each(|(_, x)| *x = value);
        }
        let findings = record::findings_mut(&mut record);
        let analysis = findings.analysis.as_mut().unwrap();
        analysis.e_cell_rate_hz.fill(value);
        analysis.i_cell_input_us[1].fill(value);
        analysis.rhythm.spectrum.power.fill(value);
        analysis.rhythm.e.correlation.fill(value);
        analysis.rhythm.e.null_low.truncate(3);
        (analysis.rhythm.e.f_hz, analysis.rhythm.f_hz) = (value, value);
        analysis.raster.duration_ms = value;
        analysis.raster.e[0] = (f64::NAN, u32::MAX);
        analysis.test.labels[0] = u32::MAX;
        analysis.loop_slopes[0].measured = value;
        analysis.participation.as_mut().unwrap().e_share_percent = [value; 4];
        let matrix = analysis.weights.get_mut("in").unwrap();
        matrix.edges[3] = value;
        matrix.now.norm = value;
        analysis.weights.get_mut("ei").unwrap().now_count.clear();
        for point in &mut findings.sweep.as_mut().unwrap().points {
            (point.e_rate_hz, point.accuracy_percent) = (value, value);
        }
        for figure in of_run(&record).into_iter().flatten() {
            png(&figure.svg, 100).unwrap();
        }
        let name = "a<b>&\"c\"_{x".repeat(9) + "\u{1}";
        check(
            &fixtures::spec(&["condition"]),
            &[fixtures::cell(0, &[("condition", &name)], Some(record))],
        );
    }
}

/// What a figure's data file says of a quantity is what the table of the same quantity says.
#[test]
fn figures_and_tables_give_the_same_numbers() {
    use crate::study::aggregate::{conditions, spread};
    let (spec, mut cells) = fixtures::trainable_loop(12);
    // One cell is under way: its newest epoch is in no mean.
    let under_way = cells[1].record.as_mut().unwrap();
    under_way.manifest.status = crate::train::manifest::Status::Interrupted;
    under_way.epochs.truncate(3);
    let figures: Vec<Figure> = of_study(&spec, &cells).into_iter().flatten().collect();
    let rows = |id: &str| {
        let figure = figures.iter().find(|figure| figure.id == id);
        figure.unwrap_or_else(|| panic!("{id}")).table.rows.clone()
    };
    let number = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
    let mut compared = 0;
    let mut same = |what: String, drawn: f64, tabulated: f64| {
        compared += 1;
        let close = (drawn - tabulated).abs() <= 1e-12 * tabulated.abs();
        assert!(
            close || drawn.is_nan() && tabulated.is_nan(),
            "{what}: {drawn} {tabulated}"
        );
    };
    let all: Vec<_> = cells.iter().map(|cell| &cell.cell).cloned().collect();
    for condition in conditions(&spec, &all) {
        let mine = || condition.cells.iter().map(|&place| &cells[place]);
        let label = condition.label();
        for name in [
            "test_accuracy_percent",
            "e_rate_hz",
            "i_rate_hz",
            "f_gamma_hz",
        ] {
            let expected = spread(mine(), MEASURES.find(name).unwrap());
            let of_mean = |row: &&Vec<String>| {
                row[0] == label && row[1].starts_with("mean") && row[2] == name
            };
            let rows = rows("comparison");
            match rows.iter().find(of_mean) {
                Some(row) => {
                    same(format!("{label} {name}"), number(&row[3]), expected.mean);
                    same(
                        format!("{label} {name}"),
                        number(&row[5]),
                        expected.mean + expected.sd,
                    );
                }
                None => assert!(expected.n < 2, "{label} {name}"),
            }
        }
        for (spikes, name) in [
            ("0", "e_per_cycle_0_percent"),
            ("1", "e_per_cycle_1_percent"),
        ] {
            let expected = spread(mine(), MEASURES.find(name).unwrap());
            let rows = rows("participation");
            let row = rows
                .iter()
                .find(|r| r[0] == label && r[1] == "E" && r[2] == spikes);
            if let Some(row) = row {
                same(format!("{label} {name}"), number(&row[3]), expected.mean);
                same(
                    format!("{label} {name}"),
                    number(&row[6]),
                    expected.n as f64,
                );
            } else {
                assert_eq!(expected.n, 0, "{label} {name}");
            }
        }
    }
    for cell in &cells {
        let Some(run) = &cell.record else { continue };
        let measure = |name: &str| MEASURES.find(name).unwrap().of(run);
        let last_of = |id: &str, column: usize| {
            let rows = rows(id);
            let own = rows.iter().rev().find(|row| row[1] == cell.cell.name);
            own.map(|row| number(&row[column])).unwrap()
        };
        for (id, column, name) in [
            ("training_curves", 3, "test_accuracy_percent"),
            ("training_curves", 5, "e_rate_hz"),
            ("spike_budget", 5, "total_rate_hz"),
            ("accuracy_against_rate", 3, "e_rate_hz"),
            ("cell_rates", 5, "silent_e_percent"),
        ] {
            if id == "cell_rates" {
                let rates = &record::analysis(run).unwrap().e_cell_rate_hz;
                let silent = rates.iter().filter(|rate| **rate == 0.0).count();
                let share = 100.0 * silent as f64 / rates.len() as f64;
                same(
                    format!("{id} {}", cell.cell.name),
                    last_of(id, column),
                    share,
                );
            } else {
                same(
                    format!("{id} {}", cell.cell.name),
                    last_of(id, column),
                    measure(name),
                );
            }
        }
        for (matrix, name) in [("ei", "loop_slope_ei"), ("ie", "loop_slope_ie")] {
            let rows = rows("loop_slopes");
            let row = rows
                .iter()
                .find(|r| r[1] == cell.cell.name && r[2] == matrix)
                .unwrap();
            same(
                name.into(),
                number(&row[3]),
                measure(&format!("{name}_surrogate")),
            );
            same(
                name.into(),
                number(&row[4]),
                measure(&format!("{name}_measured")),
            );
        }
    }
    assert!(compared > 200, "{compared}");
}

/// A numeric axis gives a curve through the means with the seeds as points.
#[test]
fn a_parameter_has_its_curve() {
    let text = serde_json::json!({
        "name": "tau", "title": "t", "base": "ping",
        "axes": [
            { "name": "tau", "key": "network.tau_gaba_ms", "values": [4.5, 9, 18] },
            { "name": "seed", "key": "seeds.weights", "values": [1, 2] },
        ],
    });
    let study = crate::study::Study::parse(&text.to_string(), "test").unwrap();
    let cells: Vec<CellRecord> = study
        .cells
        .iter()
        .map(|cell| CellRecord {
            cell: cell.clone(),
            record: Some(fixtures::record(&cell.name, PING, cell.index as u64, 5)),
            problem: None,
        })
        .collect();
    let figures = of_study(&study.spec, &cells);
    let figure = figures
        .iter()
        .flatten()
        .find(|f| f.id == "against_parameter")
        .unwrap();
    let of = |word: &str, measure: &str| -> Vec<f64> {
        let rows = figure.table.rows.iter();
        let rows = rows.filter(|row| row[1].contains(word) && row[2] == measure);
        rows.map(|row| row[3].parse().unwrap()).collect()
    };
    assert_eq!(of("mean", "e_rate_hz"), [4.5, 9.0, 18.0]);
    assert_eq!(of("seed", "e_rate_hz"), [4.5, 4.5, 9.0, 9.0, 18.0, 18.0]);
    assert!(figure.title.contains("network.tau_gaba_ms"));
}
