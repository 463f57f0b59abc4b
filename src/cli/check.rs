//! `revoker check`: checks the configuration, the broker and the endpoint's TLS. It changes nothing.

use std::{fmt, sync::Arc};

use super::{Exit, output};
use crate::{
    broker::{self, QueueCheck},
    config::Config,
    domain::ErrorChain,
    endpoint::{self, CredentialFault, Credentials},
};

struct CheckRow {
    what: String,
    state: CheckState,
    detail: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum CheckState {
    Ok,
    Note,
    Fault,
}

impl fmt::Display for CheckState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Fault => "FAULT",
        })
    }
}

/// Prints a table of all checks. The exit is that of wrong usage if one of them fails.
pub async fn run(config: Config) -> Exit {
    let mut rows = vec![row("configuration", CheckState::Ok, "every key is valid")];
    rows.extend(
        config.warnings.iter().map(|warning| row("configuration", CheckState::Note, warning)),
    );
    rows.extend(credentials(&config));
    rows.push(match endpoint::reach(&config.endpoint).await {
        Ok(()) => row("endpoint", CheckState::Ok, "reached; nothing was sent"),
        Err(error) => row("endpoint", CheckState::Fault, &ErrorChain(&error).to_string()),
    });
    rows.extend(queues(&config).await);
    let fault = rows.iter().any(|row| row.state == CheckState::Fault);
    let exit = if fault { Exit::Usage } else { Exit::Done };
    output::exit_code(output::print(&table(&rows)), exit)
}

fn credentials(config: &Config) -> Vec<CheckRow> {
    let rows = |state, faults: &[CredentialFault]| -> Vec<CheckRow> {
        faults.iter().map(|fault| row("credentials", state, &fault.to_string())).collect()
    };
    match Credentials::load(&config.credentials) {
        Ok(credentials) => {
            let mut all = vec![row("credentials", CheckState::Ok, "every secret can be read")];
            all.extend(rows(CheckState::Note, credentials.oddities()));
            all
        }
        Err(faults) => rows(CheckState::Fault, &faults),
    }
}

async fn queues(config: &Config) -> Vec<CheckRow> {
    let settings = Arc::new(config.broker.clone());
    let found = match broker::inspect(&settings).await {
        Ok(found) => found,
        Err(error) => return vec![row("broker", CheckState::Fault, &error)],
    };
    let mut rows = vec![row("broker", CheckState::Ok, "reached")];
    rows.extend(found.into_iter().map(|(queue, found)| {
        let what = format!("queue {queue}");
        match found {
            QueueCheck::Fits(ready) => {
                row(&what, CheckState::Ok, &format!("{ready} messages ready"))
            }
            QueueCheck::Missing if settings.declare => {
                row(&what, CheckState::Note, "not there yet; the worker will declare it")
            }
            QueueCheck::Missing => {
                row(&what, CheckState::Fault, "not there, and broker.declare is false")
            }
            QueueCheck::Faulty(fault) => row(&what, CheckState::Fault, &fault),
        }
    }));
    rows
}

fn row(what: &str, state: CheckState, detail: &str) -> CheckRow {
    CheckRow { what: what.to_owned(), state, detail: detail.to_owned() }
}

fn table(rows: &[CheckRow]) -> String {
    let width = rows.iter().map(|row| row.what.chars().count()).max().unwrap_or_default();
    let line = |CheckRow { what, state, detail }: &CheckRow| {
        format!("{what:<width$}  {state:<5}  {detail}\n")
    };
    rows.iter().map(line).collect()
}
