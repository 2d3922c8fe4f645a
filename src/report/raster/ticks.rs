//! Round numbers along an axis.

/// Round numbers from 0 to `end` (above 0), at most `most` steps apart, and the decimals they need.
pub fn ticks(end: f32, most: u32) -> (Vec<f32>, usize) {
    // In double, so that the smallest and the largest float have round neighbours too.
    let rough = f64::from(end) / f64::from(most);
    let power = rough.log10().floor();
    let unit = 10_f64.powf(power);
    let step = [1.0, 2.0, 5.0]
        .map(|factor| factor * unit)
        .into_iter()
        .find(|step| *step >= 0.999 * rough);
    let step = step.unwrap_or(10.0 * unit);
    let decimals = (-step.log10() - 1e-9).ceil().max(0.0) as usize;
    let count = (f64::from(end) / step * 1.0001).floor() as u32;
    (
        (0..=count)
            .map(|tick| (f64::from(tick) * step) as f32)
            .collect(),
        decimals,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_the_end() {
        assert_eq!(
            ticks(200.0, 10),
            ((0..=10).map(|tick| tick as f32 * 20.0).collect(), 0)
        );
        assert_eq!(ticks(1.0, 4), (vec![0.0, 0.5, 1.0], 1));
        assert_eq!(ticks(210.0, 4), (vec![0.0, 100.0, 200.0], 0));
        assert_eq!(ticks(0.03, 4), (vec![0.0, 0.01, 0.02, 0.03], 2));
        for end in [f32::from_bits(1), f32::MIN_POSITIVE, 7.3, f32::MAX] {
            let (ticks, _) = ticks(end, 10);
            assert!((2..=11).contains(&ticks.len()), "{end}: {ticks:?}");
        }
    }
}
