//! The bare HTTP client: the same calls, and nothing but the calls. No worker can be faster.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use reqwest::Client;
use tokio::{task::JoinSet, time::Instant};

use super::Fallible;

/// Makes `calls` calls for tokens of their own, so many at a time; how long that took.
///
/// # Errors
///
/// A call that fails.
pub async fn call(url: &str, calls: u32, at_a_time: u32) -> Fallible<Duration> {
    let builder = Client::builder().no_proxy().tls_certs_only([]).retry(reqwest::retry::never());
    let client = builder.pool_max_idle_per_host(usize::try_from(at_a_time)?).build()?;
    let next = Arc::new(AtomicU32::new(0));
    let began = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..at_a_time {
        let (client, next, url) = (client.clone(), Arc::clone(&next), url.to_owned());
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
                client.post(&url).body(body).send().await?.bytes().await?;
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended??;
    }
    Ok(began.elapsed())
}
