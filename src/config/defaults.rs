//! The default of every key: the canonical PING network and its recipe.

use super::{
    Config, Dale, Data, Dataset, Encoding, Family, Integrator, LoopRule, MatrixName, Network,
    Optimiser, Parametrisation, Readout, ReadoutReset, Seeds, Subset, Training, Weights,
};

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "ping".into(),
            family: Family::Conductance,
            seeds: Seeds::default(),
            data: Data::default(),
            encoding: Encoding::default(),
            network: Network::default(),
            weights: Weights::default(),
            training: Training::default(),
        }
    }
}

impl Default for Seeds {
    fn default() -> Self {
        Self {
            weights: 42,
            data: 42,
            shuffle: 42,
            noise: 42,
        }
    }
}

impl Default for Data {
    fn default() -> Self {
        Self {
            dataset: Dataset::Mnist,
            path: None,
            labels_path: None,
            subset: Subset::Studies,
            train_samples: 1600,
            test_samples: 400,
            validation_percent: 0.0,
        }
    }
}

impl Default for Encoding {
    fn default() -> Self {
        Self { rate_hz: 25.0 }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self {
            n_e: 1024,
            n_i: 256,
            dt_ms: 0.1,
            duration_ms: 200.0,
            tau_ampa_ms: 2.0,
            tau_gaba_ms: 9.0,
            tau_out_ms: 2.0,
            c_m_e_nf: 1.0,
            c_m_i_nf: 0.5,
            g_l_e_us: 0.05,
            g_l_i_us: 0.1,
            e_l_mv: -65.0,
            e_exc_mv: 0.0,
            e_inh_mv: -80.0,
            v_th_mv: -50.0,
            v_reset_mv: -65.0,
            v_floor_mv: -200.0,
            ref_e_ms: 3.0,
            ref_i_ms: 1.5,
            integrator: Integrator::ExpEuler,
            surrogate_slope: 1.0,
            grad_dampen: 1000.0,
            readout: Readout::MemMean,
            readout_reset: ReadoutReset::Subtract,
            readout_threshold: 1.0,
        }
    }
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            in_mean_us: 1.2,
            in_relative_std: 0.1,
            in_sparsity: 0.95,
            ei_strength: 1.0,
            ie_to_ei_ratio: 2.0,
            loop_relative_std: 0.1,
            ee_mean_us: 0.0,
            ii_mean_us: 0.0,
            loop_sparsity: 0.0,
            out_mean: 5.1,
            out_std: 3.8,
            out_scale: 500.0,
        }
    }
}

impl Default for Training {
    fn default() -> Self {
        Self {
            epochs: 100,
            batch_size: 256,
            learning_rate: 4e-4,
            adam_beta1: 0.9,
            adam_beta2: 0.999,
            adam_epsilon: 1e-8,
            clip_norm: 1.0,
            dale: Dale::Project,
            signed_loop: false,
            trainable: vec![MatrixName::WIn, MatrixName::WOut],
            loop_rule: None,
            rate_theta_hz: 0.0,
            rate_strength: 0.0,
            checkpoint_every_epochs: 1,
        }
    }
}

impl Default for LoopRule {
    fn default() -> Self {
        Self {
            optimiser: Optimiser::Adam,
            learning_rate: None,
            parametrisation: Parametrisation::Linear,
        }
    }
}
