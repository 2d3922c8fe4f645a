//! The collected tables: a row per cell, and a row per condition and measure. Equal runs give equal
//! bytes; what depends on clock and place goes to `provenance.csv`.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::aggregate::{conditions, spread};
use super::folder::CellRecord;
use super::measures::Measure;
use super::{Study, StudyError, StudyFolder};
use crate::families::Family;
use crate::files;
use crate::record::RunRecord;
use crate::text::{csv, exact};

/// Seeds of a manifest, in the order of their columns.
const SEEDS: [&str; 4] = ["weights", "data", "shuffle", "noise"];

/// Reads all cells of the study in `folder` and writes its tables: `table.csv`, `table.json`,
/// `table_by_condition.csv`, `table_by_condition.json` and `provenance.csv`. Returns their paths.
///
/// # Errors
/// No study, or a file cannot be written. A damaged cell is a row with its problem.
pub fn collect(folder: &StudyFolder) -> Result<Vec<PathBuf>, StudyError> {
    let (study, cells) = folder.load()?;
    let family = study.family();
    let columns: Vec<&Measure> = (family.measures().all)()
        .iter()
        .filter(|measure| !measure.is_timing)
        .collect();
    let json_text = |value: &Value| format!("{value:#}\n").into_bytes();
    let tables = [
        ("table.csv", csv(cell_rows(&study, &cells, &columns))?),
        (
            "table.json",
            json_text(&cells_json(&study, &cells, &columns)),
        ),
        (
            "table_by_condition.csv",
            csv(condition_rows(&study, &cells, &columns))?,
        ),
        (
            "table_by_condition.json",
            json_text(&conditions_json(&study, &cells, &columns)),
        ),
        ("provenance.csv", csv(provenance_rows(family, &cells))?),
    ];
    let mut paths = Vec::new();
    for (name, bytes) in tables {
        let path = folder.folder().join(name);
        files::write_atomic(&path, &bytes)?;
        paths.push(path);
    }
    Ok(paths)
}

fn number_json(value: f64) -> Value {
    // The NaN that JSON does not have becomes null.
    json!(value.is_finite().then_some(value))
}

/// Hashes, program, device and seeds: equal for equal runs on one machine.
fn origin(run: Option<&RunRecord>) -> Vec<(String, Value)> {
    let manifest = run.map(|run| &run.manifest);
    let text =
        |of: fn(&crate::train::manifest::Manifest) -> Option<&str>| json!(manifest.and_then(of));
    let mut all = vec![
        ("config_sha256".to_owned(), text(|m| Some(&m.config_sha256))),
        ("data_sha256".to_owned(), text(|m| Some(&m.data_sha256))),
        ("version".to_owned(), text(|m| Some(&m.dalenet_version))),
        ("commit".to_owned(), text(|m| m.commit.as_deref())),
        ("device".to_owned(), text(|m| Some(&m.device.name))),
    ];
    for seed in SEEDS {
        let value = manifest.and_then(|m| m.seeds.get(seed));
        all.push((format!("seed_{seed}"), json!(value)));
    }
    all
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn axis_names(study: &Study) -> impl Iterator<Item = String> {
    study.spec.axes.iter().map(|axis| axis.name.clone())
}

fn cell_rows(study: &Study, cells: &[CellRecord], columns: &[&Measure]) -> Vec<Vec<String>> {
    let mut head = vec!["cell".to_owned()];
    head.extend(axis_names(study));
    head.push("status".to_owned());
    head.extend(columns.iter().map(|measure| measure.name.clone()));
    head.extend(origin(None).into_iter().map(|(name, _)| name));
    head.push("problem".to_owned());
    let row = |cell: &CellRecord| {
        let run = cell.record.as_ref();
        let mut row = vec![cell.cell.name.clone()];
        row.extend(cell.cell.values.iter().map(|(_, value)| value.name.clone()));
        row.push(cell.state().word().to_owned());
        let value = |measure: &&Measure| run.map_or(String::new(), |run| exact(measure.of(run)));
        row.extend(columns.iter().map(value));
        row.extend(origin(run).iter().map(|(_, value)| plain(value)));
        row.push(cell.problem.clone().unwrap_or_default());
        row
    };
    std::iter::once(head).chain(cells.iter().map(row)).collect()
}

fn legend(columns: &[&Measure]) -> Value {
    let describe = |measure: &&Measure| json!({ "name": measure.name, "unit": measure.unit, "meaning": measure.meaning });
    columns.iter().map(describe).collect()
}

fn cells_json(study: &Study, cells: &[CellRecord], columns: &[&Measure]) -> Value {
    let row = |cell: &CellRecord| {
        let run = cell.record.as_ref();
        let values = cell.cell.values.iter();
        let values: Map<_, _> = values
            .map(|(axis, value)| (axis.clone(), json!(value.name)))
            .collect();
        let measured: Map<_, _> = columns
            .iter()
            .map(|measure| {
                let value = run.map_or(f64::NAN, |run| measure.of(run));
                (measure.name.clone(), number_json(value))
            })
            .collect();
        json!({
            "cell": cell.cell.name,
            "values": values,
            "status": cell.state(),
            "problem": cell.problem,
            "measures": measured,
            "origin": Map::from_iter(origin(run)),
        })
    };
    json!({
        "study": study.spec.name,
        "measures": legend(columns),
        "cells": cells.iter().map(row).collect::<Vec<_>>(),
    })
}

fn condition_rows(study: &Study, cells: &[CellRecord], columns: &[&Measure]) -> Vec<Vec<String>> {
    let conditions = conditions(&study.spec, &study.cells);
    let mut head = vec!["condition".to_owned()];
    let axes = conditions
        .first()
        .map(|c| &c.values[..])
        .unwrap_or_default();
    head.extend(axes.iter().map(|(axis, _)| axis.clone()));
    head.extend(["measure", "unit", "mean", "sd", "n", "of", "left_out"].map(str::to_owned));
    let mut rows = vec![head];
    for condition in &conditions {
        for measure in columns {
            let spread = spread(
                condition.cells.iter().filter_map(|&i| cells.get(i)),
                measure,
            );
            let mut row = vec![condition.name.clone()];
            row.extend(condition.values.iter().map(|(_, value)| value.name.clone()));
            row.extend([measure.name.clone(), measure.unit.to_owned()]);
            row.extend([exact(spread.mean), exact(spread.sd)]);
            row.extend([spread.n.to_string(), spread.of.to_string()]);
            row.push(spread.left_out.join(" "));
            rows.push(row);
        }
    }
    rows
}

fn conditions_json(study: &Study, cells: &[CellRecord], columns: &[&Measure]) -> Value {
    let conditions = conditions(&study.spec, &study.cells)
        .into_iter()
        .map(|condition| {
            let members = || condition.cells.iter().filter_map(|&i| cells.get(i));
            let values = condition.values.iter();
            let values: Map<_, _> = values
                .map(|(axis, value)| (axis.clone(), json!(value.name)))
                .collect();
            let spreads: Map<_, _> = columns
                .iter()
                .map(|measure| (measure.name.clone(), json!(spread(members(), measure))))
                .collect();
            json!({
                "condition": condition.name,
                "values": values,
                "cells": members().map(|cell| &cell.cell.name).collect::<Vec<_>>(),
                "measures": spreads,
            })
        });
    json!({
        "study": study.spec.name,
        "measures": legend(columns),
        "conditions": conditions.collect::<Vec<_>>(),
    })
}

fn provenance_rows(family: Family, cells: &[CellRecord]) -> Vec<Vec<String>> {
    let all = (family.measures().all)().iter();
    let timing: Vec<_> = all.filter(|m| m.is_timing).collect();
    let mut head: Vec<String> = [
        "cell",
        "host",
        "device",
        "driver",
        "backend",
        "threads",
        "started_utc",
        "finished_utc",
        "resumed",
        "data_place",
        "command",
    ]
    .map(str::to_owned)
    .into();
    head.extend(timing.iter().map(|measure| measure.name.clone()));
    let row = |cell: &CellRecord| {
        let run = cell.record.as_ref()?;
        let manifest = &run.manifest;
        let device = &manifest.device;
        let place = manifest.data_place.as_ref();
        let mut row = vec![
            cell.cell.name.clone(),
            manifest.host.clone(),
            device.name.clone(),
            device.driver.clone().unwrap_or_default(),
            device.backend.clone(),
            device.threads.to_string(),
            manifest.started_utc.clone(),
            manifest.finished_utc.clone().unwrap_or_default(),
            manifest.resumed.len().to_string(),
            place.map_or(String::new(), |place| place.display().to_string()),
            manifest.command.join(" "),
        ];
        row.extend(timing.iter().map(|measure| exact(measure.of(run))));
        Some(row)
    };
    std::iter::once(head)
        .chain(cells.iter().filter_map(row))
        .collect()
}
