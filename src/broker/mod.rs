//! The broker: sessions, topology, consuming, publishing, settling. Nothing else may name lapin.

mod settings;

pub use settings::Settings;
