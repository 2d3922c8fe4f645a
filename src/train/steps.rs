//! What is measured at every optimiser step: a line of `steps.jsonl`. Small enough to be kept for
//! every run, and the only place where changes within an epoch can be seen.

use std::collections::BTreeMap;

use serde::de::Error;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::model::TrainedBatch;

/// One optimiser step and the batch it was made of; `null` in the file is NaN here.
#[derive(Clone, Debug, PartialEq)]
pub struct StepRecord {
    /// Epoch under way, from 1.
    pub epoch: u64,
    /// Batch of the epoch, from 1.
    pub batch: u64,
    /// What the model tells of the batch, by name.
    pub numbers: Vec<(String, f64)>,
    /// Norm of the whole gradient before clipping.
    pub gradient_norm: f64,
    /// Norm of each trained matrix's gradient before clipping.
    pub gradient_norm_of: BTreeMap<String, f64>,
    /// Norm of each trained matrix before the step.
    pub weight_norm_of: BTreeMap<String, f64>,
    /// The gradient was made shorter.
    pub clipped: bool,
    /// The gradient was not finite, and nothing was changed.
    pub skipped: bool,
    /// First digits of the run's hash; empty in runs of older versions.
    pub run: String,
}

impl StepRecord {
    /// The record of a batch of the run whose hash begins with `run`; `epoch` and `batch` from 1.
    pub fn new(run: &str, epoch: u64, batch: u64, trained: &TrainedBatch) -> Self {
        let numbers = trained.numbers.iter();
        Self {
            epoch,
            batch,
            numbers: numbers.map(|(name, x)| ((*name).to_owned(), *x)).collect(),
            gradient_norm: trained.gradient_norm,
            gradient_norm_of: trained.gradient_norm_of.clone(),
            weight_norm_of: trained.weight_norm_of.clone(),
            clipped: trained.clipped,
            skipped: trained.skipped,
            run: run.to_owned(),
        }
    }

    /// A number that the model tells of the batch; NaN where it does not.
    pub fn number(&self, name: &str) -> f64 {
        let mut numbers = self.numbers.iter();
        let found = numbers.find(|(other, _)| other == name);
        found.map_or(f64::NAN, |(_, x)| *x)
    }
}

impl Serialize for StepRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let finite = |x: f64| x.is_finite().then_some(x);
        let all = |of: &BTreeMap<String, f64>| -> BTreeMap<String, Option<f64>> {
            of.iter()
                .map(|(name, x)| (name.clone(), finite(*x)))
                .collect()
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("epoch", &self.epoch)?;
        map.serialize_entry("batch", &self.batch)?;
        for (name, x) in &self.numbers {
            map.serialize_entry(name, &finite(*x))?;
        }
        map.serialize_entry("gradient_norm", &finite(self.gradient_norm))?;
        map.serialize_entry("gradient_norm_of", &all(&self.gradient_norm_of))?;
        map.serialize_entry("weight_norm_of", &all(&self.weight_norm_of))?;
        map.serialize_entry("clipped", &self.clipped)?;
        map.serialize_entry("skipped", &self.skipped)?;
        map.serialize_entry("run", &self.run)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for StepRecord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut line = Map::deserialize(deserializer)?;
        let mut take = |key: &'static str| {
            // The order of the others is that in which they are told.
            line.shift_remove(key)
                .ok_or_else(|| D::Error::missing_field(key))
        };
        let step = Self {
            epoch: read(take("epoch")?, "epoch")?,
            batch: read(take("batch")?, "batch")?,
            gradient_norm: number(&take("gradient_norm")?, "gradient_norm")?,
            gradient_norm_of: numbers(&take("gradient_norm_of")?, "gradient_norm_of")?,
            weight_norm_of: numbers(&take("weight_norm_of")?, "weight_norm_of")?,
            clipped: read(take("clipped")?, "clipped")?,
            skipped: read(take("skipped")?, "skipped")?,
            run: take("run")
                .map_or_else(|_: D::Error| Ok(String::new()), |run| read(run, "run"))?,
            numbers: Vec::new(),
        };
        let told = line
            .iter()
            .map(|(name, x)| Ok((name.clone(), number(x, name)?)));
        let numbers = told.collect::<Result<_, D::Error>>()?;
        Ok(Self { numbers, ..step })
    }
}

fn read<T: serde::de::DeserializeOwned, E: Error>(value: Value, key: &str) -> Result<T, E> {
    serde_json::from_value(value).map_err(|error| E::custom(format!("`{key}`: {error}")))
}

fn number<E: Error>(value: &Value, key: &str) -> Result<f64, E> {
    match value {
        Value::Null => Ok(f64::NAN),
        value => value
            .as_f64()
            .ok_or_else(|| E::custom(format!("`{key}` is {value}; expected a number or null"))),
    }
}

fn numbers<E: Error>(value: &Value, key: &str) -> Result<BTreeMap<String, f64>, E> {
    let Value::Object(all) = value else {
        return Err(E::custom(format!(
            "`{key}` is {value}; expected numbers by matrix"
        )));
    };
    all.iter()
        .map(|(name, x)| Ok((name.clone(), number(x, key)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written_and_in_its_order() {
        let trained = TrainedBatch {
            trials: 3,
            numbers: vec![("loss_nats", 0.5), ("a_rate_hz", f64::NAN)],
            gradient_norm_of: BTreeMap::from([("in".into(), 2.0)]),
            clipped: true,
            ..TrainedBatch::default()
        };
        let step = StepRecord::new("ab", 2, 7, &trained);
        let line = serde_json::to_string(&step).unwrap();
        assert!(line.starts_with(r#"{"epoch":2,"batch":7,"loss_nats":0.5,"a_rate_hz":null,"#));
        let again: StepRecord = serde_json::from_str(&line).unwrap();
        assert_eq!(serde_json::to_string(&again).unwrap(), line);
        assert!(again.number("loss_nats") == 0.5 && again.number("other").is_nan());
        for (wrong, word) in [
            (line.replace("\"batch\":7,", ""), "batch"),
            (line.replace("0.5", "\"x\""), "loss_nats"),
            (line.replace("2.0", "[]"), "gradient_norm_of"),
        ] {
            let error = serde_json::from_str::<StepRecord>(&wrong)
                .unwrap_err()
                .to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
