//! Joins source, flow and endpoint: one job as one chain of named steps.

mod settings;

pub use settings::Settings;
