//! May a call start now, and for which job? Ignorant of HTTP and AMQP.

mod dispatcher;
mod settings;

pub use dispatcher::{Dispatcher, Permit};
pub use settings::{PauseSettings, Settings};
