//! Producers send what they should not: each message ends as the job that it is, or says why it is none,
//! and the good jobs around it go on.

mod identical;
mod malformed;
mod nuisance;
mod steering;
mod together;
mod tokens;

pub use nuisance::{Fate, Nuisance};
