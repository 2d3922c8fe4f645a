//! A built-in set of synthetic digits: no download, the same on every machine.
//!
//! Each sample is a digit's strokes with slightly displaced points, under a random rotation, shear,
//! scale, shift and pen width, drawn by the distance of each pixel to the strokes. The size, the
//! mean intensity and the difficulty are close to MNIST's; the numbers of a study are not.

use super::ImageSet;
use crate::random::{Purpose, Stream};

/// Rows and columns of an image.
const SIZE: usize = 28;
/// Straight pieces a curve is drawn with between two of its points.
const PIECES: usize = 6;

type PenPoint = [f64; 2];

/// A pen stroke through points in the unit square, x to the right and y down.
enum PenStroke {
    /// Straight from point to point.
    Line(&'static [PenPoint]),
    /// Smooth through every point (Catmull–Rom).
    Curve(&'static [PenPoint]),
}
use PenStroke::{Curve, Line};

/// The ways to write a digit.
type Glyph = &'static [&'static [PenStroke]];

const GLYPHS: [Glyph; 10] = [
    &[&[Curve(&[
        [0.55, 0.0],
        [0.2, 0.15],
        [0.08, 0.55],
        [0.3, 0.95],
        [0.68, 0.92],
        [0.92, 0.5],
        [0.78, 0.1],
        [0.5, 0.01],
    ])]],
    &[
        &[Line(&[[0.5, 0.0], [0.5, 1.0]])],
        &[Line(&[[0.28, 0.22], [0.52, 0.0], [0.5, 1.0]])],
        &[
            Line(&[[0.3, 0.2], [0.52, 0.0], [0.52, 1.0]]),
            Line(&[[0.25, 1.0], [0.78, 1.0]]),
        ],
    ],
    &[
        &[
            Curve(&[
                [0.1, 0.25],
                [0.3, 0.03],
                [0.66, 0.02],
                [0.85, 0.25],
                [0.7, 0.55],
                [0.4, 0.8],
                [0.1, 1.0],
            ]),
            Line(&[[0.1, 1.0], [0.92, 0.97]]),
        ],
        &[Curve(&[
            [0.12, 0.2],
            [0.4, 0.0],
            [0.78, 0.12],
            [0.74, 0.48],
            [0.42, 0.85],
            [0.16, 0.98],
            [0.12, 0.8],
            [0.36, 0.8],
            [0.6, 0.98],
            [0.95, 0.92],
        ])],
    ],
    &[&[Curve(&[
        [0.14, 0.1],
        [0.45, 0.0],
        [0.8, 0.18],
        [0.68, 0.4],
        [0.36, 0.47],
        [0.7, 0.53],
        [0.88, 0.75],
        [0.6, 0.98],
        [0.1, 0.92],
    ])]],
    &[
        &[
            Line(&[[0.22, 0.02], [0.1, 0.52], [0.9, 0.5]]),
            Line(&[[0.76, 0.05], [0.68, 1.0]]),
        ],
        &[
            Line(&[[0.64, 0.0], [0.08, 0.64], [0.92, 0.64]]),
            Line(&[[0.64, 0.0], [0.64, 1.0]]),
        ],
    ],
    &[&[
        Line(&[[0.86, 0.02], [0.28, 0.03], [0.2, 0.45]]),
        Curve(&[
            [0.2, 0.45],
            [0.52, 0.36],
            [0.86, 0.6],
            [0.68, 0.94],
            [0.1, 0.95],
        ]),
    ]],
    &[&[Curve(&[
        [0.7, 0.0],
        [0.36, 0.26],
        [0.13, 0.66],
        [0.34, 0.98],
        [0.74, 0.92],
        [0.82, 0.64],
        [0.52, 0.52],
        [0.17, 0.74],
    ])]],
    &[
        &[
            Line(&[[0.1, 0.06], [0.88, 0.03]]),
            Curve(&[[0.88, 0.03], [0.6, 0.45], [0.42, 1.0]]),
        ],
        &[
            Line(&[[0.12, 0.06], [0.88, 0.03]]),
            Curve(&[[0.88, 0.03], [0.6, 0.45], [0.42, 1.0]]),
            Line(&[[0.34, 0.52], [0.82, 0.48]]),
        ],
    ],
    &[&[Curve(&[
        [0.8, 0.14],
        [0.46, 0.0],
        [0.2, 0.2],
        [0.48, 0.45],
        [0.82, 0.74],
        [0.52, 1.0],
        [0.18, 0.78],
        [0.48, 0.48],
        [0.8, 0.2],
        [0.74, 0.08],
    ])]],
    &[
        &[Curve(&[
            [0.82, 0.2],
            [0.48, 0.02],
            [0.16, 0.26],
            [0.44, 0.5],
            [0.82, 0.22],
            [0.8, 0.6],
            [0.7, 1.0],
        ])],
        &[Curve(&[
            [0.82, 0.2],
            [0.48, 0.0],
            [0.16, 0.24],
            [0.44, 0.48],
            [0.82, 0.2],
            [0.82, 0.68],
            [0.58, 0.98],
            [0.2, 0.92],
        ])],
    ],
];

/// Draws `count` digits of 28 x 28 pixels. Sample i is a picture of the digit i mod 10 and depends
/// on the seed and i alone, so a longer set begins with the shorter one.
pub fn digits(count: usize, seed: u64) -> ImageSet {
    let mut pixels = vec![0; count * SIZE * SIZE];
    for (i, image) in pixels.chunks_exact_mut(SIZE * SIZE).enumerate() {
        draw(
            GLYPHS[i % GLYPHS.len()],
            &mut Stream::new(Purpose::Digits, seed, i as u64, 0),
            image,
        );
    }
    ImageSet {
        name: "digits".into(),
        height: SIZE,
        width: SIZE,
        classes: GLYPHS.len(),
        pixels,
        labels: (0..count).map(|i| (i % GLYPHS.len()) as u16).collect(),
    }
}

/// Draws one sample of a glyph.
fn draw(glyph: Glyph, stream: &mut Stream, image: &mut [u8]) {
    let variant = &glyph[stream.below(glyph.len() as u64) as usize];
    let place = Placement::random(stream);
    let radius = (1.2 + 0.3 * stream.normal()).clamp(0.6, 2.0);

    // Distance of each pixel's centre to the nearest stroke, squared; only where ink can be.
    let mut nearest = [f64::INFINITY; SIZE * SIZE];
    for stroke in *variant {
        let (points, pieces) = match stroke {
            Line(points) => (points, 1),
            Curve(points) => (points, PIECES),
        };
        let wobbled = |&[x, y]: &PenPoint| [x + 0.05 * stream.normal(), y + 0.05 * stream.normal()];
        let points: Vec<PenPoint> = points
            .iter()
            .map(wobbled)
            .map(|point| place.apply(point))
            .collect();
        let path = path(&points, pieces);
        for ends in path.windows(2) {
            lay_segment(ends[0], ends[1], radius + 1.0, &mut nearest);
        }
    }
    for (pixel, squared) in image.iter_mut().zip(nearest) {
        // Ink fades over one pixel at the edge of the stroke.
        let ink = (radius + 0.5 - squared.sqrt()).clamp(0.0, 1.0);
        *pixel = (255.0 * ink).round() as u8;
    }
}

/// Where the unit square comes to lie in the image: an affine map.
struct Placement {
    matrix: [PenPoint; 2],
    centre: PenPoint,
}

impl Placement {
    fn random(stream: &mut Stream) -> Placement {
        let mut around = |mean: f64, spread: f64| mean + spread * stream.normal().clamp(-2.0, 2.0);
        let (angle, shear) = (around(0.0, 0.18), around(0.15, 0.23));
        let (width, height) = (around(13.5, 2.2), around(18.0, 1.5));
        let centre = [around(14.0, 0.9), around(14.0, 0.9)];
        let (sin, cos) = (libm::sin(angle), libm::cos(angle));
        // Scale, then shear (upper parts move right), then rotate.
        let (x_of_y, y_of_y) = (-shear * height, height);
        let matrix = [
            [cos * width, cos * x_of_y - sin * y_of_y],
            [sin * width, sin * x_of_y + cos * y_of_y],
        ];
        Placement { matrix, centre }
    }

    fn apply(&self, [x, y]: PenPoint) -> PenPoint {
        let (x, y) = (x - 0.5, y - 0.5);
        let [across, down] = self.matrix;
        [
            self.centre[0] + across[0] * x + across[1] * y,
            self.centre[1] + down[0] * x + down[1] * y,
        ]
    }
}

/// Points along the Catmull–Rom curve through `points`; with one piece, the points themselves.
fn path(points: &[PenPoint], pieces: usize) -> Vec<PenPoint> {
    let at = |i: usize| points[i.clamp(1, points.len()) - 1];
    let mut path = vec![points[0]];
    for i in 1..points.len() {
        let (before, from, to, after) = (at(i - 1), at(i), at(i + 1), at(i + 2));
        for piece in 1..=pieces {
            let t = piece as f64 / pieces as f64;
            path.push([0, 1].map(|axis| {
                let (a, b, c, d) = (before[axis], from[axis], to[axis], after[axis]);
                let cubic = 3.0 * (b - c) + d - a;
                0.5 * (2.0 * b + t * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * cubic)))
            }));
        }
    }
    path
}

/// Lowers the squared distances of the pixels within `reach` of the segment.
fn lay_segment(from: PenPoint, to: PenPoint, reach: f64, nearest: &mut [f64]) {
    let along = [to[0] - from[0], to[1] - from[1]];
    let length_squared = along[0] * along[0] + along[1] * along[1];
    let range = |axis: usize| {
        let (low, high) = (
            from[axis].min(to[axis]) - reach,
            from[axis].max(to[axis]) + reach,
        );
        (low.max(0.0) as usize)..((high + 1.0).clamp(0.0, SIZE as f64) as usize)
    };
    for row in range(1) {
        for column in range(0) {
            let offset = [column as f64 + 0.5 - from[0], row as f64 + 0.5 - from[1]];
            let projected = offset[0] * along[0] + offset[1] * along[1];
            let t = if length_squared > 0.0 {
                (projected / length_squared).clamp(0.0, 1.0)
            } else {
                0.0
            };
            let [x, y] = [offset[0] - t * along[0], offset[1] - t * along[1]];
            let squared = &mut nearest[row * SIZE + column];
            *squared = squared.min(x * x + y * y);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_depend_on_seed_and_index_alone() {
        let long = digits(50, 1);
        assert_eq!(digits(20, 1).pixels, long.pixels[..20 * SIZE * SIZE]);
        assert_ne!(digits(50, 2).pixels, long.pixels);
        assert_ne!(long.image(0), long.image(10), "two zeros must differ");
        // Made by this implementation: a change here changes every published run on the digits.
        assert_eq!(
            long.sha256(),
            "b00806fdba5f10f592b63ab3ff0812bb88ccad2760aac7fdb01aed8df8444b39"
        );
    }

    #[test]
    fn ink_is_near_that_of_mnist_and_stays_inside() {
        let set = digits(2000, 3);
        let mean = |pixels: &mut dyn Iterator<Item = u8>| {
            let (sum, count) = pixels.fold((0.0, 0.0), |(sum, count), p| {
                (sum + f64::from(p), count + 1.0)
            });
            sum / count / 255.0
        };
        let all = mean(&mut set.pixels.iter().copied());
        assert!((0.12..0.14).contains(&all), "mean intensity {all}");
        let inside = 1..SIZE - 1;
        let is_border = |i: usize| !inside.contains(&(i / SIZE)) || !inside.contains(&(i % SIZE));
        let border = mean(&mut set.pixels.chunks(SIZE * SIZE).flat_map(|image| {
            image
                .iter()
                .enumerate()
                .filter(|&(i, _)| is_border(i))
                .map(|(_, &p)| p)
        }));
        assert!(border < 0.01, "mean intensity {border} at the border");
    }

    /// Classes must be learnable, but not by the mean picture alone.
    #[test]
    fn nearest_mean_picture_is_right_often_but_not_always() {
        let (train, test) = (digits(1000, 4), digits(400, 5));
        let mut means = vec![[0.0; SIZE * SIZE]; 10];
        for i in 0..train.len() {
            for (sum, &pixel) in means[i % 10].iter_mut().zip(train.image(i)) {
                *sum += f64::from(pixel) / 100.0;
            }
        }
        let distance = |mean: &[f64], image: &[u8]| -> f64 {
            mean.iter()
                .zip(image)
                .map(|(m, &p)| (m - f64::from(p)).powi(2))
                .sum()
        };
        let right = (0..test.len()).filter(|&i| {
            let to = |class: &usize| distance(&means[*class], test.image(i));
            (0..10).min_by(|a, b| to(a).total_cmp(&to(b))) == Some(i % 10)
        });
        let accuracy = right.count() as f64 / test.len() as f64;
        assert!((0.6..0.95).contains(&accuracy), "accuracy {accuracy}");
    }
}
