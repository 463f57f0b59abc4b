//! The options of `revoker mock-endpoint`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use bytes::Bytes;
use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};

use crate::{
    cli::exit::Failure,
    mock_endpoint::{CannedAnswer, MockOutage, Script},
};

/// The page of `--html`, as a captive portal or a broken gateway shows it.
const HTML: &str = "<!DOCTYPE html><html><body><h1>Mantenimiento</h1></body></html>\n";

/// Run a scripted mock of the revoke endpoint, for demos and tests
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  revoker mock-endpoint --latency 20ms --fault-share 0.1 --reject-share 0.02 --seed 1
  revoker mock-endpoint --status 503 --retry-after 5
  revoker mock-endpoint --outage-after 1000 --outage-for 30s
  curl 'http://127.0.0.1:8088/ledger?summary'

POST on any path is the revoke call. GET /ledger shows the counts, tokens by fingerprint. GET \
/healthz answers ok, GET /readyz as a worker does. With the same seed, the same tokens get the same \
answers, in any order.")]
pub(in crate::cli) struct MockEndpointArgs {
    /// Where to listen; port 0 for any
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8088")]
    pub(super) listen: SocketAddr,
    /// Write the bound address to this file once listening
    #[arg(long, value_name = "PATH")]
    pub(super) port_file: Option<PathBuf>,
    #[command(flatten)]
    script: Script,
    /// Answer every call with this status and no envelope
    #[arg(long, value_name = "STATUS", value_parser = clap::value_parser!(u16).range(200..=599))]
    status: Option<u16>,
    /// Answer every call with the content of this file
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// Answer every call with a page of HTML
    #[arg(long, conflicts_with = "body")]
    html: bool,
    /// After this number of calls, begin an outage: answer 503 and revoke nothing
    #[arg(long, value_name = "CALLS", requires = "outage_for")]
    outage_after: Option<u64>,
    /// The length of the outage
    #[arg(long, value_name = "DURATION", requires = "outage_after", value_parser = humantime::parse_duration)]
    outage_for: Option<Duration>,
    /// Accept this client only (repeatable); answer 01 to a wrong secret
    #[arg(long = "client", value_name = "ID=SECRET", value_parser = secret)]
    clients: Vec<SecretString>,
    /// Accepted and ignored. Without this field, the global option appears in the help of this command.
    #[arg(id = "config", long = "config", hide = true)]
    _config: Vec<PathBuf>,
}

impl MockEndpointArgs {
    /// Returns the script that the options describe. Reads the file of `--body`.
    pub(super) fn script(&self) -> Result<Script, Failure> {
        let outage = self.outage_after.zip(self.outage_for);
        Ok(Script {
            canned: self.canned()?,
            outage: outage.map(|(after, lasts)| MockOutage { after, lasts }),
            clients: self.clients.iter().map(client).collect::<Result<_, _>>()?,
            ..self.script.clone()
        })
    }

    fn canned(&self) -> Result<Option<CannedAnswer>, Failure> {
        let (content_type, body) = match &self.body {
            Some(path) => {
                let unreadable =
                    |error| format!("--body: {} cannot be read: {error}", path.display());
                let body =
                    std::fs::read(path).map_err(|error| Failure::usage(unreadable(error)))?;
                let json = path.extension().is_some_and(|extension| extension == "json");
                let content_type = if json { "application/json" } else { "text/html" };
                (content_type, Bytes::from(body))
            }
            None if self.html => ("text/html", Bytes::from_static(HTML.as_bytes())),
            None if self.status.is_some() => ("text/plain", Bytes::new()),
            None => return Ok(None),
        };
        let status = self.status.and_then(|status| StatusCode::from_u16(status).ok());
        Ok(Some(CannedAnswer { status: status.unwrap_or(StatusCode::OK), content_type, body }))
    }
}

fn client(pair: &SecretString) -> Result<(String, SecretString), Failure> {
    match pair.expose_secret().split_once('=') {
        Some((id, secret)) if !id.is_empty() && !secret.is_empty() => {
            Ok((id.to_owned(), secret.into()))
        }
        // The value may be a secret and is not repeated.
        _ => Err(Failure::usage("--client: not of the form ID=SECRET")),
    }
}

/// Accepts every value, because clap prints a refused value.
#[allow(clippy::unnecessary_wraps, reason = "clap's parsers return a result")]
fn secret(value: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(value.into())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser};

    use super::*;
    use crate::cli::Cli;

    #[derive(Debug, Parser)]
    struct TestCommand {
        #[command(flatten)]
        args: MockEndpointArgs,
    }

    fn parse(line: &str) -> Result<MockEndpointArgs, clap::Error> {
        TestCommand::try_parse_from(["mock-endpoint"].into_iter().chain(line.split_whitespace()))
            .map(|command| command.args)
    }

    #[test]
    fn the_defaults_are_the_default_script_but_for_slow_calls() {
        let args = parse("").unwrap();
        assert_eq!(args.listen, "127.0.0.1:8088".parse().unwrap());
        let script = Script { slow_latency: Duration::ZERO, ..args.script().unwrap() };
        assert_eq!(format!("{script:?}"), format!("{:?}", Script::default()));
    }

    #[test]
    fn the_help_lists_only_options_that_the_command_obeys() {
        let mut command = Cli::command();
        command.build();
        let mock = command.find_subcommand_mut("mock-endpoint").unwrap();
        let help = mock.render_long_help().to_string();
        assert!(help.contains("--seed") && !help.contains("--config"), "{help}");
        let line = ["revoker", "--config", "a", "mock-endpoint", "--config", "b"];
        assert!(Cli::try_parse_from(line).is_ok(), "the option is accepted all the same");
    }

    #[test]
    fn every_option_reaches_the_script() {
        let script = parse(
            "--latency 50ms --latency-jitter 5ms --slow-share 0.001 --slow-latency 10s \
             --outage-after 100 --outage-for 5s --reject-share 0.02 --reject-prefix bad --fault-share 0.1 --status 503 --echo \
             --max-parallel 4 --retry-after 7 --idempotent --client shop=a=b --seed 9",
        )
        .unwrap()
        .script()
        .unwrap();
        assert_eq!(script.latency, Duration::from_millis(50));
        assert_eq!(script.latency_jitter, Duration::from_millis(5));
        assert_eq!(script.slow_latency, Duration::from_secs(10));
        assert_eq!(
            (script.slow_share, script.reject_share, script.fault_share),
            (0.001, 0.02, 0.1)
        );
        assert_eq!(script.canned.as_ref().unwrap().status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!((script.max_parallel, script.retry_after, script.seed), (Some(4), Some(7), 9));
        let outage = MockOutage { after: 100, lasts: Duration::from_secs(5) };
        assert_eq!(script.outage, Some(outage));
        assert!(script.echo && script.idempotent && script.always_rejects("bad-1"));
        assert!(script.accepts_client("shop", "a=b") && !script.accepts_client("shop", "a"));
    }

    #[test]
    fn a_faulty_option_is_refused_without_repeating_a_secret() {
        for line in [
            "--fault-share 1.1",
            "--reject-share -0.1",
            "--slow-share NaN",
            "--status 99",
            "--outage-after 7",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        let args = parse("--client hunter2").unwrap();
        assert!(!format!("{args:?}").contains("hunter2"));
        let error = args.script().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        let missing = parse("--body /nowhere/page.html").unwrap().script().unwrap_err();
        assert!(missing.to_string().contains("/nowhere/page.html"), "{missing}");
    }
}
