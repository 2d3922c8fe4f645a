//! tmp
use dalenet::*;
fn main() {
    for path in std::env::args().skip(2) {
        let case = parity::Case::load(path.as_ref()).unwrap();
        let f64_ = std::env::args().nth(1).as_deref() == Some("f64");
        let gpu = std::env::args().nth(1).as_deref() == Some("gpu");
        let device = gpu.then(|| {
            let gpu::Selection::Adapter { adapter, .. } =
                gpu::select(gpu::DeviceChoice::Gpu).unwrap()
            else {
                panic!()
            };
            std::sync::Arc::new(gpu::Gpu::open(&adapter).unwrap())
        });
        let t = std::time::Instant::now();
        let r = parity::run(
            &case,
            if f64_ {
                parity::Precision::F64
            } else {
                parity::Precision::F32
            },
            &mut |c| {
                if let Some(d) = &device {
                    return Ok(Box::new(conductance::gpu::GpuEngine::new(
                        d.clone(),
                        c.params.clone(),
                        &c.weights,
                        None,
                        c.batch.trials(),
                    )?));
                }
                Ok(if f64_ {
                    Box::new(conductance::cpu::CpuEngine::<f64>::new(
                        c.params.clone(),
                        &c.weights,
                        0,
                        45,
                    )?) as Box<dyn conductance::engine::Engine>
                } else {
                    Box::new(conductance::cpu::CpuEngine::<f32>::new(
                        c.params.clone(),
                        &c.weights,
                        0,
                        45,
                    )?)
                })
            },
        )
        .unwrap();
        println!(
            "{} {} imposed {} ties {} {:?}",
            case.name,
            if r.passed() { "PASS" } else { "FAIL" },
            r.imposed,
            r.ties.len(),
            t.elapsed()
        );
        for row in &r.rows {
            if !row.passed || std::env::var("V").is_ok() {
                println!("   {:?}", row);
            }
        }
    }
}
