//! One array in NumPy's `.npy` format, of any numeric type, byte order and axis order. Read here and not by the
//! `npyz` crate, whose parser of the header takes exponential time on nested brackets: a file of 200 bytes hangs it.

use std::io::{self, Read, Write};

use super::file::read_promised;

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Far above what a plain numeric array needs; a header's length field alone allows 4 GiB.
const MAX_HEADER_BYTES: u64 = 1 << 16;

/// A numeric array in C order.
#[derive(Debug, PartialEq)]
pub(crate) struct NpyArray {
    pub(crate) shape: Vec<usize>,
    kind: NumberKind,
    /// Bytes of an element: 1, 2, 4 or 8.
    size: usize,
    /// Elements in C order, little-endian.
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum NumberKind {
    Unsigned,
    Signed,
    Float,
}

impl NpyArray {
    /// Reads an array to the end of the stream; the error says what is wrong.
    pub(crate) fn read(reader: &mut impl Read) -> Result<NpyArray, String> {
        let mut start = [0; 8];
        read_exact(reader, &mut start)?;
        if start[..6] != *MAGIC {
            return Err("not in NumPy's .npy format (its first bytes differ)".into());
        }
        let mut length = [0; 4];
        match start[6] {
            1 => read_exact(reader, &mut length[..2])?,
            2 | 3 => read_exact(reader, &mut length)?,
            version => {
                return Err(format!(
                    ".npy version {version} is unknown; versions 1 to 3 are"
                ));
            }
        }
        let length = u64::from(u32::from_le_bytes(length));
        if length > MAX_HEADER_BYTES {
            return Err(format!("its header of {length} bytes is too long"));
        }
        let mut header = vec![0; length as usize];
        read_exact(reader, &mut header)?;
        let header = String::from_utf8_lossy(&header);
        let (kind, size, is_big_endian) = element_type(&header)?;
        let is_fortran = is_fortran(&header)?;
        let shape = shape(&header)?;

        let promised = shape
            .iter()
            .try_fold(size as u64, |all, &axis| all.checked_mul(axis as u64));
        let promised = promised.ok_or_else(|| format!("its shape {shape:?} is too large"))?;
        let mut bytes = read_promised(reader, promised)?;
        if is_big_endian {
            bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
        }
        if is_fortran && shape.len() > 1 {
            bytes = to_c_order(&bytes, &shape, size);
        }
        Ok(NpyArray {
            shape,
            kind,
            size,
            bytes,
        })
    }

    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() / self.size
    }

    /// The elements, if their type is an unsigned byte.
    pub(crate) fn as_bytes(&self) -> Option<&[u8]> {
        (self.kind == NumberKind::Unsigned && self.size == 1).then_some(&self.bytes[..])
    }

    pub(crate) fn is_float(&self) -> bool {
        self.kind == NumberKind::Float
    }

    /// The elements as floats; 64-bit integers are rounded.
    pub(crate) fn floats(&self) -> impl Iterator<Item = f64> + '_ {
        self.raw().map(|raw| match (self.kind, self.size) {
            (NumberKind::Unsigned, _) => raw as f64,
            (NumberKind::Signed, _) => self.sign_extend(raw) as f64,
            (NumberKind::Float, 4) => f64::from(f32::from_bits(raw as u32)),
            (NumberKind::Float, _) => f64::from_bits(raw),
        })
    }

    /// The elements as whole numbers; `None` for what is not one, or exceeds 64 bits (2^53 for
    /// floats).
    pub(crate) fn integers(&self) -> impl Iterator<Item = Option<i64>> + '_ {
        self.raw()
            .zip(self.floats())
            .map(|(raw, float)| match self.kind {
                NumberKind::Unsigned => i64::try_from(raw).ok(),
                NumberKind::Signed => Some(self.sign_extend(raw)),
                NumberKind::Float => {
                    let is_whole = float.fract() == 0.0 && float.abs() <= (1u64 << 53) as f64;
                    is_whole.then_some(float as i64)
                }
            })
    }

    fn raw(&self) -> impl Iterator<Item = u64> + '_ {
        self.bytes.chunks_exact(self.size).map(|element| {
            let mut bytes = [0; 8];
            bytes[..element.len()].copy_from_slice(element);
            u64::from_le_bytes(bytes)
        })
    }

    fn sign_extend(&self, raw: u64) -> i64 {
        let unused_bits = 64 - 8 * self.size as u32;
        ((raw << unused_bits) as i64) >> unused_bits
    }
}

/// Writes the preamble of a little-endian array in C order; its elements must follow.
pub(crate) fn write_header(out: &mut impl Write, descr: &str, shape: &[usize]) -> io::Result<()> {
    let axes: String = shape.iter().map(|axis| format!("{axis},")).collect();
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({axes}), }}");
    // NumPy aligns the elements to 64 bytes; ten bytes stand before the header, a newline ends it.
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let length = u16::try_from(header.len()).map_err(|_| io::Error::other("too many axes"))?;
    out.write_all(MAGIC)?;
    out.write_all(&[1, 0])?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(header.as_bytes())
}

fn read_exact(reader: &mut impl Read, bytes: &mut [u8]) -> Result<(), String> {
    reader
        .read_exact(bytes)
        .map_err(|error| format!("its .npy header is broken: {error}"))
}

/// What follows `'key':` in the header, which is a Python dictionary.
fn field<'a>(header: &'a str, key: &str) -> Result<&'a str, String> {
    let missing = || format!("its .npy header has no `{key}`");
    let after = header.split_once(key).ok_or_else(missing)?.1;
    let value = after
        .trim_start_matches(['\'', '"'])
        .trim_start()
        .strip_prefix(':');
    Ok(value.ok_or_else(missing)?.trim_start())
}

/// Kind, size and whether big-endian, from e.g. `'<f4'`.
fn element_type(header: &str) -> Result<(NumberKind, usize, bool), String> {
    let value = field(header, "descr")?;
    let descr = value
        .strip_prefix(['\'', '"'])
        .and_then(|rest| rest.split(['\'', '"']).next());
    let descr = descr.unwrap_or("of several fields");
    let unsupported = || {
        format!(
            "its element type {descr} is not supported; use bool, int8 to uint64, float32 or float64"
        )
    };
    let (order, name) = descr.split_at_checked(1).ok_or_else(unsupported)?;
    let (kind, size) = match name {
        "b1" | "u1" => (NumberKind::Unsigned, 1),
        "u2" => (NumberKind::Unsigned, 2),
        "u4" => (NumberKind::Unsigned, 4),
        "u8" => (NumberKind::Unsigned, 8),
        "i1" => (NumberKind::Signed, 1),
        "i2" => (NumberKind::Signed, 2),
        "i4" => (NumberKind::Signed, 4),
        "i8" => (NumberKind::Signed, 8),
        "f4" => (NumberKind::Float, 4),
        "f8" => (NumberKind::Float, 8),
        _ => return Err(unsupported()),
    };
    match order {
        "<" | "|" => Ok((kind, size, false)),
        ">" => Ok((kind, size, true)),
        _ => Err(unsupported()),
    }
}

fn is_fortran(header: &str) -> Result<bool, String> {
    let value = field(header, "fortran_order")?;
    match (value.starts_with("True"), value.starts_with("False")) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err("`fortran_order` in its .npy header is neither True nor False".into()),
    }
}

fn shape(header: &str) -> Result<Vec<usize>, String> {
    let value = field(header, "shape")?;
    let axes = value
        .strip_prefix('(')
        .and_then(|rest| rest.split_once(')'));
    let axes = axes.ok_or("`shape` in its .npy header is not a tuple")?.0;
    axes.split(',')
        .map(str::trim)
        .filter(|axis| !axis.is_empty())
        .map(|axis| {
            axis.parse()
                .map_err(|_| format!("`shape` in its .npy header has the axis {axis}"))
        })
        .collect()
}

/// Reorders elements whose first axis runs fastest so that the last one does.
fn to_c_order(bytes: &[u8], shape: &[usize], size: usize) -> Vec<u8> {
    let mut ordered = Vec::with_capacity(bytes.len());
    let mut index = vec![0; shape.len()];
    while ordered.len() < bytes.len() {
        let place = index
            .iter()
            .zip(shape)
            .rfold(0, |place, (&at, &axis)| place * axis + at);
        ordered.extend_from_slice(&bytes[place * size..][..size]);
        for (at, &axis) in index.iter_mut().zip(shape).rev() {
            *at += 1;
            if *at < axis {
                break;
            }
            *at = 0;
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(header: &str, data: &[u8]) -> Vec<u8> {
        let length = (header.len() as u16).to_le_bytes();
        [&MAGIC[..], &[1, 0], &length, header.as_bytes(), data].concat()
    }

    fn header(descr: &str, fortran: &str, shape: &str) -> String {
        format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}}}")
    }

    fn read(header: &str, data: &[u8]) -> Result<NpyArray, String> {
        NpyArray::read(&mut &npy(header, data)[..])
    }

    #[test]
    fn c_and_fortran_order_give_the_same_array() {
        let c: Vec<u8> = (0..24).collect();
        // Element (i, j, k) of shape (2, 3, 4) lies at i + 2 j + 6 k.
        let mut f = vec![0; 24];
        for (i, j, k) in (0..24).map(|n| (n / 12, n / 4 % 3, n % 4)) {
            f[i + 2 * j + 6 * k] = (12 * i + 4 * j + k) as u8;
        }
        let from_c = read(&header("|u1", "False", "(2, 3, 4)"), &c).unwrap();
        let from_f = read(&header("|u1", "True", "(2, 3, 4)"), &f).unwrap();
        assert_eq!(from_c.as_bytes(), Some(&c[..]));
        assert_eq!(from_c, from_f);
        assert_ne!(
            read(&header("|u1", "False", "(2, 3, 4)"), &f).unwrap(),
            from_c
        );
    }

    #[test]
    fn every_type_and_byte_order_is_read() {
        let cases: [(&str, &[u8], f64); 11] = [
            ("|b1", &[1], 1.0),
            ("|i1", &[0xfe], -2.0),
            ("<u2", &[1, 2], 513.0),
            (">u2", &[1, 2], 258.0),
            ("<i2", &[0xfe, 0xff], -2.0),
            (">i4", &[0xff, 0xff, 0xff, 0xfd], -3.0),
            ("<u4", &[0, 0, 0, 0x80], 2_147_483_648.0),
            ("<i8", &[0xff; 8], -1.0),
            ("<u8", &[1, 0, 0, 0, 0, 0, 0, 0], 1.0),
            (">f4", &[0xc0, 0x20, 0, 0], -2.5),
            ("<f8", &[0, 0, 0, 0, 0, 0, 0x14, 0x40], 5.0),
        ];
        for (descr, bytes, expected) in cases {
            let array = read(&header(descr, "False", "(1,)"), bytes).unwrap();
            assert_eq!(array.floats().collect::<Vec<_>>(), [expected], "{descr}");
            let whole = (expected.fract() == 0.0).then_some(expected as i64);
            assert_eq!(array.integers().collect::<Vec<_>>(), [whole], "{descr}");
        }
    }

    #[test]
    fn a_written_header_reads_back() {
        for shape in [&[][..], &[3], &[2, 0, 5], &[1; 40]] {
            let mut bytes = Vec::new();
            write_header(&mut bytes, "<f4", shape).unwrap();
            assert_eq!(bytes.len() % 64, 0);
            bytes.resize(bytes.len() + 4 * shape.iter().product::<usize>(), 0);
            assert_eq!(NpyArray::read(&mut &bytes[..]).unwrap().shape, shape);
        }
    }

    #[test]
    fn each_kind_of_damage_is_named() {
        let good = header("|u1", "False", "(2,)");
        let cases = [
            (
                "no `shape`",
                npy("{'descr': '|u1', 'fortran_order': False}", &[1, 2]),
            ),
            ("complex", npy(&header("complex", "False", "(2,)"), &[1, 2])),
            ("several fields", npy("{'descr': [('a', '<f4')], ", &[])),
            ("<c16", npy(&header("<c16", "False", "(2,)"), &[1, 2])),
            (
                "neither True nor False",
                npy(&header("|u1", "No", "(2,)"), &[1, 2]),
            ),
            ("axis -2", npy(&header("|u1", "False", "(-2,)"), &[1, 2])),
            ("not a tuple", npy(&header("|u1", "False", "2"), &[1, 2])),
            (
                "too large",
                npy(&header("<f8", "False", "(9999999999999, 9999999999)"), &[]),
            ),
            (
                "at most",
                npy(&header("<f8", "True", "(999999, 999999)"), &[]),
            ),
            ("cut short", npy(&good, &[1])),
            ("more data", npy(&good, &[1, 2, 3])),
            ("version 9", [&MAGIC[..], &[9, 0, 0, 0]].concat()),
            (
                "too long",
                [&MAGIC[..], &[2, 0, 0xff, 0xff, 0xff, 0xff]].concat(),
            ),
            ("header is broken", npy(&good, &[])[..30].to_vec()),
            ("first bytes", b"PK\x03\x04 and more".to_vec()),
        ];
        for (expected, bytes) in cases {
            let message = NpyArray::read(&mut &bytes[..]).unwrap_err();
            assert!(
                message.contains(expected),
                "{message} instead of {expected}"
            );
        }
        assert!(read(&good, &[1, 2]).is_ok());
    }
}
