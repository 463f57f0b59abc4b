//! Describes paused clients: in the log, at `/readyz` and on the status page.
//!
//! The flow knows clients by number. Their ids, the URL and the suggested commands come from the configuration.

mod commands;

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use tracing::{info, warn};

use crate::{
    config::Config,
    domain::ClientKey,
    endpoint::Credentials,
    flow::{ClientPause, Dispatcher, PauseCause},
    ports::{Condition, PausedClient, PausedClients, Report, SystemClock},
};
pub use commands::{DeadLetterCommands, shell_command};

/// The most paused clients that are named; the others are counted.
const NAMED: usize = 10;

/// The most causes of pauses in one sentence.
const CAUSES: usize = 5;

/// The name of the only client, for a profile whose calls name no client and need no secret.
const EVERY_JOB: &str = "(every job)";

/// How far the wall clock and the dead letters' time stamps may differ.
const MARGIN: Duration = Duration::from_secs(1);

/// Describes paused clients to the operator.
#[derive(Debug)]
pub struct ClientPauses {
    credentials: Arc<Credentials>,
    /// Whether calls need no secret. There is one client then, whatever secrets there are.
    is_one: bool,
    /// The id of that client, unless the calls name none.
    without_secret: Option<String>,
    audience: String,
    endpoint: String,
    /// The configuration's files, for the commands; `None` without a dead-letter queue.
    files: Option<Vec<PathBuf>>,
}

impl ClientPauses {
    /// `has_dead_letters` says whether rejected jobs become dead letters in a queue.
    pub fn new(config: &Config, credentials: Arc<Credentials>, has_dead_letters: bool) -> Self {
        let auth = &config.endpoint.auth;
        let is_named = config.endpoint.profile.names_client(auth.method);
        Self {
            credentials,
            is_one: !auth.method.needs_secret(),
            without_secret: auth.client_id.clone().filter(|_| is_named),
            audience: config.pipeline.defaults.audience.to_string(),
            endpoint: endpoint_url(config),
            files: has_dead_letters.then(|| config.files.clone()),
        }
    }

    /// Returns the default audience of jobs, and the endpoint's URL.
    pub fn environment(&self) -> (&str, &str) {
        (&self.audience, &self.endpoint)
    }

    /// The client's id, or what stands for it in a text.
    pub fn id(&self, client: ClientKey) -> String {
        self.known_id(client).unwrap_or_else(|| EVERY_JOB.to_owned())
    }

    fn known_id(&self, client: ClientKey) -> Option<String> {
        if self.is_one {
            return self.without_secret.clone();
        }
        self.credentials.client_id(client)
    }

    /// Logs one line for a client that is paused or resumes.
    pub fn log(&self, client: ClientKey, pause: Option<&ClientPause>) {
        let id = self.id(client);
        let Some(pause) = pause else {
            return info!(client = id, "client running again");
        };
        let reason = pause.pause.reason();
        let (audience, endpoint) = self.environment();
        let Some(DeadLetterCommands { list, replay }) = self.commands(pause) else {
            return warn!(client = id, reason, audience, endpoint, "client paused");
        };
        warn!(
            client = id,
            reason,
            audience,
            endpoint,
            list,
            replay,
            "client paused: check its secret and the environment; `list` shows the rejected jobs, \
             `replay` sends them back once the cause is removed"
        );
    }

    /// Returns the commands that replay the jobs that were rejected before the pause.
    fn commands(&self, pause: &ClientPause) -> Option<DeadLetterCommands> {
        let files = self.files.as_deref()?;
        let for_rejections =
            matches!(pause.pause.cause, PauseCause::Rejections | PauseCause::NothingRevoked);
        let since = pause.rejected_since.filter(|_| for_rejections)?;
        let since = SystemClock.at(since);
        let id = self.known_id(pause.client);
        let since = since.checked_sub(MARGIN).unwrap_or(since);
        Some(DeadLetterCommands::new(files, id.as_deref(), since))
    }

    fn describe(&self, pause: &ClientPause) -> PausedClient {
        let id = self.id(pause.client);
        let commands = self.commands(pause).map_or_else(Vec::new, |commands| {
            vec![
                ("Lists the rejected jobs", commands.list),
                ("Sends them back, once the cause is removed", commands.replay),
            ]
        });
        PausedClient {
            id,
            reason: pause.pause.reason(),
            since: SystemClock.at(pause.pause.since),
            next_probe: SystemClock.at(pause.pause.next_probe),
            audience: self.audience.clone(),
            endpoint: self.endpoint.clone(),
            commands,
        }
    }

    /// Returns the condition of a running flow in which these clients are paused.
    fn condition(&self, pauses: &[ClientPause]) -> Condition {
        let (Some(since), Some(next)) = (
            pauses.iter().map(|pause| pause.pause.since).min(),
            pauses.iter().map(|pause| pause.pause.next_probe).min(),
        ) else {
            return Condition::Ready;
        };
        let who = match pauses {
            [only] => format!("client {} is", self.id(only.client)),
            several => format!("{} clients are", several.len()),
        };
        let causes: BTreeSet<String> = pauses.iter().map(|pause| pause.pause.reason()).collect();
        let more = causes.len().saturating_sub(CAUSES);
        let mut causes: Vec<String> = causes.into_iter().take(CAUSES).collect();
        causes.extend((more > 0).then(|| format!("and {more} other causes")));
        Condition::Waiting {
            reason: format!("running, but {who} paused: {}", causes.join("; ")),
            since: SystemClock.at(since),
            until: Some(SystemClock.at(next)),
        }
    }
}

/// Returns the endpoint's URL without its query, which may hold a key.
pub fn endpoint_url(config: &Config) -> String {
    let mut url = config.endpoint.url.clone();
    url.set_query(None);
    url.to_string()
}

#[derive(Debug)]
pub struct FlowState {
    pub(super) flow: Arc<Dispatcher>,
    pub(super) pauses: Arc<ClientPauses>,
}

impl Report for FlowState {
    fn condition(&self) -> Condition {
        match self.flow.condition() {
            Condition::Ready => self.pauses.condition(&self.flow.pauses()),
            paused => paused,
        }
    }

    fn limit(&self) -> Option<String> {
        Some(self.flow.limit_state().to_string())
    }

    fn paused_clients(&self) -> PausedClients {
        let pauses = self.flow.pauses();
        PausedClients {
            named: pauses.iter().take(NAMED).map(|pause| self.pauses.describe(pause)).collect(),
            more: pauses.len().saturating_sub(NAMED),
        }
    }
}

#[cfg(test)]
mod tests;
