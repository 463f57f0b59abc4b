//! The sections of the process itself: `admin`, `log`, `shutdown`, `process`.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tracing::Level;

use crate::pipeline::MAX_IN_FLIGHT;

use super::{
    endpoint::TIMEOUT,
    faults::Problem,
    reader::ConfigReader,
    value::{self, SOME_TIME},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminSettings {
    /// The address of metrics and probes. It serves no payloads and has no access control.
    pub listen: SocketAddr,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// The least important level that is logged.
    pub level: Level,
    pub format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One line of text for each event.
    Text,
    /// One flat JSON object for each event: `timestamp`, `level`, `target`, `message` and its fields.
    Json,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShutdownSettings {
    /// How long calls and settlements in flight may take after the signal to stop.
    pub grace: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessSettings {
    /// Whether a crash may write its memory, tokens included, to a core dump.
    pub core_dumps: bool,
}

const GRACE: &str = "shutdown.grace";

const LEVELS: [(&str, Level); 5] = [
    ("error", Level::ERROR),
    ("warn", Level::WARN),
    ("info", Level::INFO),
    ("debug", Level::DEBUG),
    ("trace", Level::TRACE),
];

const FORMATS: [(&str, LogFormat); 3] =
    [("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)];

pub(super) fn admin(reader: &mut ConfigReader) -> AdminSettings {
    let placeholder = (Ipv4Addr::LOCALHOST, 0).into();
    AdminSettings { listen: reader.required_or("admin.listen", value::address(), placeholder) }
}

pub(super) fn log(reader: &mut ConfigReader) -> LogSettings {
    LogSettings {
        level: reader.required_or("log.level", value::choice(&LEVELS), Level::INFO),
        format: reader.required("log.format", value::choice(&FORMATS)),
    }
}

pub(super) fn process(reader: &mut ConfigReader) -> ProcessSettings {
    ProcessSettings { core_dumps: reader.required("process.core_dumps", value::flag()) }
}

/// `timeout`: how long a call may take.
pub(super) fn shutdown(reader: &mut ConfigReader, timeout: Duration) -> ShutdownSettings {
    let grace = reader.required(GRACE, value::duration(SOME_TIME));
    reader.expect(&[GRACE, TIMEOUT], grace >= timeout, || {
        Problem::new(
            "does not fit: a call may take longer than the grace, its job is delivered again, and \
             its token may be revoked already",
            format!("choose {GRACE} at least as long as {TIMEOUT}"),
        )
    });
    reader.expect(&[GRACE], grace <= MAX_IN_FLIGHT, || {
        Problem::new(
            "is longer than a job may be in flight",
            format!("choose at most {}", humantime::format_duration(MAX_IN_FLIGHT)),
        )
    });
    ShutdownSettings { grace }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value::ConfigValue;

    #[test]
    fn log_formats_go_by_their_names() {
        let format =
            |name: &str| value::choice(&FORMATS).parse(&ConfigValue::Text(name.to_owned()));
        assert_eq!(format("auto"), Ok(LogFormat::Auto));
        assert_eq!(format("text"), Ok(LogFormat::Text));
        assert_eq!(format("json"), Ok(LogFormat::Json));
        assert!(format("JSON").is_err());
    }
}
