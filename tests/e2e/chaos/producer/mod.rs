//! Producers send unusual or malformed messages. Each ends as the job that it is, or as a dead letter with
//! the reason. The ordinary jobs around it are not affected.

mod bad_job;
mod control;
mod identical;
mod malformed;
mod together;
mod tokens;

pub use bad_job::{BadJob, Class};
