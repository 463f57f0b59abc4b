//! Producers send unusual or malformed messages. Each ends as the job that it is, or as a dead letter with
//! the reason. The ordinary jobs around it are not affected.

mod identical;
mod malformed;
mod nuisance;
mod steering;
mod together;
mod tokens;

pub use nuisance::{Class, Nuisance};
