//! What the user writes to describe a study: one JSON file.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A study as written in its file. Cells are all combinations of the axes' values; the last axis
/// changes fastest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StudySpec {
    /// Name of a built-in study to extend: keys that this file does not set are taken from it; of `axes`,
    /// those that it does not name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extends: Option<String>,
    /// Short name; it begins the name of the default folder. Letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// Title of the page.
    pub title: String,
    /// The question, a paragraph of plain text.
    #[serde(default)]
    pub question: String,
    /// Where question and reported numbers come from.
    #[serde(default)]
    pub source: String,
    /// The configuration all cells begin with: a built-in name (`ping`), or an object with the keys
    /// of a configuration.
    pub base: Value,
    /// Parameters that vary between cells; without axes the study has a single cell.
    #[serde(default)]
    pub axes: Vec<StudyAxis>,
    /// Combinations that are left out: axis name to the names of its values; a cell that matches all
    /// entries of one object is not run.
    #[serde(default)]
    pub except: Vec<BTreeMap<String, Vec<String>>>,
    /// Loop multipliers measured on finished cells.
    #[serde(default)]
    pub sweep: Option<SweepSpec>,
    /// Figures of the page, in their order; empty: all that the cells give.
    #[serde(default)]
    pub figures: Vec<String>,
    /// Pairs of conditions to compare on the same images and noise: names of values of the first
    /// axis. Empty: every value against the first.
    #[serde(default)]
    pub compare: Vec<[String; 2]>,
    /// Numbers from the literature, to be shown beside those measured.
    #[serde(default)]
    pub reported: Vec<Reported>,
    /// Statements of the sources that contradict each other, with the measured evidence.
    #[serde(default)]
    pub contradictions: Vec<Contradiction>,
    /// What this study cannot measure, a sentence each.
    #[serde(default)]
    pub not_measured: Vec<String>,
}

/// One parameter, or group of keys, that varies between cells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StudyAxis {
    /// Name, as `condition` or `seed`.
    pub name: String,
    /// The configuration key that `values` are values of; without it each value names its keys.
    #[serde(default)]
    pub key: Option<String>,
    /// Plain values of `key`, or objects `{ "name": …, "set": { key: value, … } }`.
    pub values: Vec<Value>,
}

/// A value of an axis, resolved: its name and the keys it sets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AxisValue {
    /// Name in cell names and legends.
    pub name: String,
    /// Configuration keys, dotted, and their values.
    #[serde(default)]
    pub set: Map<String, Value>,
    /// A few words for legends and tables; the name where empty.
    #[serde(default)]
    pub label: String,
}

impl AxisValue {
    /// The label; the name where there is none.
    pub fn shown(&self) -> &str {
        if self.label.is_empty() {
            &self.name
        } else {
            &self.label
        }
    }
}

/// Loop multipliers to measure, all combinations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SweepSpec {
    /// Multipliers of W_EI.
    pub ei: Vec<f64>,
    /// Multipliers of W_IE.
    pub ie: Vec<f64>,
    /// Cells that are swept: axis name to names of its values; an axis not named allows all.
    #[serde(default)]
    pub cells: BTreeMap<String, Vec<String>>,
}

/// A number from the literature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reported {
    /// Which cells: axis name to name of its value; the mean over all matching cells is compared.
    #[serde(default)]
    pub cells: BTreeMap<String, String>,
    /// A measure of the collected table, as `test_accuracy_percent`.
    pub measure: String,
    /// The number reported, in the measure's unit.
    pub value: f64,
    /// Which epoch, rate and weights the number belongs to, as far as known.
    #[serde(default)]
    pub note: String,
}

/// Statements of the sources that contradict each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contradiction {
    /// What they say.
    pub claim: String,
    /// What settles it, or how the measured numbers bear on it.
    pub resolution: String,
    /// Measures, each shown with its value for the cells, as evidence.
    #[serde(default)]
    pub evidence: Vec<Evidence>,
}

/// A measured number that bears on a contradiction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Which cells, as in [`Reported::cells`].
    #[serde(default)]
    pub cells: BTreeMap<String, String>,
    /// A measure of the collected table.
    pub measure: String,
}
