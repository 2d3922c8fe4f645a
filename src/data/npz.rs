//! Named arrays in NumPy's `.npz` format, a zip archive of `.npy` arrays.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::DataError;
use super::npy::{NpyArray, write_header};
use crate::files::write_atomic_with;
use crate::text;

/// Shape and row-major values of each named array.
pub type NamedMatrices = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// An array to be written.
#[derive(Clone, Copy, Debug)]
pub struct NamedArray<'a> {
    /// The name it is read by, e.g. `numpy.load(path)[name]`.
    pub name: &'a str,
    /// Its axes; their product is the number of values.
    pub shape: &'a [usize],
    /// Its values in C order.
    pub values: ArrayValues<'a>,
}

/// Values of an array to be written.
#[derive(Clone, Copy, Debug)]
pub enum ArrayValues<'a> {
    /// 32-bit floats.
    F32(&'a [f32]),
    /// 64-bit floats.
    F64(&'a [f64]),
    /// 32-bit signed integers.
    I32(&'a [i32]),
    /// Bytes.
    U8(&'a [u8]),
    /// 64-bit signed integers.
    I64(&'a [i64]),
}

impl ArrayValues<'_> {
    fn len(&self) -> usize {
        match self {
            ArrayValues::F32(values) => values.len(),
            ArrayValues::F64(values) => values.len(),
            ArrayValues::I32(values) => values.len(),
            ArrayValues::U8(values) => values.len(),
            ArrayValues::I64(values) => values.len(),
        }
    }

    fn descr(&self) -> &'static str {
        match self {
            ArrayValues::F32(_) => "<f4",
            ArrayValues::F64(_) => "<f8",
            ArrayValues::I32(_) => "<i4",
            ArrayValues::U8(_) => "|u1",
            ArrayValues::I64(_) => "<i8",
        }
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            ArrayValues::F32(values) => values
                .iter()
                .try_for_each(|v| out.write_all(&v.to_le_bytes())),
            ArrayValues::F64(values) => values
                .iter()
                .try_for_each(|v| out.write_all(&v.to_le_bytes())),
            ArrayValues::I32(values) => values
                .iter()
                .try_for_each(|v| out.write_all(&v.to_le_bytes())),
            ArrayValues::U8(values) => out.write_all(values),
            ArrayValues::I64(values) => values
                .iter()
                .try_for_each(|v| out.write_all(&v.to_le_bytes())),
        }
    }
}

/// Writes the arrays uncompressed, like `numpy.savez`. Equal arrays give equal bytes.
///
/// # Errors
/// A shape does not fit its values, two names are the same, or writing fails.
pub fn write_npz(path: &Path, arrays: &[NamedArray<'_>]) -> Result<(), DataError> {
    for array in arrays {
        let count = array
            .shape
            .iter()
            .try_fold(1usize, |all, &axis| all.checked_mul(axis));
        if count != Some(array.values.len()) {
            let problem = format!(
                "{}, which do not fit the shape {:?}",
                text::count(array.values.len(), "value", "values"),
                array.shape
            );
            return Err(DataError::array(path, array.name, problem));
        }
    }
    Ok(write_atomic_with(path, |out| {
        let mut zip = ZipWriter::new(out);
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        for array in arrays {
            // Eight bytes is the largest element: beyond 4 GiB the zip format needs its long form.
            let is_large = array.values.len() as u64 >= u64::from(u32::MAX) / 8;
            zip.start_file(format!("{}.npy", array.name), options.large_file(is_large))?;
            let mut buffered = io::BufWriter::new(&mut zip);
            write_header(&mut buffered, array.values.descr(), array.shape)?;
            array.values.write(&mut buffered)?;
            buffered.flush()?;
        }
        zip.finish()?;
        Ok(())
    })?)
}

/// Reads every array of an `.npz` file as 32-bit floats, e.g. to import weights.
///
/// # Errors
/// The file is malformed, or a value is beyond the range of a 32-bit float.
pub fn read_npz_f32(path: &Path) -> Result<NamedMatrices, DataError> {
    let mut npz = Npz::open(path)?;
    let mut matrices = BTreeMap::new();
    for name in npz.names() {
        let array = npz.array(&name)?;
        let mut values = Vec::with_capacity(array.len());
        for value in array.floats() {
            if value.is_finite() && !(value as f32).is_finite() {
                return Err(DataError::array(
                    path,
                    &name,
                    format!("{value:e} is too large for float32"),
                ));
            }
            values.push(value as f32);
        }
        matrices.insert(name, (array.shape, values));
    }
    Ok(matrices)
}

/// An open `.npz` file.
pub(crate) struct Npz {
    path: PathBuf,
    archive: ZipArchive<BufReader<File>>,
}

impl Npz {
    pub(crate) fn open(path: &Path) -> Result<Npz, DataError> {
        let file = File::open(path).map_err(DataError::io(path, "open"))?;
        if path.is_dir() {
            return Err(DataError::malformed(path, "is a folder; name an .npz file"));
        }
        let archive = ZipArchive::new(BufReader::new(file)).map_err(|error| {
            DataError::malformed(path, format!("not a readable .npz file: {error}"))
        })?;
        Ok(Npz {
            path: path.to_path_buf(),
            archive,
        })
    }

    /// The names of the arrays, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let files = self.archive.file_names().flatten();
        let mut names: Vec<String> = files
            .filter_map(|name| Some(name.strip_suffix(".npy")?.into()))
            .collect();
        names.sort();
        names
    }

    /// Reads an array that must be there.
    pub(crate) fn array(&mut self, name: &str) -> Result<NpyArray, DataError> {
        let array = self.optional(name)?;
        array.ok_or_else(|| {
            let problem = format!("is missing; the file holds: {}", self.names().join(", "));
            DataError::array(&self.path, name, problem)
        })
    }

    /// Reads lists of one entry a spike, all as long as the first.
    pub(crate) fn lists<const N: usize>(
        &mut self,
        names: [&str; N],
    ) -> Result<[NpyArray; N], DataError> {
        let mut lists: Vec<NpyArray> = Vec::with_capacity(N);
        for name in names {
            let list = self.array(name)?;
            let count = lists.first().map_or(list.len(), NpyArray::len);
            if list.shape != [count] {
                let problem = format!(
                    "its shape is {:?}; expected [{count}], one entry a spike as in `{}`",
                    list.shape, names[0]
                );
                return Err(DataError::array(&self.path, name, problem));
            }
            lists.push(list);
        }
        // As many as names.
        lists
            .try_into()
            .map_err(|_| DataError::malformed(&self.path, "lists of spikes are missing"))
    }

    /// Reads an array that may be there.
    pub(crate) fn optional(&mut self, name: &str) -> Result<Option<NpyArray>, DataError> {
        let mut entry = match self.archive.by_name(&format!("{name}.npy")) {
            Ok(entry) => entry,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) => {
                return Err(DataError::array(
                    &self.path,
                    name,
                    format!("cannot be read: {error}"),
                ));
            }
        };
        let array = NpyArray::read(&mut entry);
        array
            .map(Some)
            .map_err(|problem| DataError::array(&self.path, name, problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::tempdir;

    #[test]
    fn written_arrays_read_back() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a.npz");
        let arrays = [
            NamedArray {
                name: "w_in",
                shape: &[2, 3],
                values: ArrayValues::F32(&[1.5, -2.0, 0.0, 3e-9, 4.0, 5.0]),
            },
            NamedArray {
                name: "n",
                shape: &[],
                values: ArrayValues::I64(&[-7]),
            },
            NamedArray {
                name: "i/deep",
                shape: &[1, 2],
                values: ArrayValues::I32(&[i32::MIN, 9]),
            },
            NamedArray {
                name: "empty",
                shape: &[0, 4],
                values: ArrayValues::U8(&[]),
            },
        ];
        write_npz(&path, &arrays).unwrap();
        let read = read_npz_f32(&path).unwrap();
        assert_eq!(
            read["w_in"],
            (vec![2, 3], vec![1.5, -2.0, 0.0, 3e-9, 4.0, 5.0])
        );
        assert_eq!(read["n"], (vec![], vec![-7.0]));
        assert_eq!(read["i/deep"], (vec![1, 2], vec![i32::MIN as f32, 9.0]));
        assert_eq!(read["empty"], (vec![0, 4], vec![]));
        assert_eq!(read.len(), 4);
        let first = fs::read(&path).unwrap();
        write_npz(&path, &arrays).unwrap();
        assert_eq!(
            fs::read(&path).unwrap(),
            first,
            "equal arrays must give equal bytes"
        );
    }

    #[test]
    fn shapes_and_names_must_fit() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a.npz");
        let array = NamedArray {
            name: "w",
            shape: &[2, 2],
            values: ArrayValues::U8(&[1, 2, 3]),
        };
        let message = write_npz(&path, &[array]).unwrap_err().to_string();
        assert!(
            message.contains("a.npz") && message.contains("`w`") && message.contains("[2, 2]"),
            "{message}"
        );
        let array = NamedArray {
            shape: &[3],
            ..array
        };
        assert!(write_npz(&path, &[array, array]).is_err());
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            0,
            "nothing stays after a failure"
        );
    }

    #[test]
    fn a_damaged_file_and_a_missing_array_are_named() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a.npz");
        write_npz(
            &path,
            &[NamedArray {
                name: "w",
                shape: &[3],
                values: ArrayValues::U8(&[1, 2, 3]),
            }],
        )
        .unwrap();
        let message = Npz::open(&path)
            .unwrap()
            .array("v")
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("array `v`: is missing") && message.contains("holds: w"),
            "{message}"
        );
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes
            .windows(3)
            .position(|window| window == [1, 2, 3])
            .unwrap();
        bytes[at] = 9;
        fs::write(&path, bytes).unwrap();
        let message = read_npz_f32(&path).unwrap_err().to_string();
        assert!(
            message.contains("array `w`"),
            "a wrong checksum must be noticed: {message}"
        );
    }
}
