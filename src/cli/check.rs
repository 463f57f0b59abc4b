//! `revoker check`: the configuration, the broker, the endpoint's TLS. It changes nothing.

use std::{fmt, sync::Arc};

use super::{Exit, output};
use crate::{
    broker::{self, QueueCheck},
    config::Config,
    domain::ErrorChain,
    endpoint::{self, CredentialFault, Credentials},
};

/// One row of the table.
struct Row {
    what: String,
    state: State,
    detail: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Ok,
    Note,
    Fault,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Fault => "FAULT",
        })
    }
}

/// Prints a table; exits 0 if nothing is wrong, 2 if something is.
pub async fn run(config: Config) -> Exit {
    let mut rows = vec![row("configuration", State::Ok, "every key is valid")];
    rows.extend(config.warnings.iter().map(|warning| row("configuration", State::Note, warning)));
    rows.extend(credentials(&config));
    rows.push(match endpoint::reach(&config.endpoint).await {
        Ok(()) => row("endpoint", State::Ok, "reached; nothing was sent"),
        Err(error) => row("endpoint", State::Fault, &ErrorChain(&error).to_string()),
    });
    rows.extend(queues(&config).await);
    let fault = rows.iter().any(|row| row.state == State::Fault);
    let exit = if fault { Exit::Usage } else { Exit::Done };
    output::exit_code(output::print(&table(&rows)), exit)
}

fn credentials(config: &Config) -> Vec<Row> {
    let rows = |state, faults: &[CredentialFault]| -> Vec<Row> {
        faults.iter().map(|fault| row("credentials", state, &fault.to_string())).collect()
    };
    match Credentials::load(&config.credentials) {
        Ok(credentials) => {
            let mut all = vec![row("credentials", State::Ok, "every secret can be read")];
            all.extend(rows(State::Note, credentials.oddities()));
            all
        }
        Err(faults) => rows(State::Fault, &faults),
    }
}

async fn queues(config: &Config) -> Vec<Row> {
    let settings = Arc::new(config.broker.clone());
    let found = match broker::inspect(&settings).await {
        Ok(found) => found,
        Err(error) => return vec![row("broker", State::Fault, &error)],
    };
    let mut rows = vec![row("broker", State::Ok, "reached")];
    rows.extend(found.into_iter().map(|(queue, found)| {
        let what = format!("queue {queue}");
        match found {
            QueueCheck::Fits(ready) => row(&what, State::Ok, &format!("{ready} messages ready")),
            QueueCheck::Missing if settings.declare => {
                row(&what, State::Note, "not there yet; the worker will declare it")
            }
            QueueCheck::Missing => {
                row(&what, State::Fault, "not there, and broker.declare is false")
            }
            QueueCheck::Faulty(fault) => row(&what, State::Fault, &fault),
        }
    }));
    rows
}

fn row(what: &str, state: State, detail: &str) -> Row {
    Row { what: what.to_owned(), state, detail: detail.to_owned() }
}

fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.what.chars().count()).max().unwrap_or_default();
    let line =
        |Row { what, state, detail }: &Row| format!("{what:<width$}  {state:<5}  {detail}\n");
    rows.iter().map(line).collect()
}
