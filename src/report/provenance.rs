//! Where the numbers of a run come from: program, device, data, times and how it ended.

use maud::{Markup, html};

use super::table::{Entry, NumberTable, TableRow, column, row};
use super::text::{NOTHING, list};
use crate::record::RunRecord;
use crate::study::CellState;
use crate::text::{count, duration};
use crate::train::manifest::{DeviceInfo, Manifest};
use crate::train::metrics::{EVAL_SECONDS, EpochMetrics, TRAIN_SECONDS};

/// Characters of a hash that are shown in tables; the whole is below them.
const SHORT_HASH: usize = 12;

/// The table of runs, without rows.
pub fn table(caption: &str) -> NumberTable {
    let heads = [
        "status",
        "epochs",
        "version",
        "commit",
        "device",
        "driver",
        "seeds",
        "configuration",
        "data",
        "started (UTC)",
        "ended (UTC)",
        "computing time",
        "resumed",
    ];
    NumberTable {
        id: "provenance-table".into(),
        caption: caption.into(),
        corner: "cell".into(),
        columns: heads.map(column).into(),
        notes: vec![
            "Configuration and data: first 12 digits of the SHA-256. Epochs: completed ones only."
                .into(),
        ],
        ..NumberTable::default()
    }
}

/// The row of one run.
pub fn run_row(name: &str, run: &RunRecord) -> TableRow {
    let manifest = &run.manifest;
    let done = run.last().map_or(0, |epoch| epoch.epoch());
    let short = |hash: &str| Entry::Code(hash.chars().take(SHORT_HASH).collect());
    let entries = vec![
        Entry::text(CellState::from(manifest.status).word()),
        Entry::text(format!("{done} of {}", run.config.epochs())),
        Entry::text(&manifest.dalenet_version),
        Entry::Code(commit(manifest)),
        Entry::text(device(manifest)),
        Entry::text(manifest.device.driver.clone().unwrap_or_default()),
        Entry::text(seeds(manifest)),
        short(&manifest.config_sha256),
        short(&manifest.data_sha256),
        Entry::text(&manifest.started_utc),
        Entry::text(manifest.finished_utc.clone().unwrap_or_default()),
        Entry::text(computing_time(run)),
        Entry::text(match manifest.resumed.len() {
            0 => "no".to_owned(),
            n => format!("{n} ×"),
        }),
    ];
    row(name, entries)
}

/// Time spent training and evaluating.
fn computing_time(run: &RunRecord) -> String {
    let of = |epoch: &EpochMetrics| epoch[TRAIN_SECONDS] + epoch[EVAL_SECONDS];
    duration(run.epochs.iter().map(of).filter(|s| s.is_finite()).sum())
}

/// The row of a cell without a run.
pub fn empty_row(name: &str, status: &str) -> TableRow {
    let mut entries = vec![Entry::text(status)];
    entries.resize(table("").columns.len(), Entry::text(""));
    row(name, entries)
}

fn commit(manifest: &Manifest) -> String {
    manifest.commit.clone().unwrap_or_else(|| NOTHING.into())
}

fn device(manifest: &Manifest) -> String {
    let DeviceInfo {
        name,
        backend,
        threads,
        ..
    } = &manifest.device;
    match threads {
        0 => format!("{name} ({backend})"),
        n => format!("{name} ({backend}, {})", count(*n, "thread", "threads")),
    }
}

/// The seeds; one number where all are equal.
fn seeds(manifest: &Manifest) -> String {
    let mut values = manifest.seeds.values();
    let first = values.next();
    match first {
        Some(first) if values.all(|other| other == first) => first.to_string(),
        _ => {
            let name = |(name, seed): (&String, &u64)| format!("{name} {seed}");
            manifest
                .seeds
                .iter()
                .map(name)
                .collect::<Vec<_>>()
                .join(", ")
        }
    }
}

/// Everything the manifest says, as a list.
pub fn details(run: &RunRecord) -> Markup {
    let manifest = &run.manifest;
    let data_place = manifest
        .data_place
        .as_ref()
        .map(|place| place.display().to_string());
    let data_name = match data_place {
        Some(place) => format!("{} in {place}", manifest.data_name),
        None => manifest.data_name.clone(),
    };
    html! {
        dl.facts {
            div { dt { "Command" } dd { code { (manifest.command.join(" ")) } } }
            div { dt { "Computer" } dd { (manifest.host) } }
            div { dt { "Data" } dd { (data_name) } }
            div { dt { "Data, SHA-256" } dd { code { (manifest.data_sha256) } } }
            div { dt { "Configuration, SHA-256" } dd { code { (manifest.config_sha256) } } }
            @for resumed in &manifest.resumed {
                div {
                    dt { "Resumed " (resumed.time) }
                    dd { (resumed.device) "; " (resumed.note) }
                }
            }
            @for note in &manifest.notes { div { dt { "Note" } dd { (note) } } }
            @for (what, said) in run.findings.provenance() { div { dt { (what) } dd { (said) } } }
        }
    }
}

/// Programs, devices and data of runs, each named once.
pub fn summary<'a>(runs: impl Iterator<Item = &'a RunRecord> + Clone) -> Vec<(String, String)> {
    let distinct = |of: &dyn Fn(&Manifest) -> String| {
        let mut all: Vec<String> = runs.clone().map(|run| of(&run.manifest)).collect();
        all.sort();
        all.dedup();
        list(&all)
    };
    let program = |m: &Manifest| format!("{} ({})", m.dalenet_version, commit(m));
    [
        ("Program", distinct(&program)),
        ("Device", distinct(&|m| m.device.name.clone())),
        ("Data", distinct(&|m| m.data_name.clone())),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(label, value)| (label.to_owned(), value))
    .collect()
}
