//! A real authorization server on loopback, from its registry: `scripts/authorization-servers` installs it, and only its
//! configuration is ours (`tests/e2e/authorization_servers`).

mod client;
mod grants;
mod process;
mod requests;

use std::net::SocketAddr;

use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use url::Url;

use super::canary;

pub use client::{Client, Method};
use process::ServerProcess;
pub use requests::{Basic, Response};
use requests::{HttpClient, Proof};

/// Parallel requests of tests that make many.
const AT_A_TIME: usize = 8;

/// The servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// node-oidc-provider.
    Node,
    /// django-oauth-toolkit.
    Django,
    /// Authlib.
    Authlib,
}

impl Kind {
    /// The paths of its endpoints: tokens, revocation, introspection.
    const fn paths(self) -> [&'static str; 3] {
        match self {
            Self::Node => ["/token", "/token/revocation", "/token/introspection"],
            Self::Django => ["/o/token/", "/o/revoke_token/", "/o/introspect/"],
            Self::Authlib => ["/token", "/revoke", "/introspect"],
        }
    }

    /// The encoding of Basic that it reads.
    pub const fn basic(self) -> Basic {
        match self {
            Self::Node | Self::Django => Basic::Form,
            Self::Authlib => Basic::Raw,
        }
    }
}

/// A running server with the clients of [`Client`]. Dropped, it ends.
pub struct AuthorizationServer {
    /// Which one it is.
    pub kind: Kind,
    address: SocketAddr,
    http: HttpClient,
    _process: ServerProcess,
}

impl AuthorizationServer {
    /// Starts a server that keeps a refresh token when it is used.
    pub async fn start(kind: Kind) -> Self {
        Self::configured(kind, false).await
    }

    /// Starts a server that replaces a refresh token when it is used.
    pub async fn rotating(kind: Kind) -> Self {
        Self::configured(kind, true).await
    }

    async fn configured(kind: Kind, rotation: bool) -> Self {
        let clients: Vec<Value> = Client::all().iter().map(Client::registration).collect();
        let configuration = serde_json::json!({
            "clients": clients,
            "rotation": rotation,
            "prefix": canary::TOKEN,
        });
        let starting = move || ServerProcess::start(kind, &configuration);
        let (process, port) = tokio::task::spawn_blocking(starting).await.unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Self { kind, address, http: requests::client(), _process: process }
    }

    /// The address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of its token endpoint.
    pub fn token_url(&self) -> Url {
        self.url(self.kind.paths()[0])
    }

    /// The URL of its revocation endpoint.
    pub fn revocation_url(&self) -> Url {
        self.url(self.kind.paths()[1])
    }

    /// The URL of its introspection endpoint.
    pub fn introspection_url(&self) -> Url {
        self.url(self.kind.paths()[2])
    }

    fn url(&self, path: &str) -> Url {
        let mut url = Url::parse(&format!("http://{}", self.address)).unwrap();
        url.set_path(path);
        url
    }

    /// Sends a form for a client, authenticated as the server expects.
    pub async fn post(&self, url: Url, client: &Client, fields: &[(&str, &str)]) -> Response {
        self.post_with(self.kind.basic(), url, client, fields).await
    }

    /// The same, with the pair of Basic written in the given way.
    pub async fn post_with(
        &self,
        basic: Basic,
        url: Url,
        client: &Client,
        fields: &[(&str, &str)],
    ) -> Response {
        let proof = client.proof(basic, &url);
        requests::post(&self.http, &url, &proof, fields).await
    }

    /// Sends a form with an assertion of the caller's.
    pub async fn post_assertion(
        &self,
        url: Url,
        assertion: &str,
        fields: &[(&str, &str)],
    ) -> Response {
        requests::post(&self.http, &url, &Proof::assertion(assertion), fields).await
    }

    /// Asks it to revoke a token.
    pub async fn revoke(&self, client: &Client, token: &str) -> Response {
        self.post(self.revocation_url(), client, &[("token", token)]).await
    }

    /// A new refresh token of the client.
    pub async fn mint(&self, client: &Client) -> String {
        match self.kind {
            Kind::Node => grants::by_code(self, client).await,
            Kind::Django | Kind::Authlib => grants::by_password(self, client).await,
        }
    }

    /// This many new refresh tokens of the client.
    pub async fn mint_all(&self, client: &Client, count: usize) -> Vec<String> {
        let minting = (0..count).map(|_| self.mint(client));
        stream::iter(minting).buffer_unordered(AT_A_TIME).collect().await
    }

    /// Whether a refresh token can still be used, by using it. Without rotation, the token does not change.
    pub async fn accepts(&self, owner: &Client, token: &str) -> bool {
        self.refresh(owner, token).await.is_some()
    }

    /// Uses a refresh token: the one that replaces it, or itself; `None` if it is dead.
    pub async fn refresh(&self, owner: &Client, token: &str) -> Option<String> {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
        let response = self.post(self.token_url(), owner, &fields).await;
        if response.status == 400 {
            assert_eq!(response.json()["error"], "invalid_grant", "{response:?}");
            return None;
        }
        assert_eq!(response.status, 200, "{response:?}");
        let replaced = response.json()["refresh_token"].as_str().map(str::to_owned);
        Some(replaced.unwrap_or_else(|| token.to_owned()))
    }

    /// Whether introspection calls a token active, asked by `asker`.
    pub async fn introspects(&self, asker: &Client, token: &str) -> bool {
        let response = self.post(self.introspection_url(), asker, &[("token", token)]).await;
        assert_eq!(response.status, 200, "{response:?}");
        response.json()["active"].as_bool().expect("introspection always says so")
    }

    /// The number of live tokens according to the server: by introspection or, if that does not support refresh tokens,
    /// by using them.
    pub async fn count_live(&self, owner: &Client, tokens: &[String]) -> usize {
        let watcher = Client::watcher();
        let asking = tokens.iter().map(async |token| match self.kind {
            Kind::Node | Kind::Authlib => self.introspects(&watcher, token).await,
            Kind::Django => self.accepts(owner, token).await,
        });
        let live = stream::iter(asking).buffer_unordered(AT_A_TIME);
        live.fold(0, async |count, live| count + usize::from(live)).await
    }
}
