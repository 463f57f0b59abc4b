//! The options of `revoker top`.

use std::time::Duration;

use crate::cli::output::OutputArgs;

/// Show workers live in a terminal: state, rates, queues, limit, pauses, dead letters
///
/// It reads each worker's /metrics and /readyz, and changes nothing. A worker that does not answer is shown as such.
/// The arrow keys select a worker, q ends.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
                        revoker top\n  \
                        revoker top 10.0.0.7:9464 10.0.0.8:9464\n  \
                        revoker top --once --json | jq '.workers[].done_per_second'")]
pub(in crate::cli) struct TopArgs {
    /// Admin addresses of workers; by default admin.listen
    #[arg(value_name = "HOST:PORT", value_parser = address)]
    pub(super) workers: Vec<String>,

    /// The time between two looks
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = interval)]
    pub(super) interval: Duration,

    /// Look twice, one interval apart, and print the rates and totals as text; exit code 1 if a worker does not answer
    #[arg(long)]
    pub(super) once: bool,

    /// JSON implies --once
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

fn address(text: &str) -> Result<String, &'static str> {
    let (host, port) = text.rsplit_once(':').unwrap_or_default();
    let is_host = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    match port.parse::<u16>() {
        Ok(1..) if !host.is_empty() && host.chars().all(is_host) => Ok(text.to_owned()),
        _ => Err("expected a host and a port, like 127.0.0.1:9464"),
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    const SHORTEST: Duration = Duration::from_millis(200);
    const LONGEST: Duration = Duration::from_secs(3_600);
    match humantime::parse_duration(text) {
        Ok(interval) if (SHORTEST..=LONGEST).contains(&interval) => Ok(interval),
        Ok(_) => Err("expected a duration from 200ms to 1h".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for (text, expected) in [
            ("127.0.0.1:9464", true),
            ("worker-0.workers:9464", true),
            ("[::1]:9464", true),
            ("9464", false),
            (":9464", false),
            ("worker", false),
            ("worker:0", false),
            ("worker:99999", false),
            ("http://worker:9464", false),
            ("a b:1", false),
        ] {
            assert_eq!(address(text).is_ok(), expected, "{text}");
        }
        for (text, expected) in [("2s", true), ("199ms", false), ("2h", false), ("soon", false)] {
            assert_eq!(interval(text).is_ok(), expected, "{text}");
        }
    }
}
