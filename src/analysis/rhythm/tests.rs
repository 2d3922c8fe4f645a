//! Drawn rasters of known kinds: how often a rhythm is claimed where there is none, missed where there
//! is one, and how far its frequency is off.

use super::*;

const STEPS: usize = 2000;
const DT_MS: f64 = 0.1;

/// How a raster is drawn.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Independent Poisson cells.
    Flat,
    /// The same with a rate that rises from 0.
    Ramp,
    /// Poisson cells under a common fluctuation with a memory of 5 ms.
    Shared,
    /// Cells with gamma intervals (order 12), each begun anywhere in one.
    Regular,
    /// The same, all begun together.
    Ringing,
    /// Poisson cells modulated at a frequency, anywhere in its phase.
    Modulated { depth: f64, hz: f64 },
}

impl Kind {
    /// Spikes of one trial.
    fn trial(self, cells: usize, rate_hz: f64, stream: &mut Stream) -> Spikes {
        let per_step = rate_hz * DT_MS / 1000.0;
        let mut at = Vec::new();
        match self {
            Self::Regular | Self::Ringing => {
                let mean_ms = 1000.0 / rate_hz;
                for cell in 0..cells as u32 {
                    let interval = |stream: &mut Stream| -> f64 {
                        let product: f64 = (0..12).map(|_| stream.uniform_f64_open()).product();
                        -product.ln() / 12.0 * mean_ms
                    };
                    let mut time = interval(stream);
                    if matches!(self, Self::Regular) {
                        time *= stream.uniform_f64_open();
                    }
                    while time < STEPS as f64 * DT_MS {
                        at.push(((time / DT_MS) as u32, cell));
                        time += interval(stream).max(DT_MS);
                    }
                }
            }
            _ => {
                let profile = self.profile(stream);
                let top = profile.iter().copied().fold(0.0, f64::max);
                for cell in 0..cells as u32 {
                    let candidates: Vec<u32> = stream
                        .bernoulli_gaps(per_step * top, STEPS as u32)
                        .collect();
                    for step in candidates {
                        if stream.uniform_f64_open() * top <= profile[step as usize] {
                            at.push((step, cell));
                        }
                    }
                }
            }
        }
        at.sort_unstable();
        Spikes {
            steps: STEPS,
            cells,
            at,
        }
    }

    /// Rate in each step over the mean rate.
    fn profile(self, stream: &mut Stream) -> Vec<f64> {
        let of_step = |f: &mut dyn FnMut(f64) -> f64| {
            (0..STEPS)
                .map(|step| f(step as f64 / STEPS as f64))
                .collect()
        };
        match self {
            Self::Ramp => of_step(&mut |share| 2.0 * share),
            Self::Shared => {
                let keep = (-DT_MS / 5.0f64).exp();
                let mut state = stream.normal();
                of_step(&mut |_| {
                    state = keep * state + (1.0 - keep * keep).sqrt() * stream.normal();
                    (1.0 + 0.5 * state).max(0.0)
                })
            }
            Self::Modulated { depth, hz } => {
                let phase = stream.uniform_f64_open();
                let turns = |share: f64| hz * share * STEPS as f64 * DT_MS / 1000.0 + phase;
                of_step(&mut |share| 1.0 + depth * (std::f64::consts::TAU * turns(share)).cos())
            }
            _ => vec![1.0; STEPS],
        }
    }

    fn correlogram(self, trials: u64, cells: usize, rate_hz: f64, number: u64) -> Correlogram {
        let mut all = Correlogram::new(STEPS, DT_MS, Settings::default());
        for trial in 0..trials {
            let mut stream = Stream::new(Purpose::ShuffledSpikes, 4711, number, trial);
            all.add(&self.trial(cells, rate_hz, &mut stream));
        }
        all
    }
}

/// Log-uniform between the ends.
fn between(ends: [f64; 2], stream: &mut Stream) -> f64 {
    ends[0] * (ends[1] / ends[0]).powf(stream.uniform_f64_open())
}

#[test]
fn of_a_thousand_rasters_without_rhythm_at_most_ten_are_called_rhythmic() {
    let kinds = [
        Kind::Flat,
        Kind::Ramp,
        Kind::Shared,
        Kind::Regular,
        Kind::Ringing,
    ];
    let alarms: Vec<String> = (0..1000u64)
        .into_par_iter()
        .filter_map(|number| {
            let mut stream = Stream::new(Purpose::ShuffledSpikes, 1, number, 0);
            let kind = kinds[number as usize % kinds.len()];
            let trials = between([20.0, 400.0], &mut stream) as u64;
            let rate_hz = between([1.0, 150.0], &mut stream);
            let all = kind.correlogram(trials, 30, rate_hz, number);
            let contrast = all.contrast();
            // Draws of the null are slow, and change nothing below the least contrast.
            let wrong = contrast >= LEAST_CONTRAST && all.rhythm(number, 0).is_rhythmic;
            wrong.then(|| format!("{kind:?}, {trials} trials, {rate_hz:.1} Hz: {contrast:.3}"))
        })
        .collect();
    println!(
        "{} of 1000 rasters without rhythm called rhythmic",
        alarms.len()
    );
    assert!(alarms.len() <= 10, "{}: {alarms:#?}", alarms.len());
}

#[test]
fn of_rasters_with_a_rhythm_at_least_99_percent_are_found_at_their_frequency() {
    let failures: Vec<String> = (0..200u64)
        .into_par_iter()
        .filter_map(|number| {
            let mut stream = Stream::new(Purpose::ShuffledSpikes, 2, number, 0);
            let trials = between([20.0, 400.0], &mut stream) as u64;
            let rate_hz = between([5.0, 150.0], &mut stream);
            let hz = between([20.0, 100.0], &mut stream);
            // A depth m makes the contrast m² / 2.
            let depth = between([0.65, 1.0], &mut stream);
            let all = Kind::Modulated { depth, hz }.correlogram(trials, 100, rate_hz, number);
            let found = all.rhythm(number, 0);
            let right = found.is_rhythmic && (found.f_hz / hz - 1.0).abs() <= 0.03;
            (!right).then(|| format!("{hz} Hz, {depth}, {trials} × {rate_hz} Hz: {found:?}"))
        })
        .collect();
    println!(
        "{} of 200 rasters with a rhythm missed or misplaced",
        failures.len()
    );
    assert!(failures.len() <= 2, "{}: {failures:#?}", failures.len());
}

#[test]
fn the_normal_draws_of_many_spikes_are_those_of_single_ones() {
    // 700 and 699 spikes a trial in 140 bins: on either side of the limit the points of the null agree.
    let mut all = Kind::Flat.correlogram(1, 1, 1.0, 0);
    all.pairs = vec![700 * 699; 40];
    all.trials = 40;
    all.spikes = 40 * 700;
    let by_normal = all.null(1, 0);
    all.pairs = vec![699 * 698; 40];
    let by_spike = all.null(2, 0);
    let ratio = by_normal.contrast / by_spike.contrast;
    assert!((0.8..1.25).contains(&ratio), "{ratio}");
    for lag in 1..70 {
        let [a, b] = [&by_normal, &by_spike].map(|null| null.high[lag] - null.low[lag]);
        assert!((0.7..1.4).contains(&(a / b)), "lag {lag}: {a} {b}");
    }
}

#[test]
fn one_cell_alone_makes_no_rhythm_and_no_spikes_no_number() {
    let clock = |cells: usize, firing: u32| {
        let mut all = Correlogram::new(STEPS, DT_MS, Settings::default());
        let spikes = (0..STEPS as u32).filter(|step| step % 250 == 0);
        let at = spikes.flat_map(|step| (0..firing).map(move |cell| (step, cell)));
        let at = at.collect();
        let steps = STEPS;
        (0..20).for_each(|_| {
            all.add(&Spikes {
                steps,
                cells,
                at: Vec::clone(&at),
            })
        });
        all.rhythm(0, 0)
    };
    let alone = clock(10, 1);
    assert!(!alone.is_rhythmic && alone.contrast.is_nan() && alone.f_hz.is_nan());
    let together = clock(10, 10);
    assert!(together.is_rhythmic);
    assert!((together.contrast - 1.0).abs() < 1e-9 && (together.f_hz - 40.0).abs() < 0.01);
    let silent = clock(10, 0);
    assert!(!silent.is_rhythmic && silent.contrast.is_nan() && silent.null_contrast.is_nan());
}

#[test]
fn pairs_of_different_cells_are_what_is_counted() {
    // dt 1 ms, no onset left out: cell 0 at 3, 3 + 2 = 5; cell 1 at 3; cell 2 at 8.
    let settings = Settings {
        onset_ms: 0.0,
        ..Settings::default()
    };
    let mut all = Correlogram::new(20, 1.0, settings);
    all.add(&Spikes {
        steps: 20,
        cells: 3,
        at: vec![(3, 0), (3, 1), (5, 0), (8, 2)],
    });
    // Lag 0: 0–1 both ways; 2: 1→0; 3: 0→2; 5: 0→2 and 1→2.
    assert_eq!(all.products, [2, 0, 1, 1, 0, 2, 0, 0, 0, 0, 0]);
    assert_eq!(all.pairs, [16 - 4 - 1 - 1]);
    assert_eq!((all.lowest_hz(), all.onset_ms()), (100.0, 0.0));
}

#[test]
fn multiples_of_the_period_are_not_taken_for_it() {
    // Volleys at 32.5 Hz whose peak at one period is a little lower than that at two.
    let curve: Vec<f64> = (0..71)
        .map(|lag| {
            let bump = |at: f64, height: f64| height * (-(lag as f64 - at).powi(2) / 8.0).exp();
            0.2 + bump(0.0, 2.0) + bump(30.8, 1.0) + bump(61.5, 1.4)
        })
        .collect();
    let found = fundamental(&curve).unwrap();
    assert!((found.lag - 30.8).abs() < 0.1, "{found:?}");
}

#[test]
fn what_only_the_beginning_of_a_trial_shows_is_no_rhythm() {
    // Four volleys of all cells in the first 60 ms, then each cell by itself.
    let all = |onset_ms| {
        let settings = Settings {
            onset_ms,
            ..Settings::default()
        };
        let mut all = Correlogram::new(STEPS, DT_MS, settings);
        for trial in 0..60 {
            let mut stream = Stream::new(Purpose::ShuffledSpikes, 3, trial, 0);
            let mut spikes = Kind::Flat.trial(30, 20.0, &mut stream);
            spikes.at.retain(|(step, _)| *step >= 600);
            let volleys = [30, 180, 330, 480].map(|step| (0..30).map(move |cell| (step, cell)));
            spikes.at.extend(volleys.into_iter().flatten());
            spikes.at.sort_unstable();
            all.add(&spikes);
        }
        all.rhythm(0, 0)
    };
    assert!(all(0.0).is_rhythmic && !all(60.0).is_rhythmic);
}
