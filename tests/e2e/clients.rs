//! Tests that one client, one token or a few calls hardly affect the others. They assert the order of calls and
//! endings, not their times.

mod failing;
mod hanging;
mod sharing;

use std::fs;

use serde_json::json;
use tempfile::TempDir;

use crate::harness::{Call, Endpoint, Launch, Message, Stage, canary, token};

/// The client whose calls fail.
const BROKEN: &str = "broken";

/// Clients whose calls are answered.
const HEALTHY: [&str; 2] = ["healthy-1", "healthy-2"];

/// Three clients beside the configured one, each with its secret.
struct Clients {
    stage: Stage,
    folder: TempDir,
}

impl Clients {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for client in HEALTHY.iter().chain(&[BROKEN]) {
            fs::write(folder.path().join(client), canary::SECRET).unwrap();
        }
        let stage = Stage::new().await;
        stage.amqp.declare_family().await;
        Self { stage, folder }
    }

    /// A worker with the default flow and shorter waits.
    fn launch(&self, endpoint: &Endpoint) -> Launch {
        self.stage
            .run(endpoint)
            .set("credentials.directory", self.folder.path().display())
            .set("flow.concurrency.adaptive", true)
            .set("flow.pause.after_failures", 20)
            .set("flow.pause.probe_initial", "200ms")
            .set("flow.pause.probe_max", "1s")
    }
}

/// The job of `client` with the token of that number.
fn job(client: &str, n: usize) -> Message {
    Message::new(json!({ "refresh_token": token(n), "client_id": client }).to_string())
}

/// The client of a call.
fn is_of(call: &Call, client: &str) -> bool {
    call.request.json()["client_id"] == client
}
