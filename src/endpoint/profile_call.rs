//! One call by a profile other than the default one.

use std::sync::Arc;

use http::{HeaderValue, StatusCode, Uri, header::AUTHORIZATION};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    access_tokens::{AccessTokens, Fetched},
    basic::{self, bearer},
    client::{self, ClientError},
    clients::ClientPool,
    credentials::Credentials,
    http::{CallInfo, Exchange, HttpEndpoint},
    jwt::Signer,
    profile::{AuthMethod, CallValues, Profile, Segment, is_segment},
    settings::{AuthSettings, Settings},
    token_request::TokenRequest,
};
use crate::{
    domain::{
        ClientKey, Failure, FailureClass, InvalidJob, Job, Redactor, ResultLabel, TraceContext,
        Verdict,
    },
    ports::{Clock as _, SystemClock, UnknownClient},
};

/// Makes the calls of a profile.
pub struct ProfileCaller {
    profile: Arc<Profile>,
    auth: AuthSettings,
    url: Url,
    /// The URL of every call, unless it has values of the job.
    uri: Option<Uri>,
    token_type_hint: Option<String>,
    credentials: Arc<Credentials>,
    signer: Option<Signer>,
    token_request: Option<Arc<TokenRequest>>,
    access_tokens: AccessTokens,
}

/// The client of a call, and its secret.
struct Account<'a> {
    client_id: Option<&'a str>,
    secret: Option<Arc<SecretString>>,
}

/// The authentication of one call.
#[derive(Default)]
struct Proof {
    header: Option<HeaderValue>,
    /// Fields that are added to the body.
    fields: Vec<(&'static str, SecretString)>,
    /// The access token, if the method is a bearer token.
    access_token: Option<Arc<SecretString>>,
    /// Secrets that no text may show.
    secrets: Vec<Arc<SecretString>>,
}

/// The type of an assertion: RFC 7523, section 2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Nothing was sent.
pub(super) const NOT_SENT: Failure =
    Failure { class: FailureClass::NotSent, ..Failure::unanswered(ResultLabel::Connect, false) };

impl ProfileCaller {
    /// `None` for the default profile.
    ///
    /// # Errors
    ///
    /// [`ClientError`] names the setting that is wrong.
    pub fn new(
        settings: &Settings,
        credentials: &Arc<Credentials>,
        clients: &Arc<ClientPool>,
    ) -> Result<Option<Self>, ClientError> {
        let profile = Arc::clone(&settings.profile);
        if profile.is_alignet() {
            return Ok(None);
        }
        let hint = settings.token_type_hint.clone();
        Ok(Some(Self {
            token_type_hint: hint.or_else(|| profile.request.token_type_hint.clone()),
            uri: profile.request.path.is_empty().then(|| client::uri(settings)).transpose()?,
            profile,
            auth: settings.auth.clone(),
            url: settings.url.clone(),
            credentials: Arc::clone(credentials),
            signer: settings.auth.jwt.as_ref().map(Signer::load).transpose()?,
            token_request: TokenRequest::new(settings, clients)?.map(Arc::new),
            access_tokens: AccessTokens::default(),
        }))
    }

    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The number of a job's client. Clients that need no secret share one number.
    pub fn admit(&self, job: &Job) -> Result<ClientKey, UnknownClient> {
        let method = self.auth.method;
        let key = match job.client_id.as_deref() {
            _ if self.profile.takes_any_client(method) => ClientKey::default(),
            None => return Err(UnknownClient::NotNamed),
            Some(id) if method.needs_secret() => {
                self.credentials.key(id).ok_or(UnknownClient::NoSecret)?
            }
            // The key and the certificate belong to one client. The endpoint would refuse any other client, and these
            // refusals would pause the configured one.
            Some(id) if self.auth.client_id.as_deref() == Some(id) => ClientKey::default(),
            Some(_) => return Err(UnknownClient::NoSecret),
        };
        let values = self.values(job, None);
        for segment in &self.profile.request.path {
            let fits = segment.of(&values).is_some_and(is_segment);
            if let (Segment::Value(value), false) = (segment, fits) {
                let place = "the path of the endpoint's URL";
                return Err(InvalidJob::Unfit(value.job_field(), place).into());
            }
        }
        if self.auth.method == AuthMethod::SelfBearer && bearer(&job.token).is_none() {
            return Err(InvalidJob::Unfit("refresh_token", "the header Authorization").into());
        }
        Ok(key)
    }

    /// The URL of one call. `None` if a value of the job is invalid in a path.
    fn uri(&self, values: &CallValues<'_>) -> Option<Uri> {
        match &self.uri {
            Some(uri) => Some(uri.clone()),
            None => self.profile.request.url(&self.url, values)?.as_str().parse().ok(),
        }
    }

    fn account<'a>(&self, job: &'a Job) -> Result<Account<'a>, UnknownClient> {
        let client_id = job.client_id.as_deref();
        let secret = match client_id {
            Some(id) if self.auth.method.needs_secret() => {
                Some(self.credentials.secret(id).ok_or(UnknownClient::NoSecret)?)
            }
            _ => None,
        };
        Ok(Account { client_id, secret })
    }

    fn values<'a>(&'a self, job: &'a Job, secret: Option<&'a SecretString>) -> CallValues<'a> {
        let by_fields = self.auth.method == AuthMethod::Fields;
        CallValues {
            token: job.token.expose_secret(),
            client_id: job.client_id.as_deref(),
            client_secret: secret.filter(|_| by_fields).map(ExposeSecret::expose_secret),
            username: job.username.as_deref(),
            audience: Some(&*job.audience).filter(|audience| !audience.is_empty()),
            token_type_hint: self.token_type_hint.as_deref(),
        }
    }

    /// Returns the authentication of one call. On an error, the call was not sent.
    async fn prove(&self, job: &Job, account: &Account<'_>) -> Result<Proof, Failure> {
        let id = account.client_id.unwrap_or_default();
        let mut proof = Proof::default();
        match (self.auth.method, &account.secret) {
            (AuthMethod::Basic, Some(secret)) => {
                let pair = basic::pair(id, secret, self.auth.basic_encoding);
                proof.header = basic::header(&pair);
                proof.secrets.push(Arc::new(pair));
            }
            (AuthMethod::Post, Some(secret)) => {
                proof.fields.push(("client_id", id.into()));
                proof.fields.push(("client_secret", (**secret).clone()));
            }
            (AuthMethod::SelfBearer, _) => proof.header = bearer(&job.token),
            (AuthMethod::Bearer, Some(secret)) => {
                let token = self.access_token(id, secret).await?.token;
                proof.header = bearer(&token);
                proof.access_token = Some(Arc::clone(&token));
                proof.secrets.push(token);
            }
            (AuthMethod::PrivateKeyJwt, _) => {
                let signer = self.signer.as_ref().ok_or(NOT_SENT)?;
                signer.refresh().await;
                let assertion = signer.assertion(id, SystemClock.now()).ok_or(NOT_SENT)?;
                proof.secrets.push(Arc::new(assertion.clone()));
                proof.fields.push(("client_assertion_type", ASSERTION_TYPE.into()));
                proof.fields.push(("client_assertion", assertion));
            }
            _ => {}
        }
        if self.profile.adds_client_id(self.auth.method) {
            proof.fields.push(("client_id", id.into()));
        }
        Ok(proof)
    }

    async fn access_token(&self, id: &str, secret: &Arc<SecretString>) -> Fetched {
        let Some(request) = &self.token_request else { return Err(NOT_SENT) };
        let fetch = || Arc::clone(request).send(id.to_owned(), Arc::clone(secret));
        self.access_tokens.of(id, secret, fetch).await
    }
}

impl HttpEndpoint {
    /// Makes one call by a profile.
    pub(super) async fn revoke_by(
        &self,
        caller: &ProfileCaller,
        connection: &impl Exchange,
        job: &Job,
        trace: Option<&TraceContext>,
    ) -> Result<Verdict, UnknownClient> {
        let account = caller.account(job)?;
        let proof = match caller.prove(job, &account).await {
            Ok(proof) => proof,
            Err(failure) => return Ok(Verdict::Transient(failure)),
        };
        let values = caller.values(job, account.secret.as_deref());
        let template = &caller.profile.request;
        let fields: Vec<_> =
            proof.fields.iter().map(|(name, value)| (*name, value.expose_secret())).collect();
        let (Some(uri), Ok(body)) = (caller.uri(&values), template.body(&values, &fields)) else {
            // An admitted job always has a valid URL and body. Otherwise nothing was sent.
            return Ok(Verdict::Transient(NOT_SENT));
        };
        let mut request = self.request(body, trace);
        *request.method_mut() = template.method.clone();
        *request.uri_mut() = uri;
        if let Some(header) = proof.header {
            request.headers_mut().insert(AUTHORIZATION, header);
        }
        let username = job.username.clone().map(SecretString::from);
        let own = [&job.token].into_iter().chain(account.secret.as_deref()).chain(&username);
        let own = own.chain(proof.secrets.iter().map(|secret| &**secret));
        let call = CallInfo { redactor: Redactor::new(own), trace };
        let verdict = connection.exchange(request, call).await;
        if let (true, Some(token)) = (refuses_client(&verdict), &proof.access_token) {
            // The access token may have been withdrawn before its expiry: the next attempt fetches another one.
            caller.access_tokens.forget(account.client_id.unwrap_or_default(), token);
        }
        Ok(verdict)
    }
}

/// Whether an answer refuses our client. Some profiles have no rule for a 401.
fn refuses_client(verdict: &Verdict) -> bool {
    let Verdict::Transient(failure) = verdict else { return false };
    failure.label == ResultLabel::Misconfigured
        || failure.http_status == Some(StatusCode::UNAUTHORIZED.as_u16())
}

#[cfg(test)]
mod tests;
