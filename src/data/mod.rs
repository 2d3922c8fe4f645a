//! Samples and what is made of them: files and built-in sets → splits → event lists.

mod digits;
mod error;
mod events;
mod fetch;
mod file;
mod idx;
mod load;
mod mnist;
mod new_samples;
mod npy;
mod npz;
mod recorded;
mod samples;
mod split;
mod user;

pub use digits::digits;
pub use error::DataError;
pub use events::{
    Event, NoiseKey, TrialEvents, check_rate, encode_events, encode_image, encode_sample,
};
pub use fetch::{FetchOptions, MNIST_FILES, RemoteFile, fetch_files, fetch_mnist};
pub use idx::{IdxImages, load_images_idx, read_images, read_labels, write_images, write_labels};
pub use load::{LoadedData, load_dataset};
pub use mnist::{Mnist, load_mnist, user_mnist_folder};
pub use new_samples::{NewSamples, load_new_samples};
pub use npz::{ArrayValues, NamedArray, NamedMatrices, read_npz_f32, write_npz};
pub use recorded::{RecordedSpikes, load_recorded_npz};
pub(crate) use samples::hex;
pub use samples::{EventSet, ImageSet, Samples, SplitSamples};
pub use split::{STUDIES_SAMPLES, Split, stratified, studies_split};
pub use user::{load_events_npz, load_images_npz};
