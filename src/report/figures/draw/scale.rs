//! Axes: how values become places, and where the ticks stand.

use super::text;

/// How a value becomes a place on an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// In proportion.
    Linear,
    /// By its logarithm; values at or below 0 have no place.
    Log,
    /// As the logarithm beyond this value and linear around 0: asinh(x / value).
    Symlog(f64),
}

impl Scale {
    /// Monotonic coordinate of a value; NaN where it has no place.
    pub fn forward(self, value: f64) -> f64 {
        match self {
            _ if !value.is_finite() => f64::NAN,
            Self::Linear => value,
            Self::Log if value > 0.0 => libm::log10(value),
            Self::Log => f64::NAN,
            Self::Symlog(linear) => libm::asinh(value / linear),
        }
    }
}

/// What an axis shows.
#[derive(Clone, Debug)]
pub struct Axis {
    /// Name and unit; empty: none.
    pub label: String,
    /// Scale.
    pub scale: Scale,
    /// Lower end; the data's where none.
    pub low: Option<f64>,
    /// Upper end; the data's where none.
    pub high: Option<f64>,
    /// Named places instead of numbered ticks.
    pub names: Vec<(f64, String)>,
    /// Only whole numbers are marked.
    pub whole: bool,
}

impl Axis {
    /// A linear axis that fits the data.
    pub fn new(label: &str) -> Self {
        Self {
            label: label.into(),
            scale: Scale::Linear,
            low: None,
            high: None,
            names: Vec::new(),
            whole: false,
        }
    }

    /// The same axis, of things that are counted.
    pub fn counted(self) -> Self {
        Self {
            whole: true,
            ..self
        }
    }

    /// The same axis from this value on.
    pub fn from(self, low: f64) -> Self {
        Self {
            low: Some(low),
            ..self
        }
    }

    /// The same axis up to this value.
    pub fn to(self, high: f64) -> Self {
        Self {
            high: Some(high),
            ..self
        }
    }

    /// The same axis with another scale.
    pub fn scaled(self, scale: Scale) -> Self {
        Self { scale, ..self }
    }

    /// The same axis with named places.
    pub fn named(self, names: Vec<(f64, String)>) -> Self {
        Self { names, ..self }
    }

    /// The range shown for these values; none where no value has a place. `room` is the share of
    /// the range added at ends that are not given.
    pub fn range(&self, values: impl Iterator<Item = f64>, room: f64) -> Option<(f64, f64)> {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|v| !self.scale.forward(*v).is_nan()) {
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high {
            return None;
        }
        let (mut low, mut high) = (self.low.unwrap_or(low), self.high.unwrap_or(high));
        if self.scale == Scale::Log {
            // At least a decade, so that there is a tick to read.
            if high / low < 10.0 {
                let middle = low.sqrt() * high.sqrt();
                low = self.low.unwrap_or(middle / 10.0_f64.sqrt());
                high = self
                    .high
                    .unwrap_or(middle * 10.0_f64.sqrt())
                    .max(low * 10.0);
            }
            // In powers of ten, as the ratio of the ends may be more than a number can hold.
            let (first, last) = (libm::log10(low), libm::log10(high));
            let grow = room * (last - first);
            let power = |exponent: f64| 10.0_f64.powf(exponent.clamp(-307.0, 308.0));
            return Some((
                self.low.unwrap_or(power(first - grow)),
                self.high.unwrap_or(power(last + grow)),
            ));
        }
        if high - low <= 1e-9 * high.abs().max(low.abs()) {
            let half = if high == 0.0 { 0.5 } else { 0.05 * high.abs() };
            low = self.low.unwrap_or(low - half);
            high = self.high.unwrap_or(high + half);
            if high <= low {
                high = low + 2.0 * half;
            }
        }
        let grow = room * (high - low);
        Some((
            self.low.unwrap_or(low - grow),
            self.high.unwrap_or(high + grow),
        ))
    }

    /// Places of unlabelled ticks between those of a logarithmic axis of a few decades.
    pub fn minor_ticks(&self, (low, high): (f64, f64)) -> Vec<f64> {
        if self.scale != Scale::Log || !self.names.is_empty() || high / low > 1e6 {
            return Vec::new();
        }
        let first = (libm::log10(low).floor()).clamp(-330.0, 330.0) as i32;
        let last = (libm::log10(high).ceil()).clamp(-330.0, 330.0) as i32;
        let parts =
            (first..last).flat_map(|k| (2..10).map(move |f| f64::from(f) * 10.0_f64.powi(k)));
        parts.filter(|v| (low..=high).contains(v)).collect()
    }

    /// Ticks in a range, for an axis `length` pixels long with labels of `size`; a horizontal axis
    /// has as many as do not touch.
    pub fn ticks(
        &self,
        (low, high): (f64, f64),
        length: f64,
        size: f64,
        horizontal: bool,
    ) -> Vec<Tick> {
        if !self.names.is_empty() {
            let tick = |(value, label): &(f64, String)| Tick {
                value: *value,
                label: label.clone(),
            };
            return self.names.iter().map(tick).collect();
        }
        let place = |v: f64| {
            let (a, b) = (self.scale.forward(low), self.scale.forward(high));
            (self.scale.forward(v) - a) / (b - a) * length
        };
        let spacing = if horizontal { 34.0 } else { 2.2 * size };
        let most = ((length / spacing) as usize).clamp(2, 7);
        for wanted in (1..=most).rev() {
            let values = match self.scale {
                Scale::Linear if self.whole => {
                    let mut ticks = linear_ticks(low, high, wanted);
                    ticks.retain(|tick| tick.fract() == 0.0);
                    ticks
                }
                Scale::Linear => linear_ticks(low, high, wanted),
                Scale::Log => log_ticks(low, high, wanted),
                Scale::Symlog(linear) => symlog_ticks(low, high, linear, wanted),
            };
            let ticks = labelled(&values, self.scale);
            let touch = |pair: &[Tick]| {
                let gap = (place(pair[1].value) - place(pair[0].value)).abs();
                let extent = if horizontal {
                    (text::width(&pair[0].label, size) + text::width(&pair[1].label, size)) / 2.0
                        + 8.0
                } else {
                    1.3 * size
                };
                gap < extent
            };
            if !ticks.is_empty() && !ticks.windows(2).any(touch) {
                return ticks;
            }
        }
        // Too short for any of these: the value near the middle that has the fewest digits.
        let middle = match self.scale {
            Scale::Log => 10.0_f64.powf(0.5 * (libm::log10(low) + libm::log10(high))),
            _ => 0.5 * low + 0.5 * high,
        };
        let power = 10.0_f64.powf(libm::log10(high - low).floor().clamp(-300.0, 300.0));
        let round = (middle / power).round() * power;
        let candidates = [round, middle].into_iter();
        let inside =
            candidates.filter(|value| (low..=high).contains(value) && place(*value).is_finite());
        labelled(&inside.take(1).collect::<Vec<_>>(), self.scale)
    }
}

/// A value marked on an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// Where.
    pub value: f64,
    /// What stands there.
    pub label: String,
}

/// Multiples of 1, 2, 2.5 or 5 times a power of ten, at most about `wanted` of them.
fn linear_ticks(low: f64, high: f64, wanted: usize) -> Vec<f64> {
    let rough = (high - low) / wanted as f64;
    if !(rough > 0.0 && rough.is_finite()) {
        return Vec::new();
    }
    let power = 10.0_f64.powf(libm::log10(rough).floor());
    let factor = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .find(|f| f * power >= rough * 0.999)
        .unwrap_or(10.0);
    let step = factor * power;
    let first = (low / step - 1e-6).ceil();
    let last = (high / step + 1e-6).floor();
    let count = (last - first).clamp(0.0, 20.0) as usize;
    // Whole multiples: no sum of roundings, and 0 is 0.
    (0..=count)
        .map(|i| (first + i as f64) * step)
        .filter(|v| *v <= high + 1e-6 * step)
        .collect()
}

fn log_ticks(low: f64, high: f64, wanted: usize) -> Vec<f64> {
    let first = (libm::log10(low) - 1e-9).ceil().clamp(-330.0, 330.0) as i32;
    let last = (libm::log10(high) + 1e-9).floor().clamp(-330.0, 330.0) as i32;
    let decades = (last - first + 1).max(0) as usize;
    let every = decades.div_ceil(wanted.max(1)).max(1);
    let tens = (first..=last).step_by(every).map(|k| 10.0_f64.powi(k));
    if decades >= 2 || wanted < 3 {
        return tens.collect();
    }
    let parts = (first - 1..=last).flat_map(|k| [1.0, 2.0, 5.0].map(|f| f * 10.0_f64.powi(k)));
    parts.filter(|v| (low..=high).contains(v)).collect()
}

fn symlog_ticks(low: f64, high: f64, linear: f64, wanted: usize) -> Vec<f64> {
    let mut values = Vec::new();
    if low <= 0.0 && high >= 0.0 {
        values.push(0.0);
    }
    if high > linear {
        values.extend(log_ticks(linear.max(low), high, wanted.saturating_sub(1)));
    }
    values
}

/// The values with labels that tell them apart; powers of ten where plain numbers are long.
fn labelled(values: &[f64], scale: Scale) -> Vec<Tick> {
    let largest = values.iter().fold(0.0_f64, |a, v| a.max(v.abs()));
    let step = values
        .windows(2)
        .map(|w| w[1] - w[0])
        .fold(f64::INFINITY, f64::min);
    let smallest = if scale == Scale::Linear {
        step
    } else {
        values
            .iter()
            .copied()
            .filter(|v| *v > 0.0)
            .fold(f64::INFINITY, f64::min)
    };
    let long = largest >= 1e5 || (smallest < 0.99e-4 && smallest > 0.0);
    let exponent = if long && largest > 0.0 {
        libm::log10(largest).floor() as i32
    } else {
        0
    };
    let label = |value: f64| -> String {
        if value == 0.0 {
            return "0".into();
        }
        if scale == Scale::Linear {
            let unit = 10.0_f64.powi(exponent);
            let finest = if step.is_finite() {
                step / unit
            } else {
                value.abs() / unit
            };
            let is_whole = |digits: &usize| {
                let scaled = finest * 10.0_f64.powi(*digits as i32);
                (scaled - scaled.round()).abs() < 1e-6 * scaled && scaled > 0.5
            };
            let digits = (0..6).find(is_whole).unwrap_or(6);
            let number = signed(&format!("{:.digits$}", value / unit));
            return if exponent == 0 {
                number
            } else {
                format!("{number}·10^{{{}}}", signed(&exponent.to_string()))
            };
        }
        if long {
            let power = (libm::log10(value) + 1e-9).floor() as i32;
            let mantissa = (value / 10.0_f64.powi(power)).round();
            let power = format!("10^{{{}}}", signed(&power.to_string()));
            return if mantissa == 1.0 {
                power
            } else {
                format!("{mantissa}·{power}")
            };
        }
        // 0.30000000000000004 is 0.3.
        format!("{}", (value * 1e6).round() / 1e6)
    };
    values
        .iter()
        .map(|v| Tick {
            value: *v,
            label: label(*v),
        })
        .collect()
}

/// A number with a true minus sign.
pub fn signed(number: &str) -> String {
    number.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis, range: (f64, f64), length: f64) -> Vec<String> {
        axis.ticks(range, length, 11.0, true)
            .into_iter()
            .map(|t| t.label)
            .collect()
    }

    #[test]
    fn ticks_are_round_and_apart() {
        let linear = Axis::new("");
        assert_eq!(
            labels(&linear, (0.0, 100.0), 300.0),
            ["0", "20", "40", "60", "80", "100"]
        );
        assert_eq!(
            labels(&linear, (-0.1, 0.1), 200.0),
            ["−0.10", "−0.05", "0", "0.05", "0.10"]
        );
        assert_eq!(
            labels(&linear, (0.0, 2e9), 200.0),
            ["0", "0.5·10^{9}", "1.0·10^{9}", "1.5·10^{9}", "2.0·10^{9}"]
        );
        let log = Axis::new("").scaled(Scale::Log);
        assert_eq!(
            labels(&log, (0.01, 1000.0), 400.0),
            ["0.01", "0.1", "1", "10", "100", "1000"]
        );
        assert_eq!(
            labels(&log, (1.0, 1e6), 200.0),
            ["10^{0}", "10^{2}", "10^{4}", "10^{6}"]
        );
        let symlog = Axis::new("").scaled(Scale::Symlog(0.1));
        assert_eq!(labels(&symlog, (0.0, 50.0), 300.0), ["0", "0.1", "1", "10"]);
        assert_eq!(
            labels(&linear, (0.0, 10.0), 160.0),
            ["0", "2.5", "5.0", "7.5", "10.0"]
        );
        assert_eq!(
            log.minor_ticks((1.0, 12.0)),
            [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
        );
        for length in [5.0, 30.0, 60.0, 1000.0] {
            for range in [(0.0, 1e-9), (1e9, 1e9 + 1.0), (-5.0, 1e12), (0.0, 1.0)] {
                let ticks = linear.ticks(range, length, 11.0, true);
                assert!(ticks.len() <= 9, "{range:?} {length} {ticks:?}");
            }
        }
    }

    #[test]
    fn a_range_holds_its_values_and_is_never_empty() {
        let axis = Axis::new("");
        assert_eq!(axis.range([f64::NAN].into_iter(), 0.0), None);
        for values in [
            [0.0, 0.0],
            [7.0, 7.0],
            [1e9, 1e9],
            [-3.0, 5.0],
            [1e-300, 1e300],
        ] {
            let (low, high) = axis.range(values.into_iter(), 0.04).unwrap();
            assert!(
                low < high && low <= values[0] && high >= values[1],
                "{values:?} {low} {high}"
            );
        }
        let log = Axis::new("").scaled(Scale::Log);
        assert_eq!(log.range([0.0, -1.0].into_iter(), 0.0), None);
        let (low, high) = log.range([1e-300, 1e300].into_iter(), 0.05).unwrap();
        assert!(
            low <= 1e-300 && high >= 1e300 && high.is_finite(),
            "{low} {high}"
        );
        let (low, high) = log.range([0.0, 5.0].into_iter(), 0.0).unwrap();
        assert!(low < 5.0 && high > 5.0 && low > 0.0);
        let (low, high) = axis
            .clone()
            .from(0.0)
            .range([0.0, 0.0].into_iter(), 0.04)
            .unwrap();
        assert!(low == 0.0 && high > 0.0);
    }
}
