//! Mints refresh tokens: by the password grant, or by an authorization code with PKCE, like a browser.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64_URL};
use bytes::Bytes;
use http::{
    Method, Request,
    header::{COOKIE, LOCATION, SET_COOKIE},
};
use http_body_util::Full;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::{AuthorizationServer, Client, Response, requests};

/// The redirect URL for the code. No server listens there.
const CALLBACK: &str = "http://127.0.0.1/callback";
/// The secret of PKCE.
const VERIFIER: &str = "of-the-tests-of-the-tests-of-the-tests-of-the-tests";
/// Requests until the code is there: the page itself, and a redirect and a form each for login and consent.
const MOST_STEPS: usize = 12;

/// By the password grant.
pub(super) async fn by_password(server: &AuthorizationServer, client: &Client) -> String {
    let fields = [("grant_type", "password"), ("username", "user"), ("password", "password")];
    refresh_token(&server.post(server.token_url(), client, &fields).await)
}

/// By the authorization code grant, in a session of its own.
pub(super) async fn by_code(server: &AuthorizationServer, client: &Client) -> String {
    let code = Browser { server, cookies: BTreeMap::new() }.authorize(client).await;
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    refresh_token(&server.post(server.token_url(), client, &fields).await)
}

fn refresh_token(response: &Response) -> String {
    assert_eq!(response.status, 200, "{response:?}");
    response.json()["refresh_token"].as_str().expect("a refresh token").to_owned()
}

/// Follows redirects, keeps cookies and submits forms.
struct Browser<'a> {
    server: &'a AuthorizationServer,
    cookies: BTreeMap<String, String>,
}

impl Browser<'_> {
    /// The code that the user's consent yields.
    async fn authorize(&mut self, client: &Client) -> String {
        let mut url = self.server.url("/auth");
        url.query_pairs_mut()
            .append_pair("client_id", client.id)
            .append_pair("redirect_uri", CALLBACK)
            .append_pair("response_type", "code")
            .append_pair("scope", "openid offline_access")
            .append_pair("prompt", "consent")
            .append_pair("code_challenge", &BASE64_URL.encode(Sha256::digest(VERIFIER)))
            .append_pair("code_challenge_method", "S256");
        let mut request = requests::request(Method::GET, &url);
        for _ in 0..MOST_STEPS {
            let here = Url::parse(&request.uri().to_string()).unwrap();
            let response = self.send(request).await;
            request = match response.header(LOCATION.as_str()) {
                Some(there) => {
                    let there = here.join(there).unwrap();
                    if there.as_str().starts_with(CALLBACK) {
                        let code = there.query_pairs().find(|(name, _)| name == "code");
                        return code.unwrap_or_else(|| panic!("no code in {there}")).1.into_owned();
                    }
                    requests::request(Method::GET, &there)
                }
                None => filled_in(&here, &response),
            };
        }
        panic!("no code after {MOST_STEPS} steps");
    }

    async fn send(&mut self, mut request: Request<Full<Bytes>>) -> Response {
        let cookies = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        let cookies = cookies.collect::<Vec<_>>().join("; ");
        request.headers_mut().insert(COOKIE, cookies.parse().unwrap());
        let response = requests::send(&self.server.http, request).await;
        for cookie in response.headers.get_all(SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        response
    }
}

/// The request that submits the form of a page, with any name and password, and consent.
fn filled_in(here: &Url, page: &Response) -> Request<Full<Bytes>> {
    let attribute = |before: &str| {
        let (_, rest) = page.body.split_once(before)?;
        Some(rest.split_once('"')?.0)
    };
    let action = attribute("<form autocomplete=\"off\" action=\"");
    let prompt = attribute("name=\"prompt\" value=\"");
    let (Some(action), Some(prompt)) = (action, prompt) else { panic!("no form: {page:?}") };
    let form = format!("prompt={prompt}&login=user&password=password");
    requests::form(&here.join(action).unwrap(), form)
}
