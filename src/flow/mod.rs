//! May a call start now, and for which job? Ignorant of HTTP and AMQP.

mod settings;

pub use settings::{PauseSettings, Settings};
