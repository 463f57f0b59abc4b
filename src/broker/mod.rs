//! The broker: sessions, topology, consuming, publishing, settling. Nothing else may name lapin.

mod acks;
mod headers;
mod queues;
mod settings;

pub use settings::Settings;
