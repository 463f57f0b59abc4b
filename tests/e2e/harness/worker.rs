//! A running `revoker`: the real binary, configured by environment variables as its users would.

mod launch;

use std::{net::SocketAddr, ops::Deref};

use serde_json::Value;
use tokio::sync::OnceCell;

use super::{
    process::Process,
    scrape::Scrape,
    wait::eventually,
    web::{self, Page},
};

pub use launch::Launch;

/// A running `revoker`. It derefs to its process.
pub struct Worker {
    process: Process,
    /// Cached, because a log of thousands of lines is slow to search.
    admin: OnceCell<SocketAddr>,
}

impl Deref for Worker {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl Worker {
    /// Sends SIGKILL, and asserts that the signal ended the worker.
    pub async fn kill(self) {
        use std::os::unix::process::ExitStatusExt as _;
        self.signal("KILL");
        let status = self.exit().await;
        assert_eq!(status.signal(), Some(9), "the worker ended by itself: {status}");
    }

    /// Sends SIGTERM, and asserts an orderly end.
    pub async fn stop(self) {
        self.signal("TERM");
        let status = self.exit().await;
        assert_eq!(status.code(), Some(0), "{}", self.stderr());
    }

    /// The address of its admin pages, from its log or, without a log, from the system.
    pub async fn admin(&self) -> SocketAddr {
        let find = || {
            eventually("the admin address", async || {
                assert!(self.exited().is_none(), "the worker ended: {}", self.stderr());
                let lines = self.said("admin listening");
                let address = lines.iter().find_map(|line| field(line, "address")?.parse().ok());
                address.or_else(|| self.listening()).ok_or(self.stderr())
            })
        };
        *self.admin.get_or_init(find).await
    }

    /// An admin page.
    pub async fn page(&self, path: &str) -> Page {
        let admin = self.admin().await;
        eventually(path, async || web::get(admin, path).await.map_err(|error| error.to_string()))
            .await
    }

    /// Waits until `/readyz` reports ready.
    pub async fn until_ready(&self) {
        self.until_page("/readyz", "to be ready", |page| page.status == 200).await;
    }

    /// Waits until `/readyz` reports not ready. Returns the reason.
    pub async fn until_unready(&self) -> String {
        self.until_page("/readyz", "to be not ready", |page| page.status == 503).await.body
    }

    /// Waits until a page fulfils `condition`.
    pub async fn until_page(
        &self,
        path: &str,
        what: &str,
        condition: impl Fn(&Page) -> bool,
    ) -> Page {
        eventually(&format!("{path} {what}"), async || {
            let page = self.page(path).await;
            if condition(&page) { Ok(page) } else { Err(format!("{page:?}")) }
        })
        .await
    }

    /// The metrics now.
    pub async fn metrics(&self) -> Scrape {
        Scrape::parse(self.page("/metrics").await.body)
    }

    /// Waits until the metrics fulfil `condition`, and returns those of a moment later, if they still do. The worker counts
    /// on while it writes the page: a job that ends meanwhile may be counted in the last lines, and its call missing in
    /// the first.
    pub async fn until_metrics(&self, what: &str, condition: impl Fn(&Scrape) -> bool) -> Scrape {
        let scrape = eventually(what, async || {
            let scrape = self.metrics().await;
            if condition(&scrape) { Ok(scrape) } else { Err(scrape.summary()) }
        })
        .await;
        let later = self.metrics().await;
        if condition(&later) { later } else { scrape }
    }

    /// Waits until this many deliveries ended with this outcome. It fails only if no more deliveries end, because a
    /// long backlog may take long on a busy machine.
    pub async fn until_processed(&self, outcome: &str, count: usize) -> Scrape {
        let mut ended = 0;
        loop {
            let scrape = self
                .until_metrics(&format!("{count} {outcome}, more than {ended}"), |scrape| {
                    scrape.processed(outcome) >= count.min(ended + 1)
                })
                .await;
            ended = scrape.processed(outcome);
            if ended >= count {
                return scrape;
            }
        }
    }

    /// Waits until its log holds this many lines that begin with `message`; returns them.
    pub async fn until_log_lines(&self, message: &str, count: usize) -> Vec<Value> {
        eventually(&format!("{count} log lines of {message:?}"), async || {
            let lines = self.said(message);
            if lines.len() >= count { Ok(lines) } else { Err(format!("{} of them", lines.len())) }
        })
        .await
    }

    /// The lines of its log so far whose message begins like this.
    pub fn said(&self, message: &str) -> Vec<Value> {
        let begins = |line: &Value| field(line, "message").is_some_and(|m| m.starts_with(message));
        self.log_lines().into_iter().filter(begins).collect()
    }

    /// Waits until it has logged this message.
    pub async fn until_logged(&self, message: &str) {
        eventually(message, async || {
            let lines = self.log_lines();
            let logged = lines.iter().any(|line| field(line, "message") == Some(message));
            if logged { Ok(()) } else { Err(self.stderr()) }
        })
        .await;
    }

    /// The whole lines of its log so far.
    pub fn log_lines(&self) -> Vec<Value> {
        let stderr = self.stderr();
        let whole = stderr.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

/// A field of a log line, at any nesting of the format.
pub fn field<'a>(line: &'a Value, name: &str) -> Option<&'a str> {
    line.get(name).or_else(|| line.get("fields")?.get(name))?.as_str()
}
