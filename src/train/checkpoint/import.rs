//! Tensors out of safetensors files, our own or from elsewhere.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::{Checkpoint, CheckpointError, METADATA_KEY, NonFinite, Tensor, bad_tensor};
use crate::files::FileError;

/// Reads the weights of any safetensors file, for import: every float32 or float64 tensor by its
/// name, float64 rounded to float32. Of a dalenet checkpoint, only the weights are taken, under
/// their own names (`w.in` as `in`). Tensors of other types are no weights and are left out.
///
/// # Errors
/// [`CheckpointError`] where the file is unreadable, holds no such tensor, holds a value too large
/// for float32, or holds non-finite values that are not allowed.
pub fn read_weights(
    path: &Path,
    non_finite: NonFinite,
) -> Result<BTreeMap<String, Tensor>, CheckpointError> {
    let bytes = fs::read(path).map_err(FileError::io("read", path))?;
    let container = |source| CheckpointError::Container {
        path: path.into(),
        source,
    };
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(container)?;
    let is_checkpoint = metadata
        .metadata()
        .as_ref()
        .is_some_and(|entries| entries.contains_key(METADATA_KEY));
    if is_checkpoint {
        // Through the front door, so that its checksum counts.
        return Ok(Checkpoint::load(path, non_finite)?.weights);
    }
    let archive = SafeTensors::deserialize(&bytes).map_err(container)?;
    let mut weights = BTreeMap::new();
    let mut others = BTreeMap::new();
    for (name, view) in archive.iter() {
        if matches!(view.dtype(), Dtype::F32 | Dtype::F64) {
            weights.insert(name.to_owned(), read_tensor(path, name, &view, non_finite)?);
        } else {
            others.insert(name.to_owned(), view.dtype());
        }
    }
    if weights.is_empty() {
        let found: Vec<_> = others
            .iter()
            .map(|(name, dtype)| format!("{name}: {dtype}"))
            .collect();
        let found = if found.is_empty() {
            "nothing".to_owned()
        } else {
            found.join(", ")
        };
        return Err(CheckpointError::NoWeights {
            path: path.into(),
            found,
        });
    }
    Ok(weights)
}

/// Copies an F32 or F64 tensor out of a file, as float32.
pub(super) fn read_tensor(
    path: &Path,
    name: &str,
    view: &TensorView<'_>,
    non_finite: NonFinite,
) -> Result<Tensor, CheckpointError> {
    let data: Vec<f32> = if view.dtype() == Dtype::F64 {
        let (values, _) = view.data().as_chunks::<8>();
        let values = values.iter().map(|bytes| f64::from_le_bytes(*bytes));
        if let Some(large) = values
            .clone()
            .find(|value| value.is_finite() && !(*value as f32).is_finite())
        {
            return Err(bad_tensor(
                path,
                name,
                format!("holds {large:e}, too large for float32"),
            ));
        }
        values.map(|value| value as f32).collect()
    } else {
        let (values, _) = view.data().as_chunks::<4>();
        values
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect()
    };
    if non_finite == NonFinite::Refuse
        && let Some(index) = data.iter().position(|value| !value.is_finite())
    {
        return Err(CheckpointError::NonFinite {
            path: path.into(),
            name: name.to_owned(),
            count: data.iter().filter(|value| !value.is_finite()).count(),
            index,
            value: data[index].into(),
        });
    }
    Ok(Tensor {
        shape: view.shape().to_vec(),
        data,
    })
}
