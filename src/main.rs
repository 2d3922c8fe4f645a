//! tmp
use conductance::engine::Engine;
use dalenet::*;
fn main() {
    let mut config = config::Config::default();
    if std::env::args().nth(1).as_deref() == Some("coba") {
        config.weights.ei_strength = 0.0;
        config.weights.in_mean_us = 0.3;
        config.weights.out_scale = 100.0;
    }
    let mnist = data::load_mnist(Some("../shared/data/mnist".as_ref())).unwrap();
    let split = data::studies_split().unwrap();
    let params = conductance::params::Params::new(&config, 784, 10);
    let weights = conductance::weights::draw_initial(&params, &config.weights, 42);
    let n: usize = std::env::args()
        .nth(2)
        .and_then(|s| s.parse().ok())
        .unwrap_or(64);
    let seg: usize = std::env::args()
        .nth(3)
        .and_then(|s| s.parse().ok())
        .unwrap_or(45);
    let mut e = conductance::cpu::CpuEngine::<f32>::new(params.clone(), &weights, 0, seg).unwrap();
    for rep in 0..6u64 {
        let events: Vec<_> = split.train[n * rep as usize..n * (rep as usize + 1)]
            .iter()
            .map(|&i| {
                (
                    data::encode_image(
                        mnist.images.image(i),
                        2000,
                        0.1,
                        25.0,
                        data::NoiseKey::Train {
                            seed: 42,
                            epoch: rep,
                            sample: i as u64,
                        },
                    ),
                    mnist.images.labels[i] as u32,
                )
            })
            .collect();
        let batch = conductance::batch::Batch::new(events.iter().map(|(e, l)| (&e[..], *l)));
        let t = std::time::Instant::now();
        let f = e.forward(&batch, Default::default()).unwrap();
        let tf = t.elapsed().as_secs_f64();
        let t = std::time::Instant::now();
        let g = e.gradient(&batch, Default::default()).unwrap();
        let s = e.step().unwrap();
        let tg = t.elapsed().as_secs_f64();
        println!(
            "fwd {:.1}/s train {:.1}/s loss {:.3} norm {:.3e} e {} i {}",
            n as f64 / tf,
            n as f64 / tg,
            g.loss,
            s.gradient_norm,
            f.counts_e.iter().sum::<u32>() as f64 / (n as f64 * 1024.0 * 0.2),
            f.counts_i.iter().sum::<u32>() as f64 / (n as f64 * 256.0 * 0.2)
        );
    }
}
