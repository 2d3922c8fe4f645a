//! The stored tensors of a network, and the effective matrices that they combine to.

use std::collections::BTreeMap;
use std::ops::Range;

use super::params::{Kind, Params};
use crate::fault::always;
use crate::optim::Constraint;
use crate::train::checkpoint::Tensor;

/// Why tensors do not fit a network.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum WeightsError {
    /// A tensor is absent.
    #[error("there is no tensor `{name}`; this network needs: {needed}")]
    Missing {
        /// The tensor.
        name: String,
        /// All that are needed.
        needed: String,
    },
    /// A tensor has another shape than the network.
    #[error("tensor `{name}` is {found:?}, but the network needs {needed:?} ([post, pre])")]
    Shape {
        /// The tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape needed.
        needed: Vec<usize>,
    },
    /// A stored matrix of a network that obeys Dale's law holds a weight below 0.
    #[error("tensor `{name}` holds {value}, but weights of this kind of network are 0 or more")]
    Negative {
        /// The tensor.
        name: String,
        /// The weight.
        value: f32,
    },
}

always!(WeightsError => User);

/// One stored tensor and its place in the flat vector.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorSpec {
    /// Name in files, as `l0.w` or `out.w_ex`.
    pub name: String,
    /// `[post, pre]`, or `[units]` of a bias.
    pub shape: Vec<usize>,
    /// First entry in the flat vector of stored tensors.
    pub offset: usize,
    /// Factor of its gradient before clipping.
    pub correction: f64,
    /// What it is held to after each step.
    pub constraint: Constraint,
    /// Tensors with the same number are clipped together.
    pub clip_group: usize,
}

impl TensorSpec {
    /// Entries.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its place in the flat vector.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.len()
    }
}

/// How stored tensors, by their numbers, make up an effective matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    /// One tensor whose last `inhibitory` columns act negatively.
    Columns {
        /// The tensor.
        w: usize,
        /// Columns that act negatively.
        inhibitory: usize,
    },
    /// Excitation minus inhibition by way of linear units: `ex − ei ix`.
    Dann {
        /// `[post, pre]`.
        ex: usize,
        /// `[inhibitory, pre]`.
        ix: usize,
        /// `[post, inhibitory]`.
        ei: usize,
        /// Linear inhibitory units.
        inhibitory: usize,
    },
}

/// An effective matrix, `[post, pre]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// `l0.u`, `l0.w`, …, `out.w`.
    pub name: String,
    /// Rows.
    pub post: usize,
    /// Columns.
    pub pre: usize,
    /// What it is made of.
    pub parts: Parts,
    /// First entry in the flat vector of effective matrices.
    pub offset: usize,
}

impl Link {
    /// Its place in the flat vector of effective matrices.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.post * self.pre
    }

    /// Sign of the effective weight of presynaptic unit `pre` over the stored one; of `Columns`.
    pub fn sign(&self, pre: usize) -> f64 {
        match self.parts {
            Parts::Columns { inhibitory, .. } if pre + inhibitory >= self.pre => -1.0,
            _ => 1.0,
        }
    }
}

/// One layer: numbers of its links and its bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Units.
    pub units: usize,
    /// Link from below.
    pub input: usize,
    /// Link from its own units one step before.
    pub recurrent: usize,
    /// Tensor of the biases.
    pub bias: usize,
}

/// All tensors of a network in one flat vector, all effective matrices in another.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Stored tensors in flat order.
    pub tensors: Vec<TensorSpec>,
    /// Effective matrices in flat order.
    pub links: Vec<Link>,
    /// Layers from the input up.
    pub layers: Vec<Layer>,
    /// Link of the read-out.
    pub read_out: usize,
    /// Tensor of the read-out's biases.
    pub read_out_bias: usize,
    /// Entries of all stored tensors.
    pub len: usize,
    /// Entries of all effective matrices.
    pub effective_len: usize,
}

impl Layout {
    /// The layout of a network.
    pub fn new(params: &Params) -> Self {
        let mut builder = Builder {
            kind: params.kind,
            of_matrices: match (params.kind, params.recipe.frozen_signs) {
                (Kind::Standard, false) => Constraint::Free,
                (Kind::Standard, true) => Constraint::KeepSign,
                (Kind::ColEi | Kind::Dann, _) => Constraint::NonNegative,
            },
            group: 0,
            layout: Self {
                tensors: Vec::new(),
                links: Vec::new(),
                layers: Vec::new(),
                read_out: 0,
                read_out_bias: 0,
                len: 0,
                effective_len: 0,
            },
        };
        let mut below = params.n_in;
        for (l, &units) in params.layers.iter().enumerate() {
            builder.group = l;
            // Input channels are no cells: their columns have no sign.
            let signed_below = if l == 0 { 0 } else { params.inhibitory(below) };
            let own = params.inhibitory(units);
            let of_input = match params.kind {
                Kind::Dann => own,
                _ => signed_below,
            };
            let input = builder.link(format!("l{l}.u"), [units, below], of_input);
            let recurrent = builder.link(format!("l{l}.w"), [units, units], own);
            let bias = builder.tensor(format!("l{l}.b"), vec![units], 1.0, Constraint::Free);
            builder.layout.layers.push(Layer {
                units,
                input,
                recurrent,
                bias,
            });
            below = units;
        }
        builder.group = params.layers.len();
        let inhibitory = match params.kind {
            Kind::Dann => params.inhibitory_of_read_out(),
            _ => params.inhibitory(below),
        };
        builder.layout.read_out = builder.link("out.w".into(), [params.n_out, below], inhibitory);
        let bias = builder.tensor("out.b".into(), vec![params.n_out], 1.0, Constraint::Free);
        builder.layout.read_out_bias = bias;
        builder.layout
    }

    /// Number of the tensor of this name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.tensors.iter().position(|tensor| tensor.name == name)
    }

    /// Tensors as one flat vector.
    ///
    /// # Errors
    /// One that is missing, of another shape, or below 0 where it may not be.
    pub fn flatten(&self, tensors: &BTreeMap<String, Tensor>) -> Result<Vec<f32>, WeightsError> {
        let flat = self.flatten_signed(tensors)?;
        for spec in self
            .tensors
            .iter()
            .filter(|spec| spec.constraint == Constraint::NonNegative)
        {
            if let Some(&value) = flat[spec.range()].iter().find(|w| **w < 0.0) {
                let name = spec.name.clone();
                return Err(WeightsError::Negative { name, value });
            }
        }
        Ok(flat)
    }

    /// As [`flatten`](Self::flatten), of any sign: moments of the optimiser.
    ///
    /// # Errors
    /// One that is missing, or of another shape.
    pub fn flatten_signed(
        &self,
        tensors: &BTreeMap<String, Tensor>,
    ) -> Result<Vec<f32>, WeightsError> {
        let mut flat = Vec::with_capacity(self.len);
        for spec in &self.tensors {
            let Some(tensor) = tensors.get(&spec.name) else {
                let names = self.tensors.iter().map(|spec| spec.name.as_str());
                return Err(WeightsError::Missing {
                    name: spec.name.clone(),
                    needed: names.collect::<Vec<_>>().join(", "),
                });
            };
            if tensor.shape != spec.shape || tensor.data.len() != spec.len() {
                return Err(WeightsError::Shape {
                    name: spec.name.clone(),
                    found: tensor.shape.clone(),
                    needed: spec.shape.clone(),
                });
            }
            flat.extend_from_slice(&tensor.data);
        }
        Ok(flat)
    }

    /// A flat vector as tensors.
    pub fn tensors_of(&self, flat: &[f32]) -> BTreeMap<String, Tensor> {
        let tensor = |spec: &TensorSpec| {
            let (shape, data) = (spec.shape.clone(), flat[spec.range()].to_vec());
            (spec.name.clone(), Tensor { shape, data })
        };
        self.tensors.iter().map(tensor).collect()
    }
}

struct Builder {
    kind: Kind,
    of_matrices: Constraint,
    group: usize,
    layout: Layout,
}

impl Builder {
    fn tensor(
        &mut self,
        name: String,
        shape: Vec<usize>,
        correction: f64,
        constraint: Constraint,
    ) -> usize {
        let number = self.layout.tensors.len();
        let spec = TensorSpec {
            name,
            shape,
            offset: self.layout.len,
            correction,
            constraint,
            clip_group: match self.kind {
                Kind::Dann => self.group,
                Kind::Standard | Kind::ColEi => number,
            },
        };
        self.layout.len += spec.len();
        self.layout.tensors.push(spec);
        number
    }

    fn link(&mut self, name: String, [post, pre]: [usize; 2], inhibitory: usize) -> usize {
        let parts = match self.kind {
            Kind::Standard | Kind::ColEi => {
                let w = self.tensor(name.clone(), vec![post, pre], 1.0, self.of_matrices);
                Parts::Columns { w, inhibitory }
            }
            Kind::Dann => {
                let (of_ix, of_ei) = (1.0 / (post as f64).sqrt(), 1.0 / pre as f64);
                let shapes = [
                    vec![post, pre],
                    vec![inhibitory, pre],
                    vec![post, inhibitory],
                ];
                let [ex, ix, ei] = shapes;
                Parts::Dann {
                    ex: self.tensor(format!("{name}_ex"), ex, 1.0, self.of_matrices),
                    ix: self.tensor(format!("{name}_ix"), ix, of_ix, self.of_matrices),
                    ei: self.tensor(format!("{name}_ei"), ei, of_ei, self.of_matrices),
                    inhibitory,
                }
            }
        };
        let offset = self.layout.effective_len;
        self.layout.effective_len += post * pre;
        self.layout.links.push(Link {
            name,
            post,
            pre,
            parts,
            offset,
        });
        self.layout.links.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate_rnn::params::{Loss, Recipe};

    fn params(kind: Kind) -> Params {
        Params {
            kind,
            n_in: 5,
            layers: vec![20, 15],
            n_out: 12,
            inhibitory_fraction: 0.1,
            loss: Loss::CrossEntropyLast,
            recipe: Recipe::descent(0.1, None),
        }
    }

    #[test]
    fn columns_of_cells_have_signs_and_those_of_input_channels_have_none() {
        let layout = Layout::new(&params(Kind::ColEi));
        let inhibitory = |link: &Link| (0..link.pre).filter(|&c| link.sign(c) < 0.0).count();
        let found: Vec<_> = (layout.links.iter())
            .map(|link| (link.name.as_str(), inhibitory(link)))
            .collect();
        let expected = [
            ("l0.u", 0),
            ("l0.w", 2),
            ("l1.u", 2),
            ("l1.w", 2),
            ("out.w", 2),
        ];
        assert_eq!(found, expected);
        assert_eq!(layout.links[1].sign(17), 1.0);
        assert_eq!(layout.links[1].sign(18), -1.0);
        let standard = Layout::new(&params(Kind::Standard));
        assert!(
            standard
                .links
                .iter()
                .all(|link| link.sign(link.pre - 1) == 1.0)
        );
    }

    #[test]
    fn dann_has_three_tensors_a_matrix_and_corrects_two_of_them() {
        let layout = Layout::new(&params(Kind::Dann));
        let of = |name: &str| &layout.tensors[layout.find(name).unwrap()];
        for (name, shape, correction, group) in [
            ("l0.u_ix", vec![2, 5], 1.0 / 20f64.sqrt(), 0),
            ("l0.u_ei", vec![20, 2], 1.0 / 5.0, 0),
            ("l1.w_ei", vec![15, 1], 1.0 / 15.0, 1),
            ("l1.u_ei", vec![15, 1], 1.0 / 20.0, 1),
            ("l1.b", vec![15], 1.0, 1),
            ("out.w_ix", vec![1, 15], 1.0 / 12f64.sqrt(), 2),
            ("out.w_ei", vec![12, 1], 1.0 / 15.0, 2),
        ] {
            let spec = of(name);
            assert_eq!((&spec.shape, spec.clip_group), (&shape, group), "{name}");
            assert!((spec.correction - correction).abs() < 1e-15, "{name}");
            let expected = match name.ends_with(".b") {
                true => Constraint::Free,
                false => Constraint::NonNegative,
            };
            assert_eq!(spec.constraint, expected);
        }
    }

    #[test]
    fn tensors_go_into_a_flat_vector_and_back_or_are_refused_by_name() {
        let layout = Layout::new(&params(Kind::ColEi));
        let flat: Vec<f32> = (0..layout.len).map(|i| i as f32).collect();
        let tensors = layout.tensors_of(&flat);
        assert_eq!(layout.flatten(&tensors), Ok(flat));
        let with = |change: &dyn Fn(&mut BTreeMap<String, Tensor>)| {
            let mut tensors = tensors.clone();
            change(&mut tensors);
            layout.flatten(&tensors).unwrap_err().to_string()
        };
        let missing = with(&|t| _ = t.remove("l1.w"));
        assert!(missing.contains("no tensor `l1.w`") && missing.contains("l0.u"));
        let shape = with(&|t| t.get_mut("l0.b").unwrap().shape = vec![1, 20]);
        assert!(shape.contains("`l0.b` is [1, 20]"), "{shape}");
        let negative = with(&|t| t.get_mut("l0.w").unwrap().data[3] = -0.5);
        assert!(negative.contains("`l0.w` holds -0.5"), "{negative}");
    }
}
