//! The bare HTTP client, which makes only the calls. No worker can be faster.
//!
//! usage: `bare-client URL CALLS AT_A_TIME`

use std::{
    env,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use reqwest::{Client, Method, Request, Url};
use serde::Serialize;
use tokio::task::JoinSet;

/// The state that all callers share.
struct Calls {
    client: Client,
    url: Url,
    next: AtomicU32,
    count: u32,
}

/// The body of a call.
#[derive(Serialize)]
struct Call<'a> {
    action: &'static str,
    refresh_token: &'a str,
    audience: &'static str,
    client_id: &'static str,
    client_secret: &'static str,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, count, at_a_time] = arguments.as_slice() else {
        return Err("three arguments".into());
    };
    let (count, at_a_time): (u32, usize) = (count.parse()?, at_a_time.parse()?);
    revoker::endpoint::install_crypto_provider();
    let builder = Client::builder().no_proxy().tls_certs_only([]).retry(reqwest::retry::never());
    let client = builder.tcp_nodelay(true).pool_max_idle_per_host(at_a_time).build()?;
    let calls = Arc::new(Calls { client, url: url.parse()?, next: AtomicU32::new(0), count });
    let mut callers = JoinSet::new();
    for _ in 0..at_a_time {
        callers.spawn(Arc::clone(&calls).make());
    }
    while let Some(ended) = callers.join_next().await {
        ended??;
    }
    Ok(())
}

impl Calls {
    /// Makes calls one after the other, until none is left.
    async fn make(self: Arc<Self>) -> Result<(), Box<dyn Error + Send + Sync>> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.count {
                return Ok(());
            }
            let call = Call {
                action: "revoke",
                refresh_token: &format!("bare-{number}"),
                audience: "https://api.dev.alignet.io",
                client_id: "bench",
                client_secret: "secret-of-the-bench",
            };
            let mut request = Request::new(Method::POST, self.url.clone());
            *request.body_mut() = Some(serde_json::to_vec(&call)?.into());
            self.client.execute(request).await?.error_for_status()?.bytes().await?;
        }
    }
}
