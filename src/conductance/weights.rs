//! Weight matrices: names, layout in one flat vector, initial draws, and the Dale rule of each.

use std::collections::BTreeMap;

use crate::conductance::params::Params;
use crate::conductance::settings;
use crate::conductance::settings::{Dale, MatrixName};
use crate::fault::always;
use crate::optim::{Constraint, Rule};
use crate::random::{Purpose, Stream};

impl MatrixName {
    /// Every matrix, in the order in which they lie in flat vectors and are written to files.
    pub const ALL: [Self; 6] = [
        Self::WIn,
        Self::WOut,
        Self::WEe,
        Self::WEi,
        Self::WIe,
        Self::WIi,
    ];

    /// Name in weight files and metrics: `in`, `out`, `ee`, `ei`, `ie`, `ii`.
    pub fn short(self) -> &'static str {
        match self {
            Self::WIn => "in",
            Self::WOut => "out",
            Self::WEe => "ee",
            Self::WEi => "ei",
            Self::WIe => "ie",
            Self::WIi => "ii",
        }
    }

    /// The matrix of a [`short`](Self::short) name.
    pub fn from_short(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.short() == name)
    }

    /// Whether the matrix joins the E and I populations (W_EE, W_EI, W_IE, W_II).
    pub fn is_loop(self) -> bool {
        !matches!(self, Self::WIn | Self::WOut)
    }
}

/// One matrix, row-major `[pre, post]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// Presynaptic cells (rows).
    pub pre: usize,
    /// Postsynaptic cells (columns).
    pub post: usize,
    /// `pre · post` stored weights.
    pub data: Vec<f32>,
}

/// The stored weights of a network by name.
pub type Weights = BTreeMap<MatrixName, Matrix>;

/// Where one matrix lies in the flat weight vector and how it is treated.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    /// Which matrix.
    pub name: MatrixName,
    /// Presynaptic cells.
    pub pre: usize,
    /// Postsynaptic cells.
    pub post: usize,
    /// First entry in the flat vector.
    pub offset: usize,
    /// Has gradients and is updated.
    pub trained: bool,
    /// The forward pass uses max(w, 0), and the gradient passes only where w ≥ 0.
    pub clamped: bool,
    /// What stored weights are held to after every optimiser step.
    pub constraint: Constraint,
    /// How it learns.
    pub rule: Rule,
    /// The matrix has an effect: it is trained or not everywhere zero.
    pub active: bool,
}

impl Slot {
    /// Entries of the matrix.
    pub fn len(&self) -> usize {
        self.pre * self.post
    }

    /// Whether the matrix has no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether stored weights of this matrix do anything in the forward pass.
    pub fn has_effect(&self, stored: &[f32]) -> bool {
        let does = |w: &f32| if self.clamped { *w > 0.0 } else { *w != 0.0 };
        stored.iter().any(does)
    }

    /// Place in the flat vector.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.len()
    }
}

/// The matrices of a network in one flat vector: trained ones first, so that gradients and moments
/// are the same vector cut at `trained_len`.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Slots in flat order.
    pub slots: Vec<Slot>,
    /// Entries of all matrices.
    pub len: usize,
    /// Entries of the trained matrices.
    pub trained_len: usize,
}

/// Why weights do not fit a network.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum WeightsError {
    /// A matrix the network cannot do without is absent.
    #[error("weights have no matrix `{0}`; a network needs at least `in` and `out`")]
    Missing(&'static str),
    /// A file holds a matrix under two of its names.
    #[error("matrix `{0}` is there under two of its names (`{0}`, `w_{0}`, `w.{0}`); remove one")]
    Twice(&'static str),
    /// A matrix has another shape than the network.
    #[error(
        "matrix `{name}` is [{pre}, {post}] but the network needs [{need_pre}, {need_post}] ([pre, post])"
    )]
    Shape {
        /// Short name.
        name: &'static str,
        /// Rows found.
        pre: usize,
        /// Columns found.
        post: usize,
        /// Rows needed.
        need_pre: usize,
        /// Columns needed.
        need_post: usize,
    },
    /// A matrix is not there, but the engine computes with it.
    #[error("weights have no matrix `{0}`, but the engine was built with one; give all matrices")]
    Absent(&'static str),
    /// A matrix that the engine was built without.
    #[error(
        "matrix `{0}` was absent or all zeros when the engine was built, which therefore does not \
         compute it; build a new engine with these weights"
    )]
    NotBuilt(&'static str),
}

always!(WeightsError => User);

impl Layout {
    /// The layout of `weights` in a network of `params`.
    ///
    /// # Errors
    /// A missing `in` or `out`, or a shape that does not fit.
    pub fn new(params: &Params, weights: &Weights) -> Result<Self, WeightsError> {
        let training = &params.training;
        let mut slots = Vec::new();
        for trained in [true, false] {
            for name in MatrixName::ALL {
                if params.is_trained(name) != trained {
                    continue;
                }
                let (need_pre, need_post) = params.shape(name);
                let Some(matrix) = weights.get(&name) else {
                    if name.is_loop() && !trained {
                        continue;
                    }
                    return Err(WeightsError::Missing(name.short()));
                };
                let (pre, post) = (matrix.pre, matrix.post);
                if (pre, post) != (need_pre, need_post) || matrix.data.len() != pre * post {
                    let name = name.short();
                    return Err(WeightsError::Shape {
                        name,
                        pre,
                        post,
                        need_pre,
                        need_post,
                    });
                }
                let raw = training.dale == Dale::Signed || (training.signed_loop && name.is_loop());
                slots.push(Slot {
                    name,
                    pre,
                    post,
                    offset: 0,
                    trained,
                    clamped: !raw,
                    constraint: match !raw && training.dale == Dale::Project {
                        true => Constraint::NonNegative,
                        false => Constraint::Free,
                    },
                    rule: training.rule(name.is_loop()),
                    active: trained || matrix.data.iter().any(|&w| w != 0.0),
                });
            }
        }
        let mut len = 0;
        for slot in &mut slots {
            slot.offset = len;
            len += slot.len();
        }
        let trained_len = slots.iter().filter(|s| s.trained).map(Slot::len).sum();
        Ok(Self {
            slots,
            len,
            trained_len,
        })
    }

    /// The slot of a matrix that is there and has an effect.
    pub fn active(&self, name: MatrixName) -> Option<&Slot> {
        self.slots.iter().find(|s| s.name == name && s.active)
    }

    /// The slot of a trained matrix.
    pub fn trained(&self, name: MatrixName) -> Option<&Slot> {
        self.slots.iter().find(|s| s.name == name && s.trained)
    }

    /// Slots of the trained matrices.
    pub fn trained_slots(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|s| s.trained)
    }

    /// `weights` as the flat vector of this layout.
    pub fn flatten(&self, weights: &Weights) -> Vec<f32> {
        self.slots
            .iter()
            .flat_map(|s| weights[&s.name].data.iter().copied())
            .collect()
    }

    /// Other weights of the network that this layout was made for, as its flat vector. Matrices may
    /// become zero; one that was built as without effect must stay zero.
    ///
    /// # Errors
    /// Other matrices or shapes, or a matrix without effect that would have one.
    pub fn flatten_other(&self, weights: &Weights) -> Result<Vec<f32>, WeightsError> {
        for (name, matrix) in weights {
            let slot = self.slots.iter().find(|s| s.name == *name);
            let has_effect = matrix.data.iter().any(|&w| w != 0.0);
            let Some(slot) = slot.filter(|slot| slot.active || !has_effect) else {
                return Err(WeightsError::NotBuilt(name.short()));
            };
            if (matrix.pre, matrix.post, matrix.data.len()) != (slot.pre, slot.post, slot.len()) {
                return Err(WeightsError::Shape {
                    name: name.short(),
                    pre: matrix.pre,
                    post: matrix.post,
                    need_pre: slot.pre,
                    need_post: slot.post,
                });
            }
        }
        match self.slots.iter().find(|s| !weights.contains_key(&s.name)) {
            Some(slot) => Err(WeightsError::Absent(slot.name.short())),
            None => Ok(self.flatten(weights)),
        }
    }
}

/// Multiplies a matrix by `factor`, rounding once; whether it is there.
pub fn scale(weights: &mut Weights, name: MatrixName, factor: f64) -> bool {
    let matrix = weights.get_mut(&name);
    let is_there = matrix.is_some();
    for w in matrix.into_iter().flat_map(|matrix| &mut matrix.data) {
        *w = (f64::from(*w) * factor) as f32;
    }
    is_there
}

/// Which parts of the network have an effect and are therefore computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wiring {
    /// I cells can receive spikes or fire by themselves.
    pub i_cells: bool,
    /// E cells have inhibitory conductance.
    pub ie: bool,
    /// I cells have excitatory conductance.
    pub ei: bool,
    /// E cells excite each other.
    pub ee: bool,
    /// I cells inhibit each other.
    pub ii: bool,
}

impl Wiring {
    /// The parts that `layout` calls for. Without W_EI an I cell rests at E_L: it is simulated only
    /// if that lies at threshold or above.
    pub fn new(params: &Params, layout: &Layout) -> Self {
        let active = |name| layout.active(name).is_some();
        let n = &params.network;
        let i_cells = active(MatrixName::WEi) || n.e_l_mv >= n.v_th_mv;
        Self {
            i_cells,
            ie: i_cells && active(MatrixName::WIe),
            ei: active(MatrixName::WEi),
            ee: active(MatrixName::WEe),
            ii: i_cells && active(MatrixName::WIi),
        }
    }
}

/// Draws the initial weights: `max(N(mean, std), 0)`, kept with probability 1 − sparsity and divided
/// by it, divided by the presynaptic cells, times a factor. Each matrix has a stream of its own, so
/// adding one changes no other. W_EI and W_IE are always there, W_EE and W_II where their mean is
/// positive or they are trained.
pub fn draw_initial(params: &Params, config: &settings::Weights, seed: u64) -> Weights {
    let mut weights = Weights::new();
    for (index, name) in MatrixName::ALL.into_iter().enumerate() {
        let relative = config.loop_relative_std;
        let of_loop = |mean: f64| (mean, mean * relative, config.loop_sparsity, 1.0);
        let (mean, std, sparsity, scale) = match name {
            MatrixName::WIn => {
                let std = config.in_mean_us * config.in_relative_std;
                (config.in_mean_us, std, config.in_sparsity, 1.0)
            }
            MatrixName::WOut => (config.out_mean, config.out_std, 0.0, config.out_scale),
            MatrixName::WEi => of_loop(config.ei_strength),
            MatrixName::WIe => of_loop(config.ie_to_ei_ratio * config.ei_strength),
            MatrixName::WEe => of_loop(config.ee_mean_us),
            MatrixName::WIi => of_loop(config.ii_mean_us),
        };
        let optional = matches!(name, MatrixName::WEe | MatrixName::WIi);
        if optional && mean == 0.0 && !params.is_trained(name) {
            continue;
        }
        let (pre, post) = params.shape(name);
        let keep = 1.0 - sparsity;
        let factor = scale / (keep * pre as f64);
        let mut stream = Stream::new(Purpose::Weights, seed, index as u64, 0);
        let data = (0..pre * post)
            .map(|_| {
                let w = (mean + std * stream.normal()).max(0.0);
                let kept = sparsity == 0.0 || stream.uniform_f64_open() <= keep;
                if kept { (w * factor) as f32 } else { 0.0 }
            })
            .collect();
        weights.insert(name, Matrix { pre, post, data });
    }
    weights
}
