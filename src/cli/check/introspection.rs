//! The rows of the introspection endpoint. With a live token, they show whether its answers prove anything.

use std::{fs::File, io::Read as _, path::Path, sync::Arc};

use futures_util::future::OptionFuture;
use secrecy::SecretString;

use super::{CheckRow, FAULT, NOTE, OK, row};
use crate::{
    config::Config,
    domain::{ErrorChain, TokenState},
    endpoint::{self, Credentials, Introspection, VerifySettings},
};

const WHAT: &str = "introspection";

/// The longest token file, in bytes.
const LONGEST: u64 = 64 * 1024;

/// Reaches the introspection endpoint, and asks it for the token in the file.
pub(super) async fn rows(config: &Config, live_token: Option<&Path>) -> Vec<CheckRow> {
    let Some(settings) = &config.verify else {
        let fault = || row(WHAT, FAULT, "verify.url is not set, so no token can be checked");
        return live_token.map(|_| fault()).into_iter().collect();
    };
    let reached = match endpoint::reach(&settings.endpoint).await {
        Ok(()) => row(WHAT, OK, "reached"),
        Err(error) => return vec![row(WHAT, FAULT, &ErrorChain(&error).to_string())],
    };
    let untried =
        "no token was tried; --live-token-file FILE says whether its answers prove anything";
    let asked = live_token.map(|path| ask(settings, path));
    let asked = OptionFuture::from(asked).await.unwrap_or_else(|| row(WHAT, NOTE, untried));
    vec![reached, asked]
}

async fn ask(settings: &VerifySettings, path: &Path) -> CheckRow {
    let fault = |detail: String| row(WHAT, FAULT, &detail);
    let token = match read(path) {
        Ok(token) => token,
        Err(problem) => return fault(format!("--live-token-file names a file that {problem}")),
    };
    let credentials = match Credentials::load(&settings.credentials) {
        Ok(credentials) => Arc::new(credentials),
        Err(faults) => {
            return fault(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
        }
    };
    let introspection = match Introspection::new(settings, credentials) {
        Ok(introspection) => introspection,
        Err(error) => return fault(ErrorChain(&error).to_string()),
    };
    match introspection.state_of(token).await {
        Ok(TokenState::Active) => row(WHAT, OK, "calls the live token active"),
        Ok(TokenState::Inactive) => fault(
            "calls the live token inactive: its \"inactive\" proves nothing, so keep verify.trusts_inactive = false. \
             Either it knows no refresh tokens, or it does not tell this client"
                .to_owned(),
        ),
        Err(failure) => {
            let status = failure.http_status.map(|status| format!(", HTTP status {status}"));
            fault(format!("gives no answer: {}{}", failure.label, status.unwrap_or_default()))
        }
    }
}

/// Reads the token, without one trailing newline.
fn read(path: &Path) -> Result<SecretString, String> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST).read_to_string(&mut text))
        .map_err(|error| format!("cannot be read ({})", error.kind()))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err("is empty".to_owned()),
        token => Ok(token.into()),
    }
}
