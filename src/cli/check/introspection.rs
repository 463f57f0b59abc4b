//! The rows of the introspection endpoint. With a live token, they show whether its answers prove anything.

use std::{path::Path, sync::Arc};

use futures_util::future::OptionFuture;

use super::{
    row::{CheckRow, FAULT, NOTE, OK, row},
    token_file,
};
use crate::{
    config::Config,
    domain::{ErrorChain, TokenState},
    endpoint::{self, Credentials, Destination, Introspection, VerifySettings},
};

const WHAT: &str = "introspection";

/// Reaches the introspection endpoint, and asks it for the token in the file.
pub(super) async fn rows(config: &Config, live_token: Option<&Path>) -> Vec<CheckRow> {
    let Some(settings) = &config.verify else {
        let fault = || row(WHAT, FAULT, "verify.url is not set, so no token can be checked");
        return live_token.map(|_| fault()).into_iter().collect();
    };
    let to = Destination::introspection(&settings.endpoint);
    let reached = match endpoint::reach(&settings.endpoint, to).await {
        Ok(()) => row(WHAT, OK, "reached"),
        Err(error) => return vec![row(WHAT, FAULT, &ErrorChain(&error).to_string())],
    };
    let untried =
        "no token was tried; --live-token-file FILE says whether its answers prove anything";
    let asked = live_token.map(|path| before(settings, path));
    let asked = OptionFuture::from(asked).await.unwrap_or_else(|| row(WHAT, NOTE, untried));
    vec![reached, asked]
}

async fn before(settings: &VerifySettings, path: &Path) -> CheckRow {
    match ask(settings, path).await {
        Ok(TokenState::Active) => row(WHAT, OK, "calls the live token active"),
        Ok(TokenState::Inactive) => row(
            WHAT,
            FAULT,
            "calls the live token inactive: its \"inactive\" proves nothing, so keep verify.trusts_inactive = false. \
             Either it knows no refresh tokens, or it does not tell this client",
        ),
        Err(fault) => row(WHAT, FAULT, &fault),
    }
}

/// Asks for the token in the file after it was revoked.
pub(super) async fn after(settings: &VerifySettings, path: &Path) -> CheckRow {
    match ask(settings, path).await {
        Ok(TokenState::Inactive) => row(WHAT, OK, "calls the revoked token inactive"),
        Ok(TokenState::Active) => row(
            WHAT,
            NOTE,
            "still calls the revoked token active: the server may revoke it later (set verify.delay), or answer from \
             a cache",
        ),
        Err(fault) => row(WHAT, FAULT, &fault),
    }
}

async fn ask(settings: &VerifySettings, path: &Path) -> Result<TokenState, String> {
    let token = token_file::read(path).map_err(|problem| format!("the token's file {problem}"))?;
    let credentials = Credentials::load(&settings.credentials)
        .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let introspection = Introspection::new(settings, Arc::new(credentials))
        .map_err(|error| ErrorChain(&error).to_string())?;
    introspection.state_of(token).await.map_err(|failure| {
        let status = failure.http_status.map(|status| format!(", HTTP status {status}"));
        format!("gives no answer: {}{}", failure.label, status.unwrap_or_default())
    })
}
