//! MNIST, or any data set in its form: four IDX files in a folder.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use super::{DataError, ImageSet, load_images_idx};

/// The four files: stems, without the separator's two spellings and `.gz`.
const PARTS: [[&str; 2]; 2] = [
    ["train-images", "train-labels"],
    ["t10k-images", "t10k-labels"],
];
/// Where in a folder the files may lie; other programs make the last three.
const SUBFOLDERS: [&str; 4] = ["", "mnist", "raw", "MNIST/raw"];
/// SHA-256 of the pixels and of the labels of the original MNIST, 70,000 samples in the order below.
const ORIGINAL: &str = "483011003348afe22718c105b18a91eb2e9fc8cd361b5b4f5fea380a39d7d336";

/// MNIST as found on this machine.
#[derive(Clone, Debug)]
pub struct Mnist {
    /// The training file's samples followed by the test file's (60,000 + 10,000 in the original).
    pub images: ImageSet,
    /// How many of the samples come from the training file.
    pub training_file_samples: usize,
    /// The folder that holds the files.
    pub folder: PathBuf,
    /// Whether the content is that of the original MNIST.
    pub verified: bool,
    /// What to tell the user when it is not.
    pub warning: Option<String>,
}

/// Loads MNIST from `folder`, else from the folder named by `DALENET_DATA`, else from
/// [`user_mnist_folder`].
///
/// Only the first of these that is named is looked at (with its subfolders `mnist`, `raw` and
/// `MNIST/raw`): a mistyped folder is an error and never falls back to other data.
///
/// # Errors
/// The files are not found, or one of them is malformed.
pub fn load_mnist(folder: Option<&Path>) -> Result<Mnist, DataError> {
    let named = folder.map(Path::to_path_buf).or_else(env_folder);
    match named.or_else(user_mnist_folder) {
        Some(root) => load_from(&root),
        None => Err(DataError::MnistNotFound {
            looked_in: Vec::new(),
        }),
    }
}

/// The folder MNIST is fetched into: `mnist` in the folder named by `DALENET_DATA`, else
/// `dalenet/mnist` in the user's data folder (`XDG_DATA_HOME`, by default `~/.local/share`).
/// `None` where the system names no home folder.
pub fn user_mnist_folder() -> Option<PathBuf> {
    env_folder().map(|root| root.join("mnist")).or_else(|| {
        let strategy = etcetera::choose_base_strategy().ok()?;
        Some(strategy.data_dir().join("dalenet").join("mnist"))
    })
}

fn env_folder() -> Option<PathBuf> {
    std::env::var_os("DALENET_DATA")
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

fn load_from(root: &Path) -> Result<Mnist, DataError> {
    let looked_in = SUBFOLDERS.map(|sub| {
        if sub.is_empty() {
            root.to_path_buf()
        } else {
            root.join(sub)
        }
    });
    for folder in &looked_in {
        let found = PARTS.map(|part| part.map(|stem| find_file(folder, stem)));
        if let [
            [Some(images), Some(labels)],
            [Some(test_images), Some(test_labels)],
        ] = found
        {
            let train = load_images_idx(&images, &labels)?;
            let test = load_images_idx(&test_images, &test_labels)?;
            return join(folder, train, test);
        }
        if let Some(at) = found.as_flattened().iter().position(Option::is_none)
            && found.as_flattened().iter().any(Option::is_some)
        {
            let missing = PARTS.as_flattened()[at];
            let problem = format!("{missing} is missing beside the other MNIST files");
            return Err(DataError::malformed(folder, problem));
        }
    }
    Err(DataError::MnistNotFound {
        looked_in: looked_in.into(),
    })
}

/// Finds e.g. `train-images-idx3-ubyte.gz` or `train-images.idx3-ubyte` for `train-images`.
fn find_file(folder: &Path, stem: &str) -> Option<PathBuf> {
    let rank = if stem.ends_with("images") { 3 } else { 1 };
    let spellings = ["", ".gz"]
        .into_iter()
        .flat_map(|end| ["-", "."].map(|dot| (dot, end)));
    spellings
        .map(|(dot, end)| folder.join(format!("{stem}{dot}idx{rank}-ubyte{end}")))
        .find(|path| path.is_file())
}

fn join(folder: &Path, train: ImageSet, test: ImageSet) -> Result<Mnist, DataError> {
    if (train.height, train.width) != (test.height, test.width) {
        let [a, b] = [&train, &test].map(|set| format!("{} x {}", set.height, set.width));
        let problem = format!("training images are {a} but test images {b}");
        return Err(DataError::malformed(folder, problem));
    }
    let training_file_samples = train.len();
    let mut images = train;
    images.name = "mnist".into();
    images.classes = images.classes.max(test.classes);
    images.pixels.extend(test.pixels);
    images.labels.extend(test.labels);

    let verified = images.sha256() == ORIGINAL;
    let warning = (!verified).then(|| {
        format!(
            "{}: these are not the original MNIST files; results will differ",
            folder.display()
        )
    });
    Ok(Mnist {
        images,
        training_file_samples,
        folder: folder.into(),
        verified,
        warning,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{IdxImages, write_images, write_labels};
    use std::fs;
    use tempfile::tempdir;

    fn write_set(folder: &Path, names: [&str; 4], width: usize) {
        fs::create_dir_all(folder).unwrap();
        for (pair, count, width) in [(&names[..2], 3, 2), (&names[2..], 2, width)] {
            let pixels = vec![count as u8; count * 2 * width];
            write_images(
                &folder.join(pair[0]),
                &IdxImages {
                    count,
                    height: 2,
                    width,
                    pixels,
                },
            )
            .unwrap();
            write_labels(&folder.join(pair[1]), &vec![count as u8; count]).unwrap();
        }
    }

    const NAMES: [&str; 4] = [
        "train-images-idx3-ubyte",
        "train-labels.idx1-ubyte.gz",
        "t10k-images.idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ];

    #[test]
    fn files_are_found_under_every_usual_name_and_folder() {
        for sub in SUBFOLDERS {
            let dir = tempdir().unwrap();
            write_set(&dir.path().join(sub), NAMES, 2);
            let mnist = load_mnist(Some(dir.path())).unwrap();
            assert_eq!(mnist.images.labels, [3, 3, 3, 2, 2]);
            assert_eq!((mnist.training_file_samples, mnist.images.classes), (3, 4));
            assert!(!mnist.verified && mnist.warning.is_some());
        }
    }

    #[test]
    fn what_is_missing_or_does_not_fit_is_named() {
        let dir = tempdir().unwrap();
        let message = load_mnist(Some(dir.path())).unwrap_err().to_string();
        for part in [
            "MNIST/raw",
            "dalenet data fetch mnist",
            "data.dataset=digits --set data.subset=stratified",
        ] {
            assert!(message.contains(part), "{message}");
        }
        write_set(dir.path(), NAMES, 5);
        assert!(
            load_mnist(Some(dir.path()))
                .unwrap_err()
                .to_string()
                .contains("2 x 5")
        );
        fs::remove_file(dir.path().join(NAMES[1])).unwrap();
        let message = load_mnist(Some(dir.path())).unwrap_err().to_string();
        assert!(message.contains("train-labels is missing"), "{message}");
    }
}
