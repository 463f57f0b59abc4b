//! `revoker check`: checks the configuration, the broker and the endpoint's TLS. It changes nothing.

mod introspection;

use std::{path::PathBuf, sync::Arc};

use clap::Args;

use super::{Exit, output};
use crate::{
    broker::{self, QueueCheck},
    config::Config,
    domain::ErrorChain,
    endpoint::{self, CredentialFault, Credentials, Proof},
};

/// The subject of a check, its state (one of those below) and the detail.
type CheckRow = (String, &'static str, String);

const OK: &str = "ok";
const NOTE: &str = "note";
const FAULT: &str = "FAULT";

/// Check the configuration, the broker and the endpoint's TLS; change nothing
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  revoker --config config/production.toml check")]
pub struct CheckArgs {
    /// A file with a live token, to test introspection. If the server calls it inactive, "inactive" proves nothing
    #[arg(long, value_name = "FILE")]
    live_token_file: Option<PathBuf>,
}

/// Prints a table of all checks. If one of them fails, the exit code is that of wrong usage.
pub async fn run(args: CheckArgs, config: Config) -> Exit {
    let mut rows = vec![row("configuration", OK, "every key is valid")];
    rows.extend(config.warnings.iter().map(|warning| row("configuration", NOTE, warning)));
    rows.extend(profile(&config));
    rows.extend(credentials(&config));
    rows.push(match endpoint::reach(&config.endpoint).await {
        Ok(()) => row("endpoint", OK, "reached; nothing was sent"),
        Err(error) => row("endpoint", FAULT, &ErrorChain(&error).to_string()),
    });
    rows.extend(introspection::rows(&config, args.live_token_file.as_deref()).await);
    rows.extend(queues(&config).await);
    let fault = rows.iter().any(|(_, state, _)| *state == FAULT);
    let exit = if fault { Exit::Usage } else { Exit::Done };
    output::exit_code(output::print(&table(&rows)), exit)
}

/// The proof that a success of the endpoint gives, and the job fields that its calls omit.
fn profile(config: &Config) -> Vec<CheckRow> {
    let profile = &config.endpoint.profile;
    let proof = match profile.proof {
        Proof::Said => "a success is \"revoked\": the answer is about the token",
        Proof::Acknowledged => {
            "a success is \"acknowledged\": the answer does not mention the token"
        }
        Proof::Accepted => "a success is \"accepted\": it happens later",
    };
    let mut rows = vec![row("profile", OK, &format!("{}: {proof}", profile.name))];
    let fields = [("audience", profile.takes_audience()), ("username", profile.takes_username())];
    for (field, _) in fields.into_iter().filter(|(_, is_sent)| !is_sent) {
        let detail = format!("{} does not send the field {field} of jobs", profile.name);
        rows.push(row("profile", NOTE, &detail));
    }
    rows
}

fn credentials(config: &Config) -> Vec<CheckRow> {
    let rows = |state, faults: &[CredentialFault]| -> Vec<CheckRow> {
        faults.iter().map(|fault| row("credentials", state, &fault.to_string())).collect()
    };
    match Credentials::load(&config.credentials) {
        Ok(credentials) => {
            let mut all = vec![row("credentials", OK, "every secret can be read")];
            all.extend(rows(NOTE, credentials.oddities()));
            all
        }
        Err(faults) => rows(FAULT, &faults),
    }
}

async fn queues(config: &Config) -> Vec<CheckRow> {
    let settings = Arc::new(config.broker.clone());
    let found = match broker::inspect(&settings).await {
        Ok(found) => found,
        Err(error) => return vec![row("broker", FAULT, &error)],
    };
    let mut rows = vec![row("broker", OK, "reached")];
    rows.extend(found.into_iter().map(|(queue, found)| {
        let what = format!("queue {queue}");
        match found {
            QueueCheck::Fits(ready) => row(&what, OK, &format!("{ready} messages ready")),
            QueueCheck::Missing if settings.declare => {
                row(&what, NOTE, "not there yet; the worker will declare it")
            }
            QueueCheck::Missing => row(&what, FAULT, "not there, and broker.declare is false"),
            QueueCheck::Faulty(fault) => row(&what, FAULT, &fault),
        }
    }));
    rows
}

fn row(what: &str, state: &'static str, detail: &str) -> CheckRow {
    (what.to_owned(), state, detail.to_owned())
}

fn table(rows: &[CheckRow]) -> String {
    let width = rows.iter().map(|(what, ..)| what.chars().count()).max().unwrap_or_default();
    let line = |(what, state, detail): &CheckRow| format!("{what:<width$}  {state:<5}  {detail}\n");
    rows.iter().map(line).collect()
}
