//! SVG to PNG.

use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::{Options, Tree};

/// Widest picture made, pixels.
const LARGEST_PX: u32 = 16_384;

/// A picture could not be made.
#[derive(Debug, thiserror::Error)]
pub enum FigureError {
    /// The text is no SVG.
    #[error("not an SVG file: {0}")]
    Svg(#[from] resvg::usvg::Error),
    /// The picture would have no pixels, or too many.
    #[error(
        "a picture {width_px} pixels wide cannot be made; use 1 to 16384, and a figure that is not too tall"
    )]
    Size {
        /// The width asked for.
        width_px: u32,
    },
    /// The PNG file could not be encoded.
    #[error("the picture cannot be encoded as PNG: {0}")]
    Encoding(String),
}

/// A figure as PNG, `width_px` pixels wide: dark ink on white.
///
/// # Errors
/// `svg` is no SVG, or the size makes no sense.
pub fn png(svg: &str, width_px: u32) -> Result<Vec<u8>, FigureError> {
    let ink = Options {
        style_sheet: Some("svg { color: #1a1a1a }".into()),
        ..Options::default()
    };
    let tree = Tree::from_str(svg, &ink)?;
    let size = tree.size();
    let scale = width_px as f32 / size.width();
    let height = (size.height() * scale).round();
    let wrong = FigureError::Size { width_px };
    if !(1..=LARGEST_PX).contains(&width_px) || !(1.0..=4.0 * LARGEST_PX as f32).contains(&height) {
        return Err(wrong);
    }
    let mut pixels = Pixmap::new(width_px, height as u32).ok_or(wrong)?;
    pixels.fill(Color::WHITE);
    resvg::render(
        &tree,
        Transform::from_scale(scale, scale),
        &mut pixels.as_mut(),
    );
    pixels
        .encode_png()
        .map_err(|e| FigureError::Encoding(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ink_is_dark_on_white_and_nonsense_is_refused() {
        let svg = r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10"><rect width="5" height="10" fill="currentColor"/></svg>"#;
        let bytes = png(svg, 20).unwrap();
        assert_eq!(bytes, png(svg, 20).unwrap());
        let picture = image::load_from_memory(&bytes).unwrap().to_rgb8();
        assert_eq!(
            (
                picture.dimensions(),
                picture.get_pixel(2, 2).0,
                picture.get_pixel(18, 2).0
            ),
            ((20, 20), [26; 3], [255; 3])
        );
        assert!(matches!(png("no", 20), Err(FigureError::Svg(_))));
        assert!(matches!(
            png(svg, 0),
            Err(FigureError::Size { width_px: 0 })
        ));
        assert!(matches!(png(svg, u32::MAX), Err(FigureError::Size { .. })));
    }
}
