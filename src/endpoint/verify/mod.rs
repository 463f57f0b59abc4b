//! Introspection by RFC 7662: the state of a token, requested by a separate client.
//!
//! It is another profile with another endpoint. So a check has the limits, the authentication and the redaction of a
//! call. A token is never checked by using it: a refresh mints new tokens.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use secrecy::{ExposeSecret, SecretString};

use super::{ClientError, CredentialSettings, Credentials, HttpEndpoint, Profile, Settings};
use crate::{
    domain::{Blame, Failure, Fingerprint, Job, ResultLabel, TokenState, TraceContext, Verdict},
    ports::Endpoint,
};

/// The settings of the checks of tokens.
#[derive(Debug, Clone)]
pub struct VerifySettings {
    /// The introspection endpoint.
    pub endpoint: Settings,
    /// The client of the checks.
    pub client_id: Arc<str>,
    /// Its secret.
    pub credentials: CredentialSettings,
}

/// The introspection endpoint.
pub struct Introspection {
    endpoint: HttpEndpoint,
    client_id: Arc<str>,
}

impl fmt::Debug for Introspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspection").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// The profile of the request and its answers.
#[must_use]
pub fn introspection_profile() -> Arc<Profile> {
    static PARSED: LazyLock<Arc<Profile>> = LazyLock::new(|| {
        #[allow(clippy::expect_used, reason = "it is compiled in; a test parses it")]
        let profile = Profile::parse(include_str!("introspection.toml")).expect("sound");
        Arc::new(profile)
    });
    Arc::clone(&PARSED)
}

impl Introspection {
    /// Builds the client. It does not connect yet.
    ///
    /// # Errors
    ///
    /// [`ClientError`] names the setting that it cannot be built with.
    pub fn new(
        settings: &VerifySettings,
        credentials: Arc<Credentials>,
    ) -> Result<Self, ClientError> {
        let endpoint = HttpEndpoint::new(&settings.endpoint, credentials)?;
        Ok(Self { endpoint, client_id: Arc::clone(&settings.client_id) })
    }

    /// Returns the state of a token without a job.
    ///
    /// # Errors
    ///
    /// [`Failure`] without the endpoint's own answer.
    pub async fn state_of(&self, token: SecretString) -> Result<TokenState, Failure> {
        let fingerprint = Fingerprint::of(token.expose_secret());
        self.ask(token, fingerprint, None).await
    }

    /// The state of the job's token.
    ///
    /// # Errors
    ///
    /// [`Failure`] without the endpoint's own answer. It says nothing of the token, so it is not ambiguous.
    pub async fn state(
        &self,
        job: &Job,
        trace: Option<&TraceContext>,
    ) -> Result<TokenState, Failure> {
        self.ask(job.token.clone(), job.fingerprint, trace).await
    }

    async fn ask(
        &self,
        token: SecretString,
        fingerprint: Fingerprint,
        trace: Option<&TraceContext>,
    ) -> Result<TokenState, Failure> {
        let asked = Job {
            token,
            fingerprint,
            audience: "".into(),
            client_id: Some(Arc::clone(&self.client_id)),
            username: None,
            expires_at: None,
            carried_client_secret: None,
        };
        match self.endpoint.revoke(&asked, trace).await {
            Ok(Verdict::Acknowledged) => Ok(TokenState::Active),
            Ok(Verdict::Gone(_)) => Ok(TokenState::Inactive),
            Ok(Verdict::Transient(failure)) => Err(Failure { ambiguous: false, ..failure }),
            // The profile has no other verdicts.
            Ok(_) => Err(failure(ResultLabel::Unrecognized, Blame::Transport)),
            Err(_) => Err(failure(ResultLabel::Misconfigured, Blame::Client)),
        }
    }
}

const fn failure(label: ResultLabel, blame: Blame) -> Failure {
    Failure { blame, ..Failure::unanswered(label, false) }
}

#[cfg(test)]
mod tests;
