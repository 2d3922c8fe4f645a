//! Trials that go through a network together.

use super::params::{Loss, Params};

/// What the outputs are compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// Class of each trial, `[trial]`, or of each step, `[step, trial]`.
    Classes(Vec<u32>),
    /// Values, `[trial, output]`.
    Values(Vec<f32>),
}

/// Trials of the same length.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Steps.
    pub steps: usize,
    /// Trials.
    pub trials: usize,
    /// Inputs, `[step, trial, channel]`.
    pub x: Vec<f32>,
    /// Targets.
    pub targets: Targets,
}

/// A batch that does not fit the network.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum BatchError {
    /// No trials or no steps.
    #[error("a batch needs at least one trial and one step")]
    Empty,
    /// An array is not as long as it must be.
    #[error("a batch has {found} {what} where the network needs {needed}")]
    Length {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there must be.
        needed: usize,
    },
    /// A class that the network has no output for.
    #[error("class {class} is outside 0..{classes}")]
    Class {
        /// The class.
        class: u32,
        /// Outputs.
        classes: usize,
    },
    /// Values for a loss of classes, or the other way about.
    #[error("the targets of the batch are of another type than the loss needs")]
    Type,
}

impl Batch {
    /// Refuses a batch that would index outside the network.
    ///
    /// # Errors
    /// [`BatchError`].
    pub fn check(&self, params: &Params) -> Result<(), BatchError> {
        let length = |what, found, needed| match found == needed {
            true => Ok(()),
            false => Err(BatchError::Length {
                what,
                found,
                needed,
            }),
        };
        if self.steps == 0 || self.trials == 0 {
            return Err(BatchError::Empty);
        }
        let inputs = self.steps * self.trials * params.n_in;
        length("inputs", self.x.len(), inputs)?;
        match (&self.targets, params.loss) {
            (Targets::Classes(classes), Loss::CrossEntropyLast | Loss::CrossEntropyAll) => {
                length(
                    "classes",
                    classes.len(),
                    self.trials * self.scored_steps(params),
                )?;
                match classes.iter().find(|&&c| c as usize >= params.n_out) {
                    None => Ok(()),
                    Some(&class) => Err(BatchError::Class {
                        class,
                        classes: params.n_out,
                    }),
                }
            }
            (Targets::Values(values), Loss::MseLast) => {
                length("target values", values.len(), self.trials * params.n_out)
            }
            _ => Err(BatchError::Type),
        }
    }

    /// Steps whose outputs are compared with targets; the last ones.
    pub fn scored_steps(&self, params: &Params) -> usize {
        if params.loss.is_of_every_step() {
            self.steps
        } else {
            1
        }
    }
}
