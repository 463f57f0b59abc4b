//! One call by a profile other than the default one.

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderValue, Request, Uri, header::AUTHORIZATION};
use secrecy::{ExposeSecret, SecretString};
use url::{Url, form_urlencoded};

use super::{
    credentials::Credentials,
    http::{CallInfo, HttpEndpoint},
    profile::{AuthMethod, CallValues, FieldValue, Profile, Segment, is_segment},
    settings::{AuthSettings, BasicEncoding, Settings},
};
use crate::{
    domain::{ClientKey, Failure, InvalidJob, Job, Redactor, ResultLabel, TraceContext, Verdict},
    ports::UnknownClient,
};

/// What the calls of a profile are made from.
pub struct ProfileCaller {
    profile: Arc<Profile>,
    auth: AuthSettings,
    url: Url,
    token_type_hint: Option<String>,
    credentials: Arc<Credentials>,
}

/// Who a call is made for.
struct Account<'a> {
    client_id: Option<&'a str>,
    secret: Option<Arc<SecretString>>,
}

/// How one call proves its client.
#[derive(Default)]
struct Proof {
    header: Option<HeaderValue>,
    /// Added to the body.
    fields: Vec<(&'static str, SecretString)>,
    /// Not to be shown in any text.
    secrets: Vec<SecretString>,
}

impl ProfileCaller {
    /// `None` for the default profile.
    pub fn new(settings: &Settings, credentials: &Arc<Credentials>) -> Option<Self> {
        let profile = Arc::clone(&settings.profile);
        (!profile.is_alignet()).then(|| Self {
            token_type_hint: settings
                .token_type_hint
                .clone()
                .or_else(|| profile.request.token_type_hint.clone()),
            profile,
            auth: settings.auth.clone(),
            url: settings.url.clone(),
            credentials: Arc::clone(credentials),
        })
    }

    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The client of a job; the clients that need no secret are one.
    pub fn admit(&self, job: &Job) -> Result<ClientKey, UnknownClient> {
        let key = match (self.auth.method.needs_secret(), job.client_id.as_deref()) {
            (true, Some(id)) => self.credentials.key(id).ok_or(UnknownClient::NoSecret)?,
            (true, None) => return Err(UnknownClient::NotNamed),
            (false, None) if self.names_client() => return Err(UnknownClient::NotNamed),
            (false, _) => ClientKey::default(),
        };
        let values = self.values(job, None);
        for segment in &self.profile.request.path {
            let fits = segment.of(&values).is_some_and(is_segment);
            if let (Segment::Value(value), false) = (segment, fits) {
                let place = "the path of the endpoint's URL";
                return Err(InvalidJob::Unfit(value.job_field(), place).into());
            }
        }
        if self.auth.method == AuthMethod::SelfBearer && bearer(job.token.expose_secret()).is_none()
        {
            return Err(InvalidJob::Unfit("refresh_token", "the header Authorization").into());
        }
        Ok(key)
    }

    /// Whether a call names its client.
    fn names_client(&self) -> bool {
        self.profile.request.uses(&FieldValue::ClientId) || self.adds_client_id()
    }

    /// Whether the body gets the client's id, although the profile has no field for it: a client without a secret is
    /// known by nothing else.
    fn adds_client_id(&self) -> bool {
        match self.auth.method {
            AuthMethod::None => self.profile.auth() != AuthMethod::None,
            AuthMethod::Mtls => true,
            _ => false,
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
            audience: Some(&job.audience),
            token_type_hint: self.token_type_hint.as_deref(),
        }
    }

    fn prove(&self, job: &Job, account: &Account<'_>) -> Proof {
        let id = account.client_id.unwrap_or_default();
        let mut proof = Proof::default();
        match (self.auth.method, &account.secret) {
            (AuthMethod::Basic, Some(secret)) => {
                let pair = basic(id, secret, self.auth.basic_encoding);
                proof.header = sensitive(&format!("Basic {}", pair.expose_secret()));
                proof.secrets.push(pair);
            }
            (AuthMethod::Post, Some(secret)) => {
                proof.fields.push(("client_id", id.into()));
                proof.fields.push(("client_secret", (**secret).clone()));
            }
            (AuthMethod::SelfBearer, _) => proof.header = bearer(job.token.expose_secret()),
            _ => {}
        }
        if self.adds_client_id() {
            proof.fields.push(("client_id", id.into()));
        }
        proof
    }
}

impl HttpEndpoint {
    /// Makes one call by a profile.
    pub(super) async fn revoke_by(
        &self,
        caller: &ProfileCaller,
        job: &Job,
        trace: Option<&TraceContext>,
    ) -> Result<Verdict, UnknownClient> {
        let account = caller.account(job)?;
        let proof = caller.prove(job, &account);
        let values = caller.values(job, account.secret.as_deref());
        let template = &caller.profile.request;
        let fields: Vec<_> =
            proof.fields.iter().map(|(name, value)| (*name, value.expose_secret())).collect();
        let uri =
            template.url(&caller.url, &values).and_then(|url| url.as_str().parse::<Uri>().ok());
        let (Some(uri), Ok(body)) = (uri, template.body(&values, &fields)) else {
            // A job was admitted only if both can be written. If not, nothing was sent.
            return Ok(Verdict::Transient(Failure::unanswered(ResultLabel::Connect, false)));
        };
        let mut request: Request<_> = self.request(body, trace);
        *request.method_mut() = template.method.clone();
        *request.uri_mut() = uri;
        if let Some(header) = proof.header {
            request.headers_mut().insert(AUTHORIZATION, header);
        }
        let username = job.username.clone().map(SecretString::from);
        let own = [&job.token].into_iter().chain(account.secret.as_deref()).chain(&username);
        let call = CallInfo { redactor: Redactor::new(own.chain(&proof.secrets)), trace };
        Ok(self.attempt(request, call).await)
    }
}

/// Id and secret as the header of RFC 7617 has them.
fn basic(id: &str, secret: &SecretString, encoding: BasicEncoding) -> SecretString {
    let secret = secret.expose_secret();
    let pair = match encoding {
        BasicEncoding::Raw => format!("{id}:{secret}"),
        BasicEncoding::Form => format!("{}:{}", form(id), form(secret)),
    };
    BASE64_STANDARD.encode(pair).into()
}

fn form(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn bearer(token: &str) -> Option<HeaderValue> {
    let fits = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| sensitive(&format!("Bearer {token}"))).flatten()
}

fn sensitive(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}
