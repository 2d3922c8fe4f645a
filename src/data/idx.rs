//! The IDX format of MNIST: big-endian counts followed by bytes, plain or gzip-compressed.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::file::read_promised;
use super::{DataError, ImageSet};
use crate::files::write_atomic_with;
use crate::text;

const IMAGES_MAGIC: u32 = 0x0000_0803;
const LABELS_MAGIC: u32 = 0x0000_0801;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The content of an IDX image file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdxImages {
    /// Number of images.
    pub count: usize,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Row-major `[count, height, width]`, 0..=255.
    pub pixels: Vec<u8>,
}

/// Reads an IDX image file (magic 0x00000803), plain or gzip, of any image size.
///
/// # Errors
/// The file cannot be read, is not of this format, or holds less or more than its header promises.
pub fn read_images(path: &Path) -> Result<IdxImages, DataError> {
    let ([count, height, width], pixels) = read_idx(path, IMAGES_MAGIC)?;
    Ok(IdxImages {
        count,
        height,
        width,
        pixels,
    })
}

/// Reads an IDX label file (magic 0x00000801), plain or gzip.
///
/// # Errors
/// As for [`read_images`].
pub fn read_labels(path: &Path) -> Result<Vec<u8>, DataError> {
    let ([_], labels) = read_idx(path, LABELS_MAGIC)?;
    Ok(labels)
}

/// Reads the user's own images and labels from a pair of IDX files.
///
/// The set is named after the image file; it has as many classes as the largest label asks for.
///
/// # Errors
/// As for [`read_images`]; also when the two files have different counts, or no samples.
pub fn load_images_idx(images_path: &Path, labels_path: &Path) -> Result<ImageSet, DataError> {
    let images = read_images(images_path)?;
    let labels = read_labels(labels_path)?;
    if labels.len() != images.count {
        let problem = format!(
            "{}, but {} holds {}",
            text::count(labels.len(), "label", "labels"),
            images_path.display(),
            text::count(images.count, "image", "images")
        );
        return Err(DataError::malformed(labels_path, problem));
    }
    if images.pixels.is_empty() {
        return Err(DataError::malformed(images_path, "holds no pixels"));
    }
    let name = images_path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy();
    Ok(ImageSet {
        name: name.into_owned(),
        height: images.height,
        width: images.width,
        classes: labels
            .iter()
            .max()
            .map_or(0, |&label| usize::from(label) + 1),
        pixels: images.pixels,
        labels: labels.into_iter().map(u16::from).collect(),
    })
}

/// Writes images as an uncompressed IDX file.
///
/// # Errors
/// The pixel count is not count · height · width, a size exceeds 32 bits, or writing fails.
pub fn write_images(path: &Path, images: &IdxImages) -> Result<(), DataError> {
    write_idx(
        path,
        IMAGES_MAGIC,
        &[images.count, images.height, images.width],
        &images.pixels,
    )
}

/// Writes labels as an uncompressed IDX file.
///
/// # Errors
/// There are more than 32 bits can count, or writing fails.
pub fn write_labels(path: &Path, labels: &[u8]) -> Result<(), DataError> {
    write_idx(path, LABELS_MAGIC, &[labels.len()], labels)
}

fn read_idx<const N: usize>(path: &Path, magic: u32) -> Result<([usize; N], Vec<u8>), DataError> {
    let malformed = |problem: String| DataError::malformed(path, problem);
    let mut file = BufReader::new(File::open(path).map_err(DataError::io(path, "open"))?);
    let start = file.fill_buf().map_err(DataError::io(path, "read"))?;
    let mut reader: Box<dyn Read> = if start.starts_with(&GZIP_MAGIC) {
        Box::new(MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };

    let found = read_u32(&mut reader).map_err(malformed)?;
    if found != magic {
        return Err(malformed(format!(
            "not an IDX file of the kind expected: it begins with {found:#010x} instead of {magic:#010x}"
        )));
    }
    let mut shape = [0; N];
    let mut promised = 1u64;
    for size in &mut shape {
        let value = read_u32(&mut reader).map_err(malformed)?;
        promised = promised.saturating_mul(u64::from(value));
        *size =
            usize::try_from(value).map_err(|_| malformed(format!("size {value} is too large")))?;
    }
    let bytes = read_promised(&mut reader, promised).map_err(malformed)?;
    Ok((shape, bytes))
}

fn read_u32(reader: &mut impl Read) -> Result<u32, String> {
    let mut bytes = [0; 4];
    reader
        .read_exact(&mut bytes)
        .map_err(|error| format!("its IDX header is broken: {error}"))?;
    Ok(u32::from_be_bytes(bytes))
}

fn write_idx(path: &Path, magic: u32, shape: &[usize], bytes: &[u8]) -> Result<(), DataError> {
    let sizes: Option<Vec<u32>> = shape.iter().map(|&size| u32::try_from(size).ok()).collect();
    let promised = shape
        .iter()
        .try_fold(1usize, |all, &size| all.checked_mul(size));
    let (Some(sizes), Some(true)) = (sizes, promised.map(|n| n == bytes.len())) else {
        let problem = format!(
            "{} cannot be written with the shape {shape:?}",
            text::count(bytes.len(), "value", "values")
        );
        return Err(DataError::malformed(path, problem));
    };
    Ok(write_atomic_with(path, |out| {
        out.write_all(&magic.to_be_bytes())?;
        sizes
            .iter()
            .try_for_each(|size| out.write_all(&size.to_be_bytes()))?;
        out.write_all(bytes)
    })?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::fs;
    use tempfile::tempdir;

    fn sample() -> IdxImages {
        let pixels = (0..3 * 2 * 5).map(|i| (i * 7) as u8).collect();
        IdxImages {
            count: 3,
            height: 2,
            width: 5,
            pixels,
        }
    }

    fn idx(magic: u32, shape: &[u32], data: &[u8]) -> Vec<u8> {
        let mut bytes = magic.to_be_bytes().to_vec();
        shape
            .iter()
            .for_each(|size| bytes.extend(size.to_be_bytes()));
        bytes.extend(data);
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn written_files_read_back_plain_and_gzip_whatever_their_name() {
        let dir = tempdir().unwrap();
        let (images, labels) = (dir.path().join("a.gz"), dir.path().join("b"));
        write_images(&images, &sample()).unwrap();
        write_labels(&labels, &[0, 2, 1]).unwrap();
        assert_eq!(read_images(&images).unwrap(), sample());
        fs::write(&labels, gzip(&fs::read(&labels).unwrap())).unwrap();
        let set = load_images_idx(&images, &labels).unwrap();
        assert_eq!(
            (set.classes, set.labels, set.pixels),
            (3, vec![0, 2, 1], sample().pixels)
        );
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            2,
            "no temporary file stays"
        );
    }

    #[test]
    fn each_kind_of_damage_is_named() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("damaged-idx");
        let good = idx(IMAGES_MAGIC, &[1, 2, 2], &[1, 2, 3, 4]);
        let zeros = gzip(&idx(IMAGES_MAGIC, &[1, 2, 2], &vec![0; 1 << 20]));
        let mut bad_checksum = gzip(&good);
        let end = bad_checksum.len();
        bad_checksum[end - 6] ^= 1;
        let cases: [(&str, Vec<u8>); 9] = [
            ("header is broken", vec![]),
            ("header is broken", good[..14].to_vec()),
            ("0x00000801", idx(LABELS_MAGIC, &[4], &[1, 2, 3, 4])),
            ("cut short: 3 bytes", good[..19].to_vec()),
            ("more data", [&good[..], &[9]].concat()),
            ("more data", zeros),
            ("at most", idx(IMAGES_MAGIC, &[u32::MAX; 3], &[])),
            ("broken after", bad_checksum),
            ("broken", gzip(&good)[..22].to_vec()),
        ];
        for (expected, bytes) in cases {
            fs::write(&path, bytes).unwrap();
            let message = read_images(&path).unwrap_err().to_string();
            assert!(
                message.contains(expected) && message.contains("damaged-idx"),
                "{message}"
            );
        }
        fs::write(&path, good).unwrap();
        assert!(read_images(&path).is_ok());
    }

    #[test]
    fn a_pair_must_match_and_hold_something() {
        let dir = tempdir().unwrap();
        let (images, labels) = (dir.path().join("images"), dir.path().join("labels"));
        write_images(&images, &sample()).unwrap();
        write_labels(&labels, &[0, 1]).unwrap();
        let message = load_images_idx(&images, &labels).unwrap_err().to_string();
        assert!(
            message.contains("2 labels") && message.contains("3 images"),
            "{message}"
        );
        write_images(
            &images,
            &IdxImages {
                count: 0,
                height: 2,
                width: 2,
                pixels: vec![],
            },
        )
        .unwrap();
        write_labels(&labels, &[]).unwrap();
        assert!(load_images_idx(&images, &labels).is_err());
        assert!(
            write_images(
                &images,
                &IdxImages {
                    count: 4,
                    ..sample()
                }
            )
            .is_err()
        );
    }
}
