//! The input events of a chunk in the order in which the gradient of W_in adds them.

use std::ops::Range;

use super::plan::Chunk;
use crate::conductance::TRIAL_GROUP;
use crate::conductance::batch::Batch;

/// What the lists are made for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Inputs.
    pub(super) n_in: usize,
    /// Columns of W_in.
    pub(super) columns: usize,
    /// Steps of a trial.
    pub(super) steps: usize,
    /// Steps of a segment.
    pub(super) segment_steps: usize,
    /// Entries of all gradients of one trial group, and where W_in's begin.
    pub(super) trained_len: usize,
    /// First entry of W_in's gradient.
    pub(super) gradient_at: usize,
}

/// Events by (segment, trial group, input), and in each such row by (step descending, trial). Made
/// anew for every chunk in the same memory, by counting and without comparing.
#[derive(Debug, Default)]
pub(super) struct InputRows {
    /// First entry in the gradients and first event of every row, and an end.
    pub(super) rows: Vec<[u32; 2]>,
    /// Row of the trace of every event: (step − first of the segment) · trials + trial.
    pub(super) events: Vec<u32>,
    /// Rows of each segment.
    of_segment: Vec<Range<usize>>,
    /// Most events of a row.
    pub(super) most_events: usize,
    /// Step, trial and input of all events, group after group, each by (step descending, trial).
    by_step: Vec<[u32; 3]>,
    /// Where in `by_step` the events of a group begin that are still to be put into rows.
    begins: Vec<usize>,
    /// Events of each step, then where they begin; likewise for inputs.
    places: Vec<u32>,
}

impl InputRows {
    /// Rows of a segment, and where they begin.
    pub(super) fn of_segment(&self, segment: usize) -> Range<usize> {
        self.of_segment.get(segment).cloned().unwrap_or(0..0)
    }

    /// Makes the lists of a chunk.
    pub(super) fn renew(&mut self, batch: &Batch, chunk: Chunk, shape: Shape) {
        let segments = shape.steps.div_ceil(shape.segment_steps);
        self.sort_by_step(batch, chunk, shape.steps);
        self.rows.clear();
        self.events.clear();
        self.events.resize(self.by_step.len(), 0);
        self.of_segment.clear();
        self.of_segment.resize(segments, 0..0);
        self.most_events = 0;
        let mut placed = 0;
        for segment in (0..segments).rev() {
            let first_row = self.rows.len();
            for group in 0..chunk.groups() {
                placed = self.add_rows(segment, group, placed, chunk, shape);
            }
            self.of_segment[segment] = first_row..self.rows.len();
        }
        self.rows.push([0, placed as u32]);
    }

    /// Fills `by_step` and `begins`.
    fn sort_by_step(&mut self, batch: &Batch, chunk: Chunk, steps: usize) {
        let range = batch.offsets[chunk.offset]..batch.offsets[chunk.offset + chunk.trials];
        self.by_step.clear();
        self.by_step.resize(range.len(), [0; 3]);
        self.begins.clear();
        let mut end = 0;
        for first in (0..chunk.trials).step_by(TRIAL_GROUP) {
            let trials = first..(first + TRIAL_GROUP).min(chunk.trials);
            self.begins.push(end as usize);
            self.places.clear();
            self.places.resize(steps, 0);
            for trial in trials.clone() {
                for event in batch.events_of(chunk.offset + trial) {
                    self.places[event.step as usize] += 1;
                }
            }
            for place in self.places.iter_mut().rev() {
                end += std::mem::replace(place, end);
            }
            for trial in trials {
                for event in batch.events_of(chunk.offset + trial) {
                    let place = &mut self.places[event.step as usize];
                    self.by_step[*place as usize] = [event.step, trial as u32, event.input];
                    *place += 1;
                }
            }
        }
        self.begins.push(end as usize);
    }

    /// Adds the rows of one group in a segment behind `placed` events; returns how many there are then.
    fn add_rows(
        &mut self,
        segment: usize,
        group: usize,
        placed: usize,
        chunk: Chunk,
        shape: Shape,
    ) -> usize {
        let first_step = segment * shape.segment_steps;
        // Rows begin with the last step, so what belongs to this segment comes first.
        let group_end = (group + 1) * TRIAL_GROUP;
        let begin = self.begins[group];
        let rest = &self.by_step[begin..];
        let len = rest.partition_point(|&[step, trial, _]| {
            (trial as usize) < group_end && step as usize >= first_step
        });
        let events = &rest[..len];
        self.places.clear();
        self.places.resize(shape.n_in, 0);
        for &[_, _, input] in events {
            self.places[input as usize] += 1;
        }
        let mut end = placed as u32;
        for (input, place) in self.places.iter_mut().enumerate() {
            let count = std::mem::replace(place, end);
            if count > 0 {
                let at = group * shape.trained_len + shape.gradient_at + input * shape.columns;
                self.rows.push([at as u32, end]);
                self.most_events = self.most_events.max(count as usize);
                end += count;
            }
        }
        for &[step, trial, input] in events {
            let place = &mut self.places[input as usize];
            self.events[*place as usize] = (step - first_step as u32) * chunk.trials as u32 + trial;
            *place += 1;
        }
        self.begins[group] = begin + len;
        end as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Event;
    use std::cmp::Reverse;

    #[test]
    fn events_lie_by_segment_group_and_input_from_the_last_step() {
        let shape = Shape {
            n_in: 5,
            columns: 3,
            steps: 23,
            segment_steps: 7,
            trained_len: 100,
            gradient_at: 9,
        };
        // Trials 2 .. 72 of 75: some whole groups and a part of one.
        let chunk = Chunk {
            offset: 2,
            trials: 70,
            batch: 75,
            imposed: false,
        };
        let trials: Vec<Vec<Event>> = (0..75_u32)
            .map(|trial| {
                let all = (0..23).flat_map(|step| (0..5).map(move |input| Event { step, input }));
                all.filter(|e| (e.step * 7 + e.input * 3 + trial) % 4 == 0)
                    .collect()
            })
            .collect();
        let batch = Batch::new(trials.iter().map(|events| (&events[..], 0)));
        let mut expected = Vec::new();
        for trial in 0..70_u32 {
            for e in batch.events_of(2 + trial as usize) {
                let (segment, group) = (e.step / 7, trial / TRIAL_GROUP as u32);
                let at = group * 100 + 9 + e.input * 3;
                let row = (e.step - segment * 7) * 70 + trial;
                let key = (Reverse(segment), group, e.input, Reverse(e.step), trial);
                expected.push((key, at, row));
            }
        }
        expected.sort_unstable();

        let mut lists = InputRows::default();
        // What an earlier chunk has left must not show.
        lists.renew(&batch, Chunk { trials: 3, ..chunk }, shape);
        lists.renew(&batch, chunk, shape);
        let mut found = Vec::new();
        for segment in (0..4).rev() {
            for row in lists.of_segment(segment) {
                let events = lists.rows[row][1] as usize..lists.rows[row + 1][1] as usize;
                assert!(!events.is_empty() && events.len() <= lists.most_events);
                found.extend(
                    lists.events[events]
                        .iter()
                        .map(|&e| (lists.rows[row][0], e)),
                );
            }
        }
        let expected: Vec<_> = expected.iter().map(|&(_, at, row)| (at, row)).collect();
        assert!(expected.len() > 1000 && found == expected);
    }
}
