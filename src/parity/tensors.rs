//! Typed reading of the tensors of a safetensors file that nobody vouches for.

use std::path::Path;

use safetensors::{Dtype, SafeTensors};

use super::CaseError;

/// Tensors of one file with its name for messages.
pub(crate) struct Tensors<'a> {
    path: &'a Path,
    all: SafeTensors<'a>,
}

/// A tensor widened to f64.
pub(crate) struct Floats {
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<f64>,
    /// Stored as f32.
    pub(crate) single: bool,
}

impl<'a> Tensors<'a> {
    pub(crate) fn new(path: &'a Path, bytes: &'a [u8]) -> Result<Self, CaseError> {
        let all = SafeTensors::deserialize(bytes).map_err(|e| CaseError::Format {
            path: path.into(),
            problem: e.to_string(),
        })?;
        Ok(Self { path, all })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.all.tensor(name).is_ok()
    }

    fn bad(&self, name: &str, problem: impl Into<String>) -> CaseError {
        CaseError::Tensor {
            path: self.path.into(),
            name: name.into(),
            problem: problem.into(),
        }
    }

    /// Floats of any width; every value must be finite.
    pub(crate) fn floats(&self, name: &str) -> Result<Floats, CaseError> {
        let view = self
            .all
            .tensor(name)
            .map_err(|_| self.bad(name, "is missing"))?;
        let bytes = view.data();
        let data: Vec<f64> = match view.dtype() {
            Dtype::F32 => bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b).into())
                .collect(),
            Dtype::F64 => bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| f64::from_le_bytes(*b))
                .collect(),
            other => return Err(self.bad(name, format!("is {other:?}, not F32 or F64"))),
        };
        if let Some(x) = data.iter().find(|x| !x.is_finite()) {
            return Err(self.bad(
                name,
                format!("holds {x}, which nothing can be compared with"),
            ));
        }
        let single = view.dtype() == Dtype::F32;
        Ok(Floats {
            shape: view.shape().to_vec(),
            data,
            single,
        })
    }

    /// Floats that must have the given shape.
    pub(crate) fn shaped(&self, name: &str, shape: &[usize]) -> Result<Floats, CaseError> {
        let floats = self.floats(name)?;
        if floats.shape != shape {
            return Err(self.bad(name, format!("is {:?}, expected {shape:?}", floats.shape)));
        }
        Ok(floats)
    }

    /// Whole numbers in `0..limit`, of the given shape.
    pub(crate) fn classes(
        &self,
        name: &str,
        shape: &[usize],
        limit: usize,
    ) -> Result<Vec<u32>, CaseError> {
        let is_shape = |found: &[usize]| found == shape;
        let values = self.integers(name, is_shape, &format!("{shape:?}"))?;
        let class = |x: i32| match usize::try_from(x) {
            Ok(class) if class < limit => Ok(class as u32),
            _ => Err(self.bad(name, format!("holds {x}, allowed 0..{limit}"))),
        };
        values.into_iter().map(class).collect()
    }

    /// Classes as [`classes`](Self::classes) reads them, or −1 for none.
    pub(crate) fn optional_classes(
        &self,
        name: &str,
        shape: &[usize],
        limit: usize,
    ) -> Result<Vec<Option<u32>>, CaseError> {
        let is_shape = |found: &[usize]| found == shape;
        let values = self.integers(name, is_shape, &format!("{shape:?}"))?;
        let class = |x: i32| match usize::try_from(x) {
            Ok(class) if class < limit => Ok(Some(class as u32)),
            Err(_) if x == -1 => Ok(None),
            _ => Err(self.bad(name, format!("holds {x}, allowed -1..{limit}"))),
        };
        values.into_iter().map(class).collect()
    }

    /// Bytes that are 0 or 1, of the given shape.
    pub(crate) fn flags(&self, name: &str, shape: &[usize]) -> Result<Vec<bool>, CaseError> {
        let view = self.all.tensor(name);
        let view = view.map_err(|_| self.bad(name, "is missing"))?;
        if view.dtype() != Dtype::U8 || view.shape() != shape {
            let (dtype, found) = (view.dtype(), view.shape());
            return Err(self.bad(
                name,
                format!("is {dtype:?} {found:?}, expected U8 {shape:?}"),
            ));
        }
        let flag = |x: &u8| match x {
            0 => Ok(false),
            1 => Ok(true),
            x => Err(self.bad(name, format!("holds {x}, allowed 0 and 1"))),
        };
        view.data().iter().map(flag).collect()
    }

    /// Rows of `width` 32-bit integers; each column must lie in `0..limits[column]`.
    pub(crate) fn indices<const W: usize>(
        &self,
        name: &str,
        limits: [usize; W],
    ) -> Result<Vec<[usize; W]>, CaseError> {
        let is_rows = |shape: &[usize]| match shape {
            [_] => W == 1,
            [_, width] => *width == W,
            _ => false,
        };
        let values = self.integers(name, is_rows, &format!("[n, {W}]"))?;
        let mut rows = Vec::with_capacity(values.len() / W);
        for row in values.as_chunks::<W>().0 {
            let mut out = [0; W];
            for (column, &x) in row.iter().enumerate() {
                out[column] = usize::try_from(x)
                    .ok()
                    .filter(|&x| x < limits[column])
                    .ok_or_else(|| {
                        let limit = limits[column];
                        self.bad(
                            name,
                            format!("holds {x} in column {column}, allowed 0..{limit}"),
                        )
                    })?;
            }
            rows.push(out);
        }
        Ok(rows)
    }

    /// 32-bit integers of a shape that `is_right`, which messages call `expected`.
    fn integers(
        &self,
        name: &str,
        is_right: impl Fn(&[usize]) -> bool,
        expected: &str,
    ) -> Result<Vec<i32>, CaseError> {
        let view = self
            .all
            .tensor(name)
            .map_err(|_| self.bad(name, "is missing"))?;
        if view.dtype() != Dtype::I32 || !is_right(view.shape()) {
            let problem = format!(
                "is {:?} {:?}, expected I32 {expected}",
                view.dtype(),
                view.shape()
            );
            return Err(self.bad(name, problem));
        }
        let values = view.data().as_chunks().0.iter();
        Ok(values.map(|b| i32::from_le_bytes(*b)).collect())
    }
}
