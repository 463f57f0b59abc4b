//! The rows of `--with-token`: one throw-away token is revoked by a call like those of a worker.

use std::{path::Path, sync::Arc};

use secrecy::ExposeSecret as _;

use super::{
    row::{CheckRow, FAULT, OK, row},
    token_file,
};
use crate::{
    config::Config,
    domain::{ErrorChain, Failure, Job, Rejection, ResultLabel, Verdict},
    endpoint::{Credentials, HttpEndpoint},
    ports::Endpoint as _,
};

const WHAT: &str = "revocation";

/// Revokes the token in the file.
pub(super) async fn rows(config: &Config, file: &Path, client_id: Option<&str>) -> Vec<CheckRow> {
    // Faults of the secrets have a row already.
    let Ok(credentials) = Credentials::load(&config.credentials) else { return Vec::new() };
    let revoked = revoke(config, credentials, file, client_id).await;
    vec![match revoked {
        Ok(verdict) => of_verdict(&verdict),
        Err(fault) => row(WHAT, FAULT, &format!("no call was made: {fault}")),
    }]
}

async fn revoke(
    config: &Config,
    credentials: Credentials,
    file: &Path,
    client_id: Option<&str>,
) -> Result<Verdict, String> {
    let token = token_file::read(file).map_err(|problem| format!("the token's file {problem}"))?;
    let mut body = serde_json::json!({ "refresh_token": token.expose_secret() });
    if let Some(client_id) = client_id {
        body["client_id"] = client_id.into();
    }
    let job = Job::parse(body.to_string().as_bytes(), &config.pipeline.defaults)
        .map_err(|fault| fault.to_string())?;
    let endpoint = HttpEndpoint::new(&config.endpoint, Arc::new(credentials))
        .map_err(|error| ErrorChain(&error).to_string())?;
    endpoint.revoke(&job, None).await.map_err(|unknown| {
        format!("{unknown}; name a configured client with --client-id or credentials.client_id")
    })
}

fn of_verdict(verdict: &Verdict) -> CheckRow {
    let label = verdict.label();
    let (state, detail) = match verdict {
        Verdict::Revoked | Verdict::Verified => {
            (OK, "the endpoint says that this token is revoked".to_owned())
        }
        Verdict::Acknowledged => (
            OK,
            "the endpoint accepted the request; its answer does not mention this token".to_owned(),
        ),
        Verdict::Accepted => (OK, "the endpoint will revoke the token later".to_owned()),
        Verdict::Gone(answer) => (
            FAULT,
            format!(
                "{}: the endpoint does not know this token, so the secret is not proved. Give a live token",
                told(answer)
            ),
        ),
        Verdict::Rejected(answer) => (
            FAULT,
            format!(
                "{}: check that the token is live, and belongs to this client, audience and environment",
                told(answer)
            ),
        ),
        Verdict::StillActive(_) => (FAULT, "the token is still active".to_owned()),
        Verdict::Transient(failure) => (FAULT, of_failure(failure)),
    };
    row(WHAT, state, &format!("{label}: {detail}"))
}

fn told(answer: &Rejection) -> String {
    let Rejection { code, message, http_status } = answer;
    let code = if code.is_empty() { String::new() } else { format!(", code {code}") };
    let text = message.as_ref().map(|text| format!(", \"{text}\"")).unwrap_or_default();
    format!("HTTP status {http_status}{code}{text}")
}

fn of_failure(failure: &Failure) -> String {
    let cure = match failure.label {
        ResultLabel::Misconfigured => {
            "the endpoint refuses our client: check its id and secret (credentials.*) and endpoint.auth.method"
        }
        ResultLabel::Connect | ResultLabel::Tls => {
            "the connection failed: the row of the endpoint says why"
        }
        ResultLabel::Timeout => {
            "no answer within endpoint.timeout: check endpoint.url, and whether the server is overloaded"
        }
        ResultLabel::Reset => {
            "the connection broke during the call: check that endpoint.url names an HTTP server, and whether it asks \
             for a client certificate (endpoint.auth.client_certificate_file)"
        }
        ResultLabel::Http3xx => {
            "the server redirects, which is never followed: set endpoint.url to the new URL"
        }
        ResultLabel::Http4xx => {
            "not the endpoint's own answer: check the path in endpoint.url, and gateways in between"
        }
        ResultLabel::Http408 | ResultLabel::Http429 | ResultLabel::Http5xx => {
            "the server cannot answer now: try again later"
        }
        _ => {
            "the answer has not the form that endpoint.profile expects: check endpoint.url and endpoint.profile"
        }
    };
    let status = failure.http_status.map(|status| format!("HTTP status {status}: "));
    let doubt = if failure.ambiguous { ". The token may be revoked nevertheless" } else { "" };
    format!("{}{cure}{doubt}", status.unwrap_or_default())
}
