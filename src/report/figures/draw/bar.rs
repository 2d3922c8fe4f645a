//! The colour bar: which colour stands for which number.

use super::panel::{LABEL_SIZE, TICK_SIZE};
use super::scale::Axis;
use super::svg::{Anchor, At, Colour, Fill, Stroke, Svg};
use super::text;

const LENGTH: f64 = 260.0;
const THICKNESS: f64 = 11.0;
const STEPS: u32 = 52;

/// Numbers shown by colours.
#[derive(Clone, Debug)]
pub struct ColourBar {
    /// Name, unit and scale of the numbers.
    axis: Axis,
    /// Its ends.
    range: (f64, f64),
}

impl ColourBar {
    /// Height of a bar with its ticks, pixels.
    pub const HEIGHT: f64 = THICKNESS + TICK_SIZE + 10.0;

    /// A bar for these values; none where no value has a place on the axis.
    pub fn new(axis: Axis, values: impl Iterator<Item = f64>) -> Option<Self> {
        let range = axis.range(values, 0.0)?;
        Some(Self { axis, range })
    }

    /// Share of the bar at which a value stands, 0 to 1.
    fn share(&self, value: f64) -> f64 {
        let scale = self.axis.scale;
        let (low, high) = (scale.forward(self.range.0), scale.forward(self.range.1));
        (scale.forward(value) - low) / (high - low)
    }

    /// Colour of a value.
    pub fn colour(&self, value: f64) -> Colour {
        viridis(self.share(value))
    }

    /// Draws the bar, its name at the left and its ticks below, from the upper left corner on.
    pub fn draw(&self, svg: &mut Svg, (left, top): At) {
        let at = (left, top + 0.36 * LABEL_SIZE + THICKNESS / 2.0);
        svg.text(at, &self.axis.label, LABEL_SIZE, Anchor::Start, Colour::Ink);
        let start = left + text::width(&self.axis.label, LABEL_SIZE) + 14.0;
        let width = LENGTH / f64::from(STEPS);
        for step in 0..STEPS {
            let fill = Fill {
                colour: viridis((f64::from(step) + 0.5) / f64::from(STEPS)),
                opacity: 1.0,
            };
            let at = (start + f64::from(step) * width, top);
            // Half a pixel over the next one, so that no seam shows.
            let more = if step + 1 < STEPS { 0.5 } else { 0.0 };
            svg.rectangle(at, width + more, THICKNESS, fill);
        }
        let bottom = top + THICKNESS;
        for tick in self.axis.ticks(self.range, LENGTH, TICK_SIZE, true) {
            let x = start + self.share(tick.value) * LENGTH;
            let line = vec![(x, bottom), (x, bottom + 3.5)];
            svg.lines(&[line], Stroke::solid(Colour::Ink, 0.9));
            let at = (x, bottom + 5.0 + TICK_SIZE);
            svg.text(at, &tick.label, TICK_SIZE, Anchor::Middle, Colour::Ink);
        }
    }
}

/// Colour of a share from 0 to 1; ends that are lost on white or on black are left out.
pub fn viridis(share: f64) -> Colour {
    let colour = colorous::VIRIDIS.eval_continuous(0.2 + 0.72 * share.clamp(0.0, 1.0));
    Colour::Rgb(colour.r, colour.g, colour.b)
}

#[cfg(test)]
mod tests {
    use super::super::scale::Scale;
    use super::*;

    #[test]
    fn the_bar_ends_at_its_values_and_follows_its_scale() {
        let axis = Axis::new("rate (Hz)").scaled(Scale::Log);
        let bar = ColourBar::new(axis.clone(), [1.0, 100.0, f64::NAN].into_iter()).unwrap();
        assert!((bar.share(10.0) - 0.5).abs() < 1e-12);
        assert_eq!(bar.colour(1.0), viridis(0.0));
        assert_ne!(bar.colour(1.0), bar.colour(100.0));
        assert!(ColourBar::new(axis, [0.0].into_iter()).is_none());
    }
}
