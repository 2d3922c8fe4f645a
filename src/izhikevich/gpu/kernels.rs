//! The kernels of the family: their sources, and the constants that are put in front of them.

use crate::gpu::{Constant, GpuError, KernelSource, resolve_imports, with_constants};
use crate::izhikevich::network::Network;
use crate::izhikevich::params::{Decay, InhibitoryRule, Params, RedistributionKind};
use crate::izhikevich::plasticity::Rules;
use crate::izhikevich::synapses::Recovery;
use crate::izhikevich::trial::{LEAST_CONDUCTANCE, V_SPIKE_MV, V_START_MV};

/// Threads of a workgroup.
pub(super) const WORKGROUP: usize = 64;

macro_rules! shaders {
    ($($file:literal),* $(,)?) => {
        /// Every shader of the family by its path below `shaders/`.
        pub(super) const SHADERS: &[(&str, &str)] =
            &[$(($file, include_str!(concat!("../../../shaders/", $file)))),*];
    };
}

shaders!("izhikevich/trial.wgsl", "izhikevich/learn.wgsl");

/// The kernels of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KernelId {
    Trial,
    Learn,
}

impl KernelId {
    const ALL: [Self; 2] = [Self::Trial, Self::Learn];

    /// Path of its source below `shaders/`.
    pub(super) fn file(self) -> &'static str {
        match self {
            Self::Trial => "izhikevich/trial.wgsl",
            Self::Learn => "izhikevich/learn.wgsl",
        }
    }
}

/// Words of the sets of spikes, and of what each trial keeps between dispatches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Words of a set of spikes.
    pub(super) words: usize,
    /// Words of a trial in `scratch`.
    pub(super) slot_words: usize,
}

impl Sizes {
    /// Of a network.
    pub(super) fn of(params: &Params) -> Self {
        let n = params.neurons;
        let words = n.div_ceil(32);
        let sites = match params.redistribution.kind {
            RedistributionKind::Stochastic => params.pre_cells() * n,
            _ => 0,
        };
        Self {
            words,
            slot_words: 1 + words + 4 * n + sites,
        }
    }
}

/// All kernels, each in its place of [`KernelId::ALL`].
///
/// # Errors
/// A source whose constants do not fit.
pub(super) fn sources(
    params: &Params,
    network: &Network,
) -> Result<Vec<Option<KernelSource>>, GpuError> {
    let constants = constants(params, network);
    let source = |kernel: KernelId| {
        let source = resolve_imports(kernel.file(), SHADERS)?;
        Ok(Some(KernelSource {
            name: kernel.file(),
            text: with_constants(&source, &constants)?,
        }))
    };
    KernelId::ALL.into_iter().map(source).collect()
}

/// Every number that host and shaders share.
fn constants(params: &Params, network: &Network) -> Vec<(&'static str, Constant)> {
    let word = |x: usize| Constant::U32(x as u32);
    let float = |x: f64| Constant::F32(x as f32);
    let n = params.neurons;
    let sizes = Sizes::of(params);
    let rules = Rules::<f32>::new(params, network);
    let recovery = Recovery::<f32>::new(params);
    let tires = params.redistribution.kind == RedistributionKind::Deterministic;
    let [exc, inh, all] = rules.pull_of_network;
    vec![
        ("WG", word(WORKGROUP)),
        ("N_IN", word(params.n_in)),
        ("NEURONS", word(n)),
        ("PRE", word(params.pre_cells())),
        ("WORDS", word(sizes.words)),
        ("SET_WORDS", word(3 * sizes.words)),
        ("SLOT_WORDS", word(sizes.slot_words)),
        ("PER_THREAD", word(n.div_ceil(WORKGROUP))),
        ("PASSED_WORDS", word(if tires { 2 * n } else { 1 })),
        ("V_START", float(V_START_MV)),
        ("V_SPIKE", float(V_SPIKE_MV)),
        ("LEAST_CONDUCTANCE", float(LEAST_CONDUCTANCE)),
        (
            "DECAY_EXC",
            float(libm::exp(-params.dt_ms / params.tau_exc_ms)),
        ),
        (
            "DECAY_INH",
            float(libm::exp(-params.dt_ms / params.tau_inh_ms)),
        ),
        ("REDISTRIBUTION", word(params.redistribution.kind as usize)),
        (
            "DETERMINISTIC",
            word(RedistributionKind::Deterministic as usize),
        ),
        ("STOCHASTIC", word(RedistributionKind::Stochastic as usize)),
        ("RELEASE", Constant::F32(recovery.release)),
        ("RELEASE_MOST", Constant::U32(recovery.release_most)),
        ("DECAY", word(rules.decay as usize)),
        ("DECAY_SYNAPSE", word(Decay::Synapse as usize)),
        ("DECAY_NEURON", word(Decay::Neuron as usize)),
        ("DECAY_NETWORK", word(Decay::Network as usize)),
        ("DECAY_BY_SIGN", word(Decay::NetworkBySign as usize)),
        ("DECAY_MULTIPLICATIVE", word(Decay::Multiplicative as usize)),
        ("INHIBITORY", word(rules.inhibitory as usize)),
        ("POST", word(InhibitoryRule::Post as usize)),
        ("POST_SQUARED", word(InhibitoryRule::PostSquared as usize)),
        ("PRE_POST", word(InhibitoryRule::PrePost as usize)),
        ("VOGELS", word(InhibitoryRule::Vogels as usize)),
        ("IS_BCM", Constant::Bool(rules.is_bcm)),
        ("MASK", float(params.plasticity.mask)),
        ("LAMBDA", Constant::F32(rules.lambda)),
        ("RHO0", Constant::F32(rules.rho0)),
        ("PER_R0", Constant::F32(rules.per_r0)),
        ("PER_TAU_THETA", Constant::F32(rules.per_tau_theta)),
        ("PULL_EXCITATORY", Constant::F32(exc)),
        ("PULL_INHIBITORY", Constant::F32(inh)),
        ("PULL", Constant::F32(all)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::translate::translate;
    use crate::gpu::{component_stores, workgroup_size};
    use crate::izhikevich::init::draw;
    use crate::izhikevich::settings::Config;
    use crate::izhikevich::stimuli::Stimuli;
    use crate::izhikevich::weights::Layout;

    fn network_of(config: &Config) -> Network {
        let stimuli = Stimuli::load(config, None).unwrap();
        draw(config, &Layout::new(config), &stimuli)
    }

    fn all_kinds() -> Vec<Vec<Option<KernelSource>>> {
        let kinds = [
            RedistributionKind::None,
            RedistributionKind::Deterministic,
            RedistributionKind::Stochastic,
        ];
        let of = |kind| {
            let mut config = Config::default();
            config.redistribution.kind = kind;
            let network = network_of(&config);
            sources(&config.params(), &network).unwrap()
        };
        kinds.map(of).into()
    }

    #[test]
    fn kernels_lie_in_the_order_of_their_numbers() {
        for (number, kernel) in KernelId::ALL.into_iter().enumerate() {
            assert_eq!(kernel as usize, number);
        }
    }

    #[test]
    fn workgroups_are_as_large_as_the_host_reckons_and_kernels_translate_for_every_graphics_api() {
        for sources in all_kinds() {
            for (kernel, source) in KernelId::ALL.into_iter().zip(sources) {
                let text = source.unwrap().text;
                let expected = [WORKGROUP as u32, 1, 1];
                assert_eq!(workgroup_size(&text), expected, "{}", kernel.file());
                assert_eq!(component_stores(&text), [""; 0], "{}", kernel.file());
                translate(kernel.file(), &text);
            }
        }
    }

    #[test]
    fn every_shared_number_is_used_and_none_is_declared_twice() {
        let config = Config::default();
        let network = network_of(&config);
        let text: String = SHADERS.iter().map(|(_, text)| *text).collect();
        let words: std::collections::HashSet<&str> = text
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .collect();
        for (name, _) in constants(&config.params(), &network) {
            assert!(words.contains(name), "{name} is used nowhere");
            assert!(!text.contains(&format!("const {name}:")), "{name}");
        }
    }
}
