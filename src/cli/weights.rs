//! `dalenet export` and `dalenet import`: weights in plain files.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use dalenet::data::{ArrayValues, NamedArray, read_npz_f32, write_npz};
use dalenet::device::DeviceOptions;
use dalenet::families::{self, Experiment};
use dalenet::files::write_atomic;
use dalenet::gpu::DeviceChoice;
use dalenet::train::checkpoint::{NonFinite, Tensor, Tensors, read_weights};
use dalenet::train::stored::WhichCheckpoint;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::SUCCESS;
use super::arguments::{Overrides, command_line};
use super::error::{Result, UsageError, While};
use super::output::{note, say};

/// Write the weights of a run to a plain file
///
/// Tensors w_in, w_ei, w_ie, w_out (w_ee, w_ii where they are), each [pre, post] in float32.
#[derive(clap::Args)]
pub struct ExportArgs {
    /// Run folder
    run: PathBuf,
    /// File to write: .safetensors or .npz
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Which checkpoint
    #[arg(long, value_enum, default_value = "last")]
    checkpoint: WhichCheckpoint,
}

/// Make a run folder that begins with the weights of a file
///
/// `dalenet resume` trains it, `dalenet eval` measures it.
#[derive(clap::Args)]
pub struct ImportArgs {
    /// File of weights: .safetensors or .npz with w_in, w_out, … (also named in, w.in)
    file: PathBuf,
    /// Configuration file or built-in name
    #[arg(long, value_name = "CONFIG")]
    config: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
    /// Run folder to make
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Overwrite a run that is in the folder
    #[arg(long)]
    force: bool,
    /// Folder of MNIST, or where the configured data file is
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
}

/// A format of plain weight files.
enum Format {
    Safetensors,
    Npz,
}

impl Format {
    fn of(path: &Path) -> Result<Self, UsageError> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("safetensors") => Ok(Self::Safetensors),
            Some("npz") => Ok(Self::Npz),
            _ => Err(UsageError(format!(
                "{}: weights are kept in .safetensors or .npz files; give it one of these endings",
                path.display()
            ))),
        }
    }
}

pub fn export(args: ExportArgs) -> Result<u8> {
    let format = Format::of(&args.to)?;
    let checkpoint = families::open(&args.run)?.checkpoint(args.checkpoint)?;
    let named = checkpoint.content.weights.iter();
    let tensors: BTreeMap<String, &Tensor> = named
        .map(|(name, tensor)| (format!("w_{name}"), tensor))
        .collect();
    match format {
        Format::Npz => {
            let arrays: Vec<NamedArray<'_>> = tensors
                .iter()
                .map(|(name, tensor)| NamedArray {
                    name,
                    shape: &tensor.shape,
                    values: ArrayValues::F32(&tensor.data),
                })
                .collect();
            write_npz(&args.to, &arrays)?;
        }
        Format::Safetensors => {
            let bytes: BTreeMap<&str, Vec<u8>> = tensors
                .iter()
                .map(|(name, tensor)| {
                    let values = tensor.data.iter();
                    (&name[..], values.flat_map(|w| w.to_le_bytes()).collect())
                })
                .collect();
            let mut views = BTreeMap::new();
            for (name, tensor) in &tensors {
                let view = TensorView::new(Dtype::F32, tensor.shape.clone(), &bytes[&name[..]])?;
                views.insert(name.as_str(), view);
            }
            let metadata = HashMap::from([("format".to_owned(), "dalenet weights".to_owned())]);
            write_atomic(&args.to, &safetensors::serialize(views, Some(metadata))?)?;
        }
    }
    let names: Vec<String> = tensors
        .iter()
        .map(|(name, tensor)| format!("{name} {:?}", tensor.shape))
        .collect();
    say(format!("{}: {}", args.to.display(), names.join(", ")));
    Ok(SUCCESS)
}

pub fn import(args: ImportArgs) -> Result<u8> {
    let config = args.overrides.load(&args.config)?;
    let device = DeviceOptions {
        device: DeviceChoice::Cpu,
        ..DeviceOptions::default()
    };
    let experiment = Experiment::prepare(config, args.data.as_deref(), device)?;
    let weights = read_weights_file(&experiment, &args.file)?;
    let notes = vec![format!("weights from {}", args.file.display())];
    experiment.create_only(&args.out, args.force, &weights, command_line(), notes)?;
    say(format!(
        "{0}: made; train it with `dalenet resume {0}`, measure it with `dalenet eval {0}`",
        args.out.display()
    ));
    Ok(SUCCESS)
}

/// The weights of a plain file or a checkpoint, which must fit the experiment's network.
pub fn read_weights_file(experiment: &Experiment, path: &Path) -> Result<Tensors> {
    let tensors = tensors_of_file(path)?;
    let notes = experiment.check_weights(&tensors);
    for line in notes.with_context(|| path.display().to_string())? {
        note(format!("note: {} {line}", path.display()));
    }
    Ok(tensors)
}

/// The tensors of a plain file or a checkpoint.
pub fn tensors_of_file(path: &Path) -> Result<Tensors> {
    Ok(match Format::of(path)? {
        // A damaged file of the user's is wrong data, unlike a damaged checkpoint of a run.
        Format::Safetensors => {
            read_weights(path, NonFinite::Refuse).map_err(|error| UsageError(error.to_string()))?
        }
        Format::Npz => {
            let arrays = read_npz_f32(path)?;
            let mut tensors = Tensors::new();
            for (name, (shape, data)) in arrays {
                if let Some(at) = data.iter().position(|w| !w.is_finite()) {
                    return Err(UsageError(format!(
                        "{}: array `{name}` holds {} at entry {at}; weights must be finite",
                        path.display(),
                        data[at]
                    ))
                    .into());
                }
                tensors.insert(name, Tensor { shape, data });
            }
            tensors
        }
    })
}
