//! The conditions of a study that have finished runs, and what they have in common, in words.

use super::text::list;
use crate::analysis::answers::Answers;
use crate::record::RunRecord;
use crate::study::CellRecord;
use crate::study::aggregate::{Condition, Spread, spread};
use crate::study::measures::Measure;
use crate::text::count;

/// A condition with the finished runs of its cells.
pub struct Finished<'a> {
    /// Its label.
    pub label: String,
    /// The condition.
    pub condition: &'a Condition,
    /// Its cells.
    pub cells: Vec<&'a CellRecord>,
    /// Its finished runs, at least one.
    pub runs: Vec<&'a RunRecord>,
}

impl<'a> Finished<'a> {
    /// Those of `conditions` that have finished runs.
    pub fn among(conditions: &'a [Condition], cells: &'a [CellRecord]) -> Vec<Self> {
        let of = |condition: &'a Condition| {
            let own = condition.cells.iter().filter_map(|&place| cells.get(place));
            let own: Vec<&CellRecord> = own.collect();
            let runs: Vec<&RunRecord> = own.iter().filter_map(|cell| cell.finished()).collect();
            (!runs.is_empty()).then(|| Self {
                label: condition.label(),
                condition,
                cells: own,
                runs,
            })
        };
        conditions.iter().filter_map(of).collect()
    }

    /// Mean and spread of a measure over the finished runs.
    pub fn spread(&self, measure: &Measure) -> Spread {
        spread(self.cells.iter().copied(), measure)
    }

    /// The mean of a measure over the finished runs; NaN where there is no such measure.
    pub fn mean(&self, measure: Option<&Measure>) -> f64 {
        measure.map_or(f64::NAN, |measure| self.spread(measure).mean)
    }

    /// The answers of each run that has been analysed.
    pub fn answers(&self) -> impl Iterator<Item = Answers<'a>> {
        self.runs.iter().filter_map(|run| run.answers())
    }
}

/// `SUBJECT verb in A and B; verb in C.`, conditions by what they do; none where nobody says.
pub fn grouped(
    finished: &[Finished<'_>],
    subject: &str,
    verb: impl Fn(&Finished<'_>) -> Option<String>,
) -> Option<String> {
    let mut groups: Vec<(String, Vec<&Finished<'_>>)> = Vec::new();
    for condition in finished {
        let Some(verb) = verb(condition) else {
            continue;
        };
        match groups.iter_mut().find(|(known, _)| *known == verb) {
            Some((_, conditions)) => conditions.push(condition),
            None => groups.push((verb, vec![condition])),
        }
    }
    let parts: Vec<String> = match &groups[..] {
        [] => return None,
        [(verb, conditions)] if conditions.len() == finished.len() && conditions.len() > 1 => {
            vec![format!("{verb} in every condition that has finished")]
        }
        many => many
            .iter()
            .map(|(verb, conditions)| format!("{verb} in {}", together(conditions)))
            .collect(),
    };
    Some(format!("{subject} {}.", parts.join(". It ")))
}

/// The labels of conditions, those with the same first value together: `A (x, y); B (x)`.
fn together(conditions: &[&Finished<'_>]) -> String {
    let mut firsts: Vec<(String, Vec<String>)> = Vec::new();
    for condition in conditions {
        let mut labels = condition
            .condition
            .values
            .iter()
            .map(|(_, value)| value.shown());
        let first = labels.next().unwrap_or(&condition.label).to_owned();
        let rest = labels.collect::<Vec<_>>().join(", ");
        match firsts.iter_mut().find(|(known, _)| *known == first) {
            Some((_, rests)) => rests.push(rest),
            None => firsts.push((first, vec![rest])),
        }
    }
    let parts = firsts.into_iter().map(|(first, rests)| {
        let rests: Vec<String> = rests.into_iter().filter(|rest| !rest.is_empty()).collect();
        match rests[..] {
            [] => first,
            _ => format!("{first} ({})", rests.join(", ")),
        }
    });
    // Labels may hold commas.
    parts.collect::<Vec<_>>().join("; ")
}

/// What all seeds do, or how many do what; none without seeds.
pub fn in_all(verbs: Vec<&'static str>) -> Option<String> {
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    for &verb in &verbs {
        match kinds.iter_mut().find(|(known, _)| *known == verb) {
            Some((_, n)) => *n += 1,
            None => kinds.push((verb, 1)),
        }
    }
    match kinds[..] {
        [] => None,
        [(verb, _)] => Some(verb.to_owned()),
        _ => {
            let parts = kinds.iter().map(|(verb, n)| {
                format!("{verb} in {n} of {}", count(verbs.len(), "seed", "seeds"))
            });
            Some(list(&parts.collect::<Vec<_>>()))
        }
    }
}
