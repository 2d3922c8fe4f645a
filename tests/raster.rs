//! The raster as a reader of the PNG finds it.

use dalenet::report::raster::{RasterError, RasterPlot};
use image::RgbImage;

const E_BLUE: [u8; 3] = [0, 114, 178];
const I_VERMILION: [u8; 3] = [213, 94, 0];

fn plot<'a>(
    n_e: u32,
    n_i: u32,
    spikes_e: &'a [(f32, u32)],
    spikes_i: &'a [(f32, u32)],
) -> RasterPlot<'a> {
    RasterPlot {
        duration_ms: 200.0,
        n_e,
        n_i,
        spikes_e,
        spikes_i,
        title: "test",
    }
}

fn picture(plot: &RasterPlot<'_>) -> RgbImage {
    image::load_from_memory(&plot.png().unwrap())
        .unwrap()
        .into_rgb8()
}

/// Mean row (from the top) of the pixels of a colour in the upper part, above the rate panel.
fn mean_row(picture: &RgbImage, colour: [u8; 3]) -> Option<f64> {
    let axis = 200;
    let raster_bottom = picture.height() - 430;
    let rows: Vec<_> = picture
        .enumerate_pixels()
        .filter(|(x, y, pixel)| *x > axis && *y < raster_bottom && pixel.0 == colour)
        .map(|(_, y, _)| f64::from(y))
        .collect();
    (!rows.is_empty()).then(|| rows.iter().sum::<f64>() / rows.len() as f64)
}

#[test]
fn e_is_below_i_and_each_of_1024_cells_has_a_row_of_its_own() {
    let row_of =
        |cell| mean_row(&picture(&plot(1024, 256, &[(100.0, cell)], &[])), E_BLUE).unwrap();
    for cell in [0, 511, 1022] {
        assert_eq!(row_of(cell) - row_of(cell + 1), 1.0, "cell {cell}");
    }
    let both = picture(&plot(1024, 256, &[(50.0, 1023)], &[(50.0, 0)]));
    let (e, i) = (
        mean_row(&both, E_BLUE).unwrap(),
        mean_row(&both, I_VERMILION).unwrap(),
    );
    assert!(
        i < e,
        "the lowest I cell (row {i}) is above the highest E cell (row {e})"
    );
    assert_eq!(mean_row(&picture(&plot(1024, 256, &[], &[])), E_BLUE), None);
}

#[test]
fn any_sizes_can_be_drawn() {
    let all = |n: u32| {
        (0..n)
            .map(|cell| (cell as f32 % 200.0, cell))
            .collect::<Vec<_>>()
    };
    for (n_e, n_i) in [
        (1, 1),
        (2, 0),
        (0, 3),
        (63, 1000),
        (1025, 1),
        (100_003, 20_011),
        (u32::MAX, u32::MAX),
    ] {
        let (e, i) = (all(n_e.min(2000)), all(n_i.min(2000)));
        let picture = picture(&plot(n_e, n_i, &e, &i));
        assert!(picture.height() < 2500, "{n_e}/{n_i}: {}", picture.height());
        assert_eq!(mean_row(&picture, E_BLUE).is_some(), n_e > 0, "{n_e}/{n_i}");
        assert_eq!(
            mean_row(&picture, I_VERMILION).is_some(),
            n_i > 0,
            "{n_e}/{n_i}"
        );
    }
    for duration_ms in [f32::from_bits(1), 0.1, 1e7, f32::MAX] {
        picture(&RasterPlot {
            duration_ms,
            ..plot(3, 1, &[(0.0, 0)], &[])
        });
    }
    for title in ["", "…", &"long ".repeat(500)] {
        let drawn = picture(&RasterPlot {
            title,
            ..plot(3, 1, &[], &[])
        });
        let edge = drawn.width() - 30;
        assert!(
            drawn
                .enumerate_pixels()
                .all(|(x, _, pixel)| x < edge || pixel.0 == [255; 3]),
            "title is cut"
        );
    }
}

#[test]
fn nonsense_is_refused() {
    for duration_ms in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let wrong = RasterPlot {
            duration_ms,
            ..plot(3, 1, &[], &[])
        };
        assert!(matches!(wrong.png(), Err(RasterError::Duration { .. })));
    }
    assert!(matches!(
        plot(0, 0, &[], &[]).png(),
        Err(RasterError::NoCells)
    ));
    for spike in [(1.0, 3), (-0.1, 0), (200.1, 0), (f32::NAN, 0)] {
        let error = plot(3, 1, &[(0.0, 2), spike], &[]).png().unwrap_err();
        assert!(
            matches!(
                error,
                RasterError::Spike {
                    population: 'E',
                    index: 1,
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn writing_makes_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("raster.png");
    let plot = plot(10, 5, &[(1.0, 1)], &[(2.0, 2)]);
    plot.write_png(&path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), plot.png().unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
