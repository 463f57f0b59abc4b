//! The bare HTTP client: the same calls, and nothing but the calls. No worker can be faster.
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

use reqwest::Client;
use tokio::task::JoinSet;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, calls, at_a_time] = arguments.as_slice() else {
        return Err("three arguments".into());
    };
    let (calls, at_a_time): (u32, usize) = (calls.parse()?, at_a_time.parse()?);
    revoker::endpoint::install_crypto_provider();
    let builder = Client::builder().no_proxy().tls_certs_only([]).retry(reqwest::retry::never());
    let client = builder.pool_max_idle_per_host(at_a_time).build()?;
    let next = Arc::new(AtomicU32::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..at_a_time {
        let (client, next, url) = (client.clone(), Arc::clone(&next), url.clone());
        callers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= calls {
                    return Ok::<(), reqwest::Error>(());
                }
                let body = format!(
                    "{{\"action\":\"revoke\",\"refresh_token\":\"bare-{number}\",\"audience\":\"a\",\
                     \"client_id\":\"bench\",\"client_secret\":\"secret-of-the-bench\"}}"
                );
                client.post(&url).body(body).send().await?.error_for_status()?.bytes().await?;
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended??;
    }
    Ok(())
}
