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
    reader::Reader,
    value::{self, SOME_TIME},
};

/// Where the admin server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminSettings {
    /// For metrics and probes. It serves no payloads, but has no access control either.
    pub listen: SocketAddr,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// The least important level that is logged.
    pub level: Level,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// How the worker ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShutdownSettings {
    /// How long calls and settlements in flight may take after the signal to stop.
    pub grace: Duration,
}

/// What the process may leave behind.
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

pub(super) fn admin(reader: &mut Reader) -> AdminSettings {
    let placeholder = (Ipv4Addr::LOCALHOST, 0).into();
    AdminSettings { listen: reader.required_or("admin.listen", value::address, placeholder) }
}

pub(super) fn log(reader: &mut Reader) -> LogSettings {
    LogSettings {
        level: reader.required_or("log.level", value::choice(&LEVELS), Level::INFO),
        format: reader.required("log.format", value::choice(&FORMATS)),
    }
}

pub(super) fn process(reader: &mut Reader) -> ProcessSettings {
    ProcessSettings { core_dumps: reader.required("process.core_dumps", value::flag) }
}

/// `timeout`: how long a call may take.
pub(super) fn shutdown(reader: &mut Reader, timeout: Duration) -> ShutdownSettings {
    let grace = reader.required(GRACE, value::duration(SOME_TIME));
    reader.expect(&[GRACE, TIMEOUT], grace >= timeout, || {
        Problem::new(
            "lets no call finish that takes as long as it may: the job comes again, and its token may be \
             revoked already",
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
