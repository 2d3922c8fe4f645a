// Some steps of trials: in each, conductances take up the spikes of the step before, then all neurons advance.
//
//   g ← g + Σ w s      v ← v + dt (0.04 (v + 62.5)² − 16.25 − u + g_exc − g_inh)      u ← u + dt a (b v − u)
//   v ≥ 30: v ← c, u ← u + d      g ← g e^(−dt/τ)
//
// One workgroup owns one trial; thread `tid` owns the neurons tid, tid + WG, … in its registers. Spikes of a step are
// bits in workgroup memory, of which three sets take turns: before, now, next. Sums go over input events in their order,
// then over neurons, ascending: no bit depends on the grid.
//
// grid      one workgroup a trial
// cells     [4, neuron]: dt a, b, c, d; then dt, 0.04, 62.5 and 16.25: drivers rearrange sums and products of numbers that
//           they know, and then round otherwise
// weights   [lane, pre, post]
// lanes     [trial]
// events    [event, 3]: step, input, share of the weight that is passed on (bits of a float); a trial's in their order
// ranges    [trial + 1]: first event of each trial
// state     [slot, 4, neuron]: v, u, g_exc, g_inh
// resources [slot, 3, neuron]: left, used, step of the last spike and 1; where synapses tire by resources
// emptied   [slot, pre, post]: where they do by chance
// recovery  [3, steps + 1]: 1 − e^(−Δ/τ_rec), the largest word of that chance, e^(−Δ/τ_facil)
// fired     [slot, word]: spikes of the last step; passed [slot, neuron]
// counts    [trial, pre]: the neurons' part
// raster    [step, word], of one trial
// twin      `TrialState::step` in src/izhikevich/trial.rs
struct Step {
    // Steps, and how many a trial has.
    first: u32,
    count: u32,
    steps: u32,
    // Trial of the first workgroup.
    trial: u32,
    records: u32,
    unused_a: u32,
    unused_b: u32,
    unused_c: u32,
}

@group(0) @binding(0) var<storage, read> cells: array<f32>;
@group(0) @binding(1) var<storage, read> inhibits: array<u32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> events: array<u32>;
@group(0) @binding(4) var<storage, read> ranges: array<u32>;
@group(0) @binding(5) var<storage, read> recovery: array<u32>;
@group(0) @binding(6) var<storage, read> keys: array<u32>;
@group(0) @binding(7) var<storage, read_write> state: array<f32>;
@group(0) @binding(8) var<storage, read_write> scratch: array<u32>;
@group(0) @binding(9) var<storage, read_write> counts: array<u32>;
@group(0) @binding(10) var<storage, read_write> raster: array<u32>;
@group(0) @binding(11) var<storage, read> lanes: array<u32>;
@group(0) @binding(12) var<uniform> this_step: Step;

// Parts of a slot of `scratch`.
const CURSOR_AT: u32 = 0u;
const FIRED_AT: u32 = 1u;
const PASSED_AT: u32 = FIRED_AT + WORDS;
const RESOURCES_AT: u32 = PASSED_AT + NEURONS;
const EMPTIED_AT: u32 = RESOURCES_AT + 3u * NEURONS;

var<workgroup> bits: array<atomic<u32>, SET_WORDS>;
var<workgroup> passed_on: array<f32, PASSED_WORDS>;

struct Mine {
    v: array<f32, PER_THREAD>,
    u: array<f32, PER_THREAD>,
    g_exc: array<f32, PER_THREAD>,
    g_inh: array<f32, PER_THREAD>,
}

fn faded(g: f32) -> f32 {
    return select(g, 0.0, g < LEAST_CONDUCTANCE);
}

fn high_word(a: u32, b: u32) -> u32 {
    let low = (a & 0xffffu) * (b & 0xffffu);
    let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
    let other = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
    return (a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u);
}

// The first two words of Philox4x32-10; the twin is `philox4x32` in src/random.rs.
fn philox(start: vec4<u32>, start_key: vec2<u32>) -> vec2<u32> {
    var counter = start;
    var key = start_key;
    for (var round = 0u; round < 10u; round++) {
        counter = vec4<u32>(
            high_word(0xcd9e8d57u, counter.z) ^ counter.y ^ key.x,
            0xcd9e8d57u * counter.z,
            high_word(0xd2511f53u, counter.x) ^ counter.w ^ key.y,
            0xd2511f53u * counter.x,
        );
        key += vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
    }
    return counter.xy;
}

// Whether the site of a synapse releases at a spike in `step`; the twin is `releases` in src/izhikevich/synapses.rs.
fn releases(site: u32, step: u32, pre: u32, post: u32, key: vec2<u32>) -> bool {
    let words = philox(vec4<u32>(step, pre, post, 0u), key);
    let emptied = scratch[site];
    if emptied > 0u {
        let since = step + 1u - emptied;
        if words.x > recovery[this_step.steps + 1u + since] {
            scratch[site] = step + 1u;
            return false;
        }
    }
    let released = words.y <= RELEASE_MOST;
    scratch[site] = select(0u, step + 1u, released);
    return released;
}

// What a spike of a neuron in `step` passes on; the twin is `Resources::spend` in src/izhikevich/synapses.rs.
fn spend(at: u32, step: u32) -> f32 {
    let left = bitcast<f32>(scratch[at]);
    let last = scratch[at + 2u * NEURONS];
    var used = RELEASE;
    var there = 1.0;
    if last > 0u {
        let since = step + 1u - last;
        let kept = bitcast<f32>(scratch[at + NEURONS]) * (1.0 - RELEASE)
            * bitcast<f32>(recovery[2u * (this_step.steps + 1u) + since]);
        used = RELEASE + kept;
        there = left + (1.0 - left) * bitcast<f32>(recovery[since]);
    }
    let passed = used * there;
    scratch[at] = bitcast<u32>(there - passed);
    scratch[at + NEURONS] = bitcast<u32>(used);
    scratch[at + 2u * NEURONS] = step + 1u;
    return passed;
}

// Adds the synapses of a pre cell that fired in the step before `t` to the thread's neurons.
fn pass_on(mine: ptr<function, Mine>, tid: u32, t: u32, pre: u32, passed: f32, row: u32, sites: u32, key: vec2<u32>) {
    let inhibitory = inhibits[pre] != 0u;
    for (var k = 0u; k < PER_THREAD; k++) {
        let post = tid + k * WG;
        if post < NEURONS {
            let w = weights[row + pre * NEURONS + post];
            var added = w;
            if REDISTRIBUTION == DETERMINISTIC {
                added = w * passed;
            } else if REDISTRIBUTION == STOCHASTIC {
                added = 0.0;
                if w > 0.0 {
                    let site = sites + pre * NEURONS + post;
                    if releases(site, t - 1u, pre, post, key) {
                        added = w;
                    }
                }
            }
            if inhibitory {
                (*mine).g_inh[k] += added;
            } else {
                (*mine).g_exc[k] += added;
            }
        }
    }
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) tid: u32) {
    let slot = group.x;
    let trial = this_step.trial + slot;
    let row = lanes[trial] * PRE * NEURONS;
    let states = slot * 4u * NEURONS;
    let own = slot * SLOT_WORDS;
    let key = vec2<u32>(keys[2u * trial], keys[2u * trial + 1u]);
    let is_start = this_step.first == 0u;
    let dt = cells[4u * NEURONS];
    let square = cells[4u * NEURONS + 1u];
    let middle = cells[4u * NEURONS + 2u];
    let lowest = cells[4u * NEURONS + 3u];
    var mine = Mine();
    for (var k = 0u; k < PER_THREAD; k++) {
        let j = tid + k * WG;
        if j < NEURONS {
            if is_start {
                mine.v[k] = V_START;
                mine.u[k] = cells[NEURONS + j] * V_START;
                counts[trial * PRE + N_IN + j] = 0u;
                if REDISTRIBUTION == DETERMINISTIC {
                    scratch[own + RESOURCES_AT + j] = bitcast<u32>(1.0);
                    scratch[own + RESOURCES_AT + NEURONS + j] = 0u;
                    scratch[own + RESOURCES_AT + 2u * NEURONS + j] = 0u;
                } else if REDISTRIBUTION == STOCHASTIC {
                    for (var pre = 0u; pre < PRE; pre++) {
                        scratch[own + EMPTIED_AT + pre * NEURONS + j] = 0u;
                    }
                }
            } else {
                mine.v[k] = state[states + j];
                mine.u[k] = state[states + NEURONS + j];
                mine.g_exc[k] = state[states + 2u * NEURONS + j];
                mine.g_inh[k] = state[states + 3u * NEURONS + j];
                if REDISTRIBUTION == DETERMINISTIC {
                    passed_on[j] = bitcast<f32>(scratch[own + PASSED_AT + j]);
                }
            }
        }
    }
    // The set of step t is t % 3; the one before the first holds what the last dispatch left.
    for (var word = tid; word < SET_WORDS; word += WG) {
        var start = 0u;
        if !is_start && word / WORDS == (this_step.first + 2u) % 3u {
            start = scratch[own + FIRED_AT + word % WORDS];
        }
        atomicStore(&bits[word], start);
    }
    let end = ranges[trial + 1u];
    // Events of the step before, which are passed on in this one.
    var at = ranges[trial];
    if !is_start {
        at = scratch[own + CURSOR_AT];
    }
    workgroupBarrier();
    for (var i = 0u; i < this_step.count; i++) {
        let t = this_step.first + i;
        let before = (t + 2u) % 3u * WORDS;
        let now = t % 3u * WORDS;
        let next = (t + 1u) % 3u * WORDS;
        if t > 0u {
            while at < end && events[3u * at] + 1u == t {
                let passed = bitcast<f32>(events[3u * at + 2u]);
                pass_on(&mine, tid, t, events[3u * at + 1u], passed, row, own + EMPTIED_AT, key);
                at++;
            }
            for (var word = 0u; word < WORDS; word++) {
                var left = atomicLoad(&bits[before + word]);
                while left != 0u {
                    let j = word * 32u + firstTrailingBit(left);
                    left &= left - 1u;
                    var passed = 1.0;
                    if REDISTRIBUTION == DETERMINISTIC {
                        passed = passed_on[(t + 1u) % 2u * NEURONS + j];
                    }
                    pass_on(&mine, tid, t, N_IN + j, passed, row, own + EMPTIED_AT, key);
                }
            }
        }
        // Nobody reads the next set before the barrier.
        for (var word = tid; word < WORDS; word += WG) {
            atomicStore(&bits[next + word], 0u);
        }
        for (var k = 0u; k < PER_THREAD; k++) {
            let j = tid + k * WG;
            if j < NEURONS {
                let current = mine.g_exc[k] - mine.g_inh[k];
                let v0 = mine.v[k];
                let u0 = mine.u[k];
                let x = v0 + middle;
                let v = v0 + dt * (square * (x * x) - lowest - u0 + current);
                let u = u0 + cells[j] * (cells[NEURONS + j] * v - u0);
                mine.v[k] = v;
                mine.u[k] = u;
                if v >= V_SPIKE {
                    mine.v[k] = cells[2u * NEURONS + j];
                    mine.u[k] = u + cells[3u * NEURONS + j];
                    atomicOr(&bits[now + j / 32u], 1u << (j % 32u));
                    counts[trial * PRE + N_IN + j] += 1u;
                    if REDISTRIBUTION == DETERMINISTIC {
                        passed_on[t % 2u * NEURONS + j] = spend(own + RESOURCES_AT + j, t);
                    }
                }
                mine.g_exc[k] = faded(mine.g_exc[k] * DECAY_EXC);
                mine.g_inh[k] = faded(mine.g_inh[k] * DECAY_INH);
            }
        }
        workgroupBarrier();
        if this_step.records != 0u {
            for (var word = tid; word < WORDS; word += WG) {
                raster[t * WORDS + word] = atomicLoad(&bits[now + word]);
            }
        }
    }
    let last = this_step.first + this_step.count + 2u;
    for (var word = tid; word < WORDS; word += WG) {
        scratch[own + FIRED_AT + word] = atomicLoad(&bits[last % 3u * WORDS + word]);
    }
    for (var k = 0u; k < PER_THREAD; k++) {
        let j = tid + k * WG;
        if j < NEURONS {
            state[states + j] = mine.v[k];
            state[states + NEURONS + j] = mine.u[k];
            state[states + 2u * NEURONS + j] = mine.g_exc[k];
            state[states + 3u * NEURONS + j] = mine.g_inh[k];
            if REDISTRIBUTION == DETERMINISTIC {
                let newest = (this_step.first + this_step.count + 1u) % 2u;
                scratch[own + PASSED_AT + j] = bitcast<u32>(passed_on[newest * NEURONS + j]);
            }
        }
    }
    if tid == 0u {
        scratch[own + CURSOR_AT] = at;
    }
}
