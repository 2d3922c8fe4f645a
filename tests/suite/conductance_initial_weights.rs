//! Initial weights of the canonical networks: norms, means, sparsity, and what a draw depends on.

use crate::common::settings;
use dalenet::conductance::params::Params;
use dalenet::conductance::settings::{Config, MatrixName};
use dalenet::conductance::weights::{Matrix, Weights, draw_initial};

fn canonical(name: &str) -> (Config, Params) {
    let text = dalenet::families::builtin(name).expect("is built in");
    let config = settings::parse(text, name).expect("is valid");
    let params = Params::new(&config, 784, 10);
    (config, params)
}

fn draw(name: &str, seed: u64, edit: impl FnOnce(&mut Config)) -> Weights {
    let (mut config, mut params) = canonical(name);
    edit(&mut config);
    params.training = config.training.clone();
    draw_initial(&params, &config.weights, seed)
}

fn values(m: &Matrix) -> impl Iterator<Item = f64> + '_ {
    m.data.iter().map(|&w| f64::from(w))
}

fn norm(m: &Matrix) -> f64 {
    values(m).map(|w| w * w).sum::<f64>().sqrt()
}

fn mean(m: &Matrix) -> f64 {
    values(m).sum::<f64>() / m.data.len() as f64
}

fn is_near(value: f64, expected: f64, percent: f64) -> bool {
    (value - expected).abs() <= expected * percent / 100.0
}

#[test]
fn norms_and_means_are_the_published_ones() {
    for (name, seed, norm_in, norm_out) in [("ping", 1, 6.17, 313.0), ("coba", 2, 1.54, 62.7)] {
        let w = draw(name, seed, |_| {});
        let (w_in, w_out) = (&w[&MatrixName::WIn], &w[&MatrixName::WOut]);
        assert_eq!((w_in.pre, w_in.post), (784, 1024));
        assert_eq!((w_out.pre, w_out.post), (1024, 10));
        assert!(
            is_near(norm(w_in), norm_in, 2.0),
            "{name} W_in {}",
            norm(w_in)
        );
        assert!(
            is_near(norm(w_out), norm_out, 2.0),
            "{name} W_out {}",
            norm(w_out)
        );
        // The two networks are told apart by these norms.
        assert!(!is_near(norm(w_in), 6.17 * 1.54 / norm_in, 2.0));
    }
    let w = draw("ping", 3, |_| {});
    let (ei, ie) = (&w[&MatrixName::WEi], &w[&MatrixName::WIe]);
    assert!(is_near(mean(ei), 1.0 / 1024.0, 0.5) && is_near(mean(ie), 2.0 / 256.0, 0.5));
    assert!(
        is_near(norm(ei), 1.005f64.sqrt() * mean(ei) * 512.0, 1.0),
        "{}",
        norm(ei)
    );
    let middle = mean(ie);
    let spread = (values(ie).map(|w| (w - middle).powi(2)).sum::<f64>() / 262_144.0).sqrt();
    assert!(
        is_near(spread, 0.1 * middle, 1.0),
        "standard deviation {spread}"
    );
    assert!(!w.contains_key(&MatrixName::WEe) && !w.contains_key(&MatrixName::WIi));
}

#[test]
fn ninety_five_percent_of_w_in_and_the_loop_of_coba_start_at_zero() {
    let ping = draw("ping", 4, |_| {});
    let zeros = |m: &Matrix| values(m).filter(|&w| w == 0.0).count() as f64 / m.data.len() as f64;
    assert!(is_near(zeros(&ping[&MatrixName::WIn]), 0.95, 0.2));
    assert_eq!(zeros(&ping[&MatrixName::WEi]), 0.0);
    // N(5.1, 3.8) lies below zero with probability 0.0897.
    assert!(is_near(zeros(&ping[&MatrixName::WOut]), 0.0897, 10.0));
    assert!(ping.values().all(|m| values(m).all(|w| w >= 0.0)));
    let coba = draw("coba", 4, |_| {});
    for name in [MatrixName::WEi, MatrixName::WIe] {
        assert_eq!(zeros(&coba[&name]), 1.0, "{name:?}");
    }
}

#[test]
fn a_draw_depends_on_its_seed_and_on_nothing_else() {
    let one = draw("ping", 5, |_| {});
    assert_eq!(draw("ping", 5, |_| {}), one);
    let other = draw("ping", 6, |_| {});
    for (name, m) in &one {
        assert_ne!(other[name], *m, "{name:?} ignores the seed");
    }
    // A matrix that is added, or drawn otherwise, leaves the others as they were.
    let more = draw("ping", 5, |config| {
        config.weights.ee_mean_us = 0.1;
        config.weights.ii_mean_us = 0.1;
        config.weights.in_sparsity = 0.5;
    });
    assert_eq!(more.len(), 6);
    assert_ne!(more[&MatrixName::WIn], one[&MatrixName::WIn]);
    for name in [MatrixName::WOut, MatrixName::WEi, MatrixName::WIe] {
        assert_eq!(more[&name], one[&name], "{name:?}");
    }
    // Matrices of one network are not the same numbers in another scale.
    let (ee, ii) = (&more[&MatrixName::WEe].data, &more[&MatrixName::WIi].data);
    let ratios = || ee.iter().zip(ii).take(100).map(|(a, b)| a / b);
    assert!(ratios().any(|r| (r / ratios().next().unwrap_or(r) - 1.0).abs() > 0.05));
}

#[test]
fn a_trained_matrix_is_drawn_even_if_its_mean_is_zero() {
    let w = draw("coba", 7, |config| {
        config.training.trainable.push(MatrixName::WEe)
    });
    assert!(w[&MatrixName::WEe].data.iter().all(|&w| w == 0.0));
    assert!(!w.contains_key(&MatrixName::WIi));
}
