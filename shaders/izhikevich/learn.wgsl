// What trials change of weights and thresholds, each in a lane of its own.
//
//   excitatory  Δw = η w₀ (r/r₀)(y/r₀)((y − θ)/r₀)      inhibitory  Δw = η w₀ · what INHIBITORY says
//   decay       Δw = −λ ⟨w − w₀⟩ over what DECAY says     θ ← θ + (y²/r₀ − θ)/τ
//
// One workgroup owns one trial and its lane; thread `tid` owns the post cells tid, tid + WG, … Sums go over pre cells, ascending.
//
// grid      one workgroup a trial
// lanes     [trial]
// weights   [lane, pre, post]
// theta     [lane, post]
// counts    [trial, pre]
// targets   [trial]: the class that is taught, or NONE
// classes   [post]: the class of a neuron, or NONE
// rates     [2, count]: a count of spikes in Hz, and in r₀
// synapses  [4, pre, post]: η w₀, w₀, 1/w₀, largest weight
// learns    [pre, post]: 1 where a synapse does
// pull      [2, post]: λ over the excitatory, and over the inhibitory, synapses of a cell
// sums      [lane, 2, post]: Σ (w − w₀) by sign
// twin      `Rules::learn` in src/izhikevich/plasticity.rs
struct Step {
    trial: u32,
    steps: u32,
    unused_a: u32,
    unused_b: u32,
}

const NONE: u32 = 0xffffffffu;

@group(0) @binding(0) var<storage, read> inhibits: array<u32>;
@group(0) @binding(1) var<storage, read> counts: array<u32>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read> classes: array<u32>;
@group(0) @binding(4) var<storage, read> rates: array<f32>;
@group(0) @binding(5) var<storage, read> synapses: array<f32>;
@group(0) @binding(6) var<storage, read> learns: array<u32>;
@group(0) @binding(7) var<storage, read> pull: array<f32>;
@group(0) @binding(8) var<storage, read_write> weights: array<f32>;
@group(0) @binding(9) var<storage, read_write> theta: array<f32>;
@group(0) @binding(10) var<storage, read_write> sums: array<f32>;
@group(0) @binding(11) var<storage, read> lanes: array<u32>;
@group(0) @binding(12) var<uniform> this_step: Step;

const ALL: u32 = PRE * NEURONS;

// Σ (w − w₀) of the whole network, of one sign.
fn total(lane: u32, sign: u32) -> f32 {
    var sum = 0.0;
    for (var j = 0u; j < NEURONS; j++) {
        sum += sums[(2u * lane + sign) * NEURONS + j];
    }
    return sum;
}

// λ ⟨w − w₀⟩ of the excitatory and the inhibitory synapses of a cell.
fn decays(lane: u32, post: u32) -> vec2<f32> {
    if DECAY == DECAY_NETWORK {
        let both = (total(lane, 0u) + total(lane, 1u)) * PULL;
        return vec2<f32>(both, both);
    }
    if DECAY == DECAY_BY_SIGN {
        return vec2<f32>(total(lane, 0u) * PULL_EXCITATORY, total(lane, 1u) * PULL_INHIBITORY);
    }
    if DECAY == DECAY_NEURON || DECAY == DECAY_MULTIPLICATIVE {
        let at = 2u * lane * NEURONS + post;
        return vec2<f32>(sums[at] * pull[post], sums[at + NEURONS] * pull[NEURONS + post]);
    }
    return vec2<f32>(0.0, 0.0);
}

fn inhibitory(pre: f32, post: f32) -> f32 {
    switch INHIBITORY {
        case POST: {
            return post;
        }
        case POST_SQUARED: {
            return post * post;
        }
        case PRE_POST: {
            return pre * post;
        }
        case VOGELS: {
            return pre * (post - RHO0);
        }
        default: {
            return 0.0;
        }
    }
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) tid: u32) {
    let trial = this_step.trial + group.x;
    let lane = lanes[trial];
    let row = lane * ALL;
    let counted = trial * PRE;
    for (var j = tid; j < NEURONS; j += WG) {
        var of_sign = vec2<f32>(0.0, 0.0);
        for (var pre = 0u; pre < PRE; pre++) {
            let at = pre * NEURONS + j;
            if learns[at] != 0u {
                let distance = weights[row + at] - synapses[ALL + at];
                if inhibits[pre] != 0u {
                    of_sign = vec2<f32>(of_sign.x, of_sign.y + distance);
                } else {
                    of_sign = vec2<f32>(of_sign.x + distance, of_sign.y);
                }
            }
        }
        sums[2u * lane * NEURONS + j] = of_sign.x;
        sums[(2u * lane + 1u) * NEURONS + j] = of_sign.y;
    }
    storageBarrier();
    let target_class = targets[trial];
    for (var j = tid; j < NEURONS; j += WG) {
        let spikes = counts[counted + N_IN + j];
        let class_of_cell = classes[j];
        var share = 1.0;
        if target_class != NONE && class_of_cell != NONE && target_class != class_of_cell {
            share = MASK;
        }
        let y = share * rates[spikes];
        let post = share * rates[this_step.steps + 1u + spikes];
        let threshold = theta[lane * NEURONS + j];
        let decay_of_sign = decays(lane, j);
        for (var pre = 0u; pre < PRE; pre++) {
            let at = pre * NEURONS + j;
            if learns[at] != 0u {
                let w = weights[row + at];
                let own = rates[this_step.steps + 1u + counts[counted + pre]];
                var grown = 0.0;
                var decay = decay_of_sign.x;
                if inhibits[pre] != 0u {
                    grown = inhibitory(own, post);
                    decay = decay_of_sign.y;
                } else if IS_BCM {
                    grown = own * post * ((y - threshold) * PER_R0);
                }
                if DECAY == DECAY_SYNAPSE {
                    decay = LAMBDA * (w - synapses[ALL + at]);
                } else if DECAY == DECAY_MULTIPLICATIVE {
                    decay = decay * (w * synapses[2u * ALL + at]);
                }
                let moved = w + synapses[at] * grown - decay;
                weights[row + at] = min(max(moved, 0.0), synapses[3u * ALL + at]);
            }
        }
        theta[lane * NEURONS + j] = threshold + (y * post - threshold) * PER_TAU_THETA;
    }
}
