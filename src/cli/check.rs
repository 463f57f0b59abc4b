//! `revoker check`: prints what is in force, and checks what a worker needs. Only `--with-token` changes anything.

mod broker_side;
mod in_force;
mod introspection;
mod revocation;
mod row;
mod token_file;

use std::path::PathBuf;

use clap::Args;

use self::row::{CheckRow, FAULT, NOTE, OK, Report, row};
use super::{
    Exit,
    output::{self, OutputArgs},
};
use crate::{
    config::Config,
    domain::ErrorChain,
    endpoint::{self, CredentialFault, Credentials, Destination, Proof},
};

/// Print what is in force, and check configuration, rights at the broker, and the endpoint's TLS
///
/// Stores nothing and touches no message. With --with-token, it revokes one token.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  revoker --config config/production.toml check
  revoker --config config/production.toml check --output json
  revoker --config config/production.toml check --with-token token.txt
      Revokes the token in the file, which has to be live and of no further use.

Exit codes: 0 no fault; 2 at least one FAULT, or wrong usage or configuration.")]
pub struct CheckArgs {
    /// A file with a live token, to test introspection. If the server calls it inactive, "inactive" proves nothing
    #[arg(long, value_name = "FILE")]
    live_token_file: Option<PathBuf>,

    /// A file with a live throw-away token, which is REVOKED. This tests secret, path and answer of the endpoint,
    /// and introspection where verify.url is set
    #[arg(long, value_name = "FILE", conflicts_with = "live_token_file")]
    with_token: Option<PathBuf>,

    /// The client of the throw-away token, in place of the default client
    #[arg(long, value_name = "ID", requires = "with_token")]
    client_id: Option<String>,

    #[command(flatten)]
    output: OutputArgs,
}

/// Prints a table of all checks. If one of them fails, the exit code is that of wrong usage.
pub async fn run(args: CheckArgs, config: Config) -> Exit {
    let mut rows = vec![row("configuration", OK, "every key is valid")];
    rows.extend(config.warnings.iter().map(|warning| row("configuration", NOTE, warning)));
    rows.extend(in_force::rows(&config));
    rows.extend(profile(&config));
    rows.extend(credentials(&config));
    rows.extend(endpoints(&config).await);
    let token = args.with_token.as_deref();
    let live = args.live_token_file.as_deref().or(token.filter(|_| config.verify.is_some()));
    rows.extend(introspection::rows(&config, live).await);
    if let Some(file) = token {
        let revoked = revocation::rows(&config, file, args.client_id.as_deref()).await;
        let is_done = revoked.iter().all(|row| row.state != FAULT);
        rows.extend(revoked);
        if is_done && let Some(settings) = &config.verify {
            rows.push(introspection::after(settings, file).await);
        }
    }
    rows.extend(broker_side::rows(&config).await);
    let report = Report::new(rows);
    let exit = if report.ok { Exit::Done } else { Exit::Usage };
    let text = if args.output.is_json() {
        output::json(&report)
    } else {
        report.table(output::text_style())
    };
    output::exit_code(output::print(&text), exit)
}

/// Reaches the revoke endpoint and, for bearer tokens, the token endpoint.
async fn endpoints(config: &Config) -> Vec<CheckRow> {
    let settings = &config.endpoint;
    let revoke = Some(("endpoint", Destination::revoke(settings)));
    let token = Destination::token(settings).map(|to| ("token endpoint", to));
    let mut rows = Vec::new();
    for (what, to) in revoke.into_iter().chain(token) {
        rows.push(match endpoint::reach(settings, to).await {
            Ok(()) => row(what, OK, "reached; nothing was sent"),
            Err(error) => row(what, FAULT, &ErrorChain(&error).to_string()),
        });
    }
    rows
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
            let mut all = vec![in_force::clients(config, &credentials)];
            all.push(row("credentials", OK, "every secret can be read"));
            all.extend(rows(NOTE, credentials.oddities()));
            all
        }
        Err(faults) => rows(FAULT, &faults),
    }
}
