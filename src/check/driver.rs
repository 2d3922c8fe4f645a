//! Faults that drivers are known to have, looked for by kernels of their own.

use super::{Checklist, Verdict};
use crate::gpu::{AdapterInfo, Gpu, GpuError, Kernel, resolve_imports};
use crate::real::Real;
use crate::text::count;

const SHADERS: &[(&str, &str)] = &[
    (
        "common/expm1.wgsl",
        include_str!("../../shaders/common/expm1.wgsl"),
    ),
    (
        "common/exp.wgsl",
        include_str!("../../shaders/common/exp.wgsl"),
    ),
    (
        "check/loops.wgsl",
        include_str!("../../shaders/check/loops.wgsl"),
    ),
    (
        "check/numbers.wgsl",
        include_str!("../../shaders/check/numbers.wgsl"),
    ),
];

/// Turns of the loops on a driver that ends none.
const LONG_LOOP: [u32; 2] = [1000, 2000];
/// Units in the last place by which the device's division and square root may be off.
const MOST_ULP: u32 = 3;
/// Arguments of the exponential.
const ARGUMENTS: usize = 4096;
/// Units in the last place by which the kernels' exponential may be off where the driver rounds otherwise.
const MOST_ULP_OF_EXP: u32 = 2;

/// Looks for the faults.
pub(super) fn check(gpu: &Gpu, info: &AdapterInfo, checklist: &mut Checklist<'_>) {
    checklist.check("long loops", || loops(gpu, info));
    if !checklist.is_wanted("numbers") {
        return;
    }
    match numbers(gpu) {
        Ok(seen) => seen.tell(checklist),
        Err(error) => checklist.add("numbers", Verdict::Fails, error.to_string()),
    }
}

fn run(
    gpu: &Gpu,
    file: &str,
    input: (&str, &[u32]),
    output: (&str, usize),
) -> Result<Vec<u32>, GpuError> {
    let source = resolve_imports(file, SHADERS)?;
    let kernel = Kernel::new(gpu, file, &source, "main")?;
    let from = gpu.storage_init(input.0, input.1)?;
    let to = gpu.storage(output.0, 4 * output.1 as u64)?;
    let bound = kernel.bind(gpu, &[(input.0, &from), (output.0, &to)])?;
    let mut commands = gpu.commands();
    commands.dispatch(&kernel, &bound, [1, 1, 1], None)?;
    commands.submit()?;
    gpu.read(&to, 0..output.1)
}

/// Whether loops take all their turns, as many as dispatches here are allowed.
fn loops(gpu: &Gpu, info: &AdapterInfo) -> Result<(Verdict, String), GpuError> {
    let most = info.max_loop_iterations();
    let [outer, inner] = most.map_or(LONG_LOOP, |most| [1, most / 4]);
    let turns = most.map_or(LONG_LOOP[1], |most| most / 4);
    let lengths = [outer, inner, turns];
    let counted = run(
        gpu,
        "check/loops.wgsl",
        ("lengths", &lengths),
        ("counted", 2),
    )?;
    let expected = [outer * inner, turns];
    if counted != expected {
        let seen = format!("{counted:?} turns were counted where {expected:?} were made");
        return Ok((Verdict::Fails, seen));
    }
    let turns = count((outer * inner) as usize, "turn", "turns");
    Ok(match most {
        None => (
            Verdict::Holds,
            format!("{turns} of nested loops in one invocation"),
        ),
        Some(most) => (
            Verdict::Noted,
            format!(
                "{turns} are counted; this driver ends loops after {most}, and dispatches are kept shorter"
            ),
        ),
    })
}

/// What the device makes of numbers.
struct Numbers {
    /// NaN ≠ itself, NaN by its bits, NaN through a floor.
    nan: [bool; 3],
    /// a·b + c, and what it is rounded twice and once.
    sum: [f32; 3],
    /// Units in the last place by which 1 / b and √b are off.
    ulp: [u32; 2],
    /// The largest by which the exponential of the kernels differs from its twin on the CPU.
    ulp_of_exp: u32,
}

fn numbers(gpu: &Gpu) -> Result<Numbers, GpuError> {
    // a·b is 1 − 2⁻²⁴ rounded to 1 − 2⁻²⁴ or not at all: a difference of 2⁻⁴⁸ that only one rounding keeps.
    let (a, b) = (1.0 + f32::EPSILON, 1.0 - f32::EPSILON);
    let c = -1.0f32;
    let arguments = (0..ARGUMENTS).map(|i| -85.0 + 0.0412 * i as f32);
    let inputs: Vec<f32> = [a, b, c, f32::NAN].into_iter().chain(arguments).collect();
    let words: Vec<u32> = inputs.iter().map(|x| x.to_bits()).collect();
    let outputs = ("results", 6 + ARGUMENTS);
    let results = run(gpu, "check/numbers.wgsl", ("inputs", &words), outputs)?;
    let results: Vec<f32> = results.into_iter().map(f32::from_bits).collect();
    let exps = results[6..].iter().zip(&inputs[4..]);
    Ok(Numbers {
        nan: [0, 1, 2].map(|i| results[i] == 1.0),
        sum: [results[3], a * b + c, a.mul_add(b, c)],
        ulp: [ulp(results[4], 1.0 / b), ulp(results[5], b.sqrt())],
        ulp_of_exp: exps
            .map(|(x, arg)| ulp(*x, Real::exp(*arg)))
            .max()
            .unwrap_or(0),
    })
}

/// Numbers between two of them.
fn ulp(a: f32, b: f32) -> u32 {
    let ordered = |x: f32| {
        let bits = x.to_bits() as i64;
        if bits >> 31 == 1 {
            (1 << 31) - bits
        } else {
            bits
        }
    };
    u32::try_from((ordered(a) - ordered(b)).abs()).unwrap_or(u32::MAX)
}

impl Numbers {
    fn tell(&self, checklist: &mut Checklist<'_>) {
        let [compared, by_bits, through] = self.nan;
        let verdict = match (by_bits && through, compared) {
            (true, true) => Verdict::Holds,
            (true, false) => Verdict::Noted,
            (false, _) => Verdict::Fails,
        };
        let seen = match (verdict, compared) {
            (Verdict::Fails, _) => "a NaN is lost: a network that diverges would go unnoticed",
            (_, true) => "a NaN stays one and is told from a number",
            (_, false) => {
                "this driver takes no NaN into account where it compares; kernels look at bits"
            }
        };
        checklist.add("numbers that are none (NaN)", verdict, seen);
        let [sum, twice, once] = self.sum;
        let (verdict, seen) = if sum == twice {
            (
                Verdict::Holds,
                "a·b + c is rounded as it is written: forms of one computation have the same bits",
            )
        } else if sum == once {
            (
                Verdict::Noted,
                "this driver rounds a·b + c once: forms of one computation may differ in bits, and a run keeps the form that it began with",
            )
        } else {
            (Verdict::Fails, "a·b + c is neither rounded once nor twice")
        };
        checklist.add("rounding", verdict, seen);
        let [division, root] = self.ulp;
        checklist.add(
            "division and square root",
            Verdict::of(division <= MOST_ULP && root <= MOST_ULP),
            format!("off by {division} and {root} units in the last place"),
        );
        let off = self.ulp_of_exp;
        let seen = match off {
            0 => format!("the bits of the CPU at {ARGUMENTS} places"),
            off => format!(
                "off by {} at most",
                count(
                    off as usize,
                    "unit in the last place",
                    "units in the last place"
                )
            ),
        };
        checklist.add(
            "the kernels' exponential",
            Verdict::of(off <= MOST_ULP_OF_EXP),
            seen,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_in_the_last_place_are_counted_across_zero() {
        assert_eq!(ulp(1.0, 1.0), 0);
        assert_eq!(ulp(1.0, 1.0 + f32::EPSILON), 1);
        assert_eq!(ulp(f32::from_bits(1), -f32::from_bits(1)), 2);
        assert!(ulp(f32::NAN, 1.0) > 1000);
    }

    #[test]
    fn each_fault_is_told_apart() {
        let sound = || Numbers {
            nan: [true; 3],
            sum: [0.0, 0.0, 1.0],
            ulp: [0; 2],
            ulp_of_exp: 0,
        };
        let told = |numbers: Numbers| -> Vec<Verdict> {
            let mut checklist = Checklist {
                all: Vec::new(),
                only: None,
                tell: &mut |_| {},
                began: std::time::Instant::now(),
            };
            numbers.tell(&mut checklist);
            checklist
                .all
                .iter()
                .map(|finding| finding.verdict)
                .collect()
        };
        use Verdict::{Fails, Holds, Noted};
        assert_eq!(told(sound()), [Holds; 4]);
        let nan = |nan| Numbers { nan, ..sound() };
        assert_eq!(told(nan([false, true, true]))[0], Noted);
        assert_eq!(told(nan([true, true, false]))[0], Fails);
        let sum = |sum| Numbers {
            sum: [sum, 0.0, 1.0],
            ..sound()
        };
        assert_eq!((told(sum(1.0))[1], told(sum(2.0))[1]), (Noted, Fails));
        let ulp = Numbers {
            ulp: [0, 9],
            ..sound()
        };
        assert_eq!(told(ulp)[2], Fails);
        let exp = Numbers {
            ulp_of_exp: 40,
            ..sound()
        };
        assert_eq!(told(exp)[3], Fails);
    }
}
