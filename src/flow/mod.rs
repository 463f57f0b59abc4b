//! May a call start now, and for which job? Ignorant of HTTP and AMQP.

mod dispatcher;
mod limit;
mod settings;

pub use dispatcher::{Dispatcher, Permit};
pub use limit::{Limit, Sample};
pub use settings::{PauseSettings, Settings};
