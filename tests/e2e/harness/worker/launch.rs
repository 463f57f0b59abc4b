//! The command line and the environment of a `revoker` process.

use std::{
    collections::BTreeMap,
    fmt::Display,
    path::PathBuf,
    process::{Command, ExitStatus},
};

use tokio::sync::OnceCell;

use super::Worker;
use crate::harness::{
    Endpoint,
    authorization_server::{AuthorizationServer, Client, Method},
    canary,
    process::Process,
    stage::{AUDIENCE, CLIENT},
};

/// A subcommand with its arguments and its environment.
#[derive(Debug, Clone)]
pub struct Launch {
    name: String,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    input: Option<Vec<u8>>,
    prelude: Option<String>,
    folder: Option<PathBuf>,
    on_terminal: bool,
    on_closing_terminal: bool,
    meter: Option<PathBuf>,
}

/// Runs a command, and writes its peak resident memory, in KiB, to a file. The system reports it only to the parent of
/// an ended process.
const METER: &str = "import resource, subprocess, sys; \
    status = subprocess.run(sys.argv[2:]).returncode; \
    open(sys.argv[1], 'w').write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)); \
    sys.exit(status)";

/// Runs a command as the leader of a session on a pseudo-terminal, and prints what it writes there. SIGUSR1 closes the
/// terminal. A shell then sends a second SIGHUP, and so does this. SIGTERM is passed on.
const CLOSING_TERMINAL: &str = "
import os, pty, signal, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
class Close(Exception): pass
def close(*_): raise Close
signal.signal(signal.SIGUSR1, close)
signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
try:
    while chunk := os.read(terminal, 65536):
        os.write(1, chunk)
except (OSError, Close):
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
os.close(terminal)
os.kill(pid, signal.SIGHUP)
os.write(1, b'[the terminal is closed]')
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

impl Launch {
    /// A subcommand without any configuration.
    pub fn bare(subcommand: &str) -> Self {
        Self {
            name: format!("revoker {subcommand}"),
            arguments: vec![subcommand.to_owned()],
            environment: BTreeMap::new(),
            input: None,
            prelude: None,
            folder: None,
            on_terminal: false,
            on_closing_terminal: false,
            meter: None,
        }
    }

    /// Sets a key of the configuration, written as in a file: `retry.initial`.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Display) -> Self {
        self.environment.insert(variable(key), value.to_string());
        self
    }

    /// Calls `endpoint`: one delay for all stays, no jitter, and defaults otherwise.
    #[must_use]
    pub fn calling(self, endpoint: &Endpoint) -> Self {
        self.unhurried_calls()
            .set("endpoint.url", endpoint.url())
            .set("endpoint.audience", AUDIENCE)
            .set("credentials.client_id", CLIENT)
            .set("credentials.client_secret", canary::SECRET)
            // An adaptive limit would not grow while a test holds calls, and intended failures must not pause the
            // worker. Tests of the flow undo this.
            .set("flow.concurrency.adaptive", "false")
            .set("flow.pause.after_failures", "1000000")
            // Intended rejections must not trigger the guard, and held calls must not stop at fifty. Tests of the guard
            // undo this.
            .set("flow.guard.first_rejections", 0)
    }

    /// Revokes at a real server by RFC 7009, for `client`.
    #[must_use]
    pub fn revoking_at(self, server: &AuthorizationServer, client: &Client) -> Self {
        let launch = self
            .unhurried_calls()
            .set("endpoint.profile", "rfc7009")
            .set("endpoint.url", server.revocation_url())
            .set("endpoint.auth.method", client.method.name())
            .set("credentials.client_id", client.id)
            // More calls at a time are no faster here.
            .set("flow.concurrency.max", 16);
        match client.method {
            Method::Basic => launch
                .set("endpoint.auth.basic_encoding", server.kind.basic().name())
                .set("credentials.client_secret", &client.secret),
            Method::Post => launch.set("credentials.client_secret", &client.secret),
            Method::None => launch,
            Method::PrivateKeyJwt => launch
                .set("endpoint.auth.algorithm", "ES256")
                .set("endpoint.auth.key_file", Client::key_file().display()),
        }
    }

    /// Configures checks of tokens by introspection of that server.
    #[must_use]
    pub fn verifying_at(self, server: &AuthorizationServer, when: &str) -> Self {
        let watcher = Client::watcher();
        self.set("verify.when", when)
            .set("verify.url", server.introspection_url())
            .set("verify.auth.client_id", watcher.id)
            .set("verify.auth.client_secret", &watcher.secret)
            .set("verify.auth.basic_encoding", server.kind.basic().name())
    }

    /// Long time-outs, so that a busy machine does not cause unwanted calls.
    fn unhurried_calls(self) -> Self {
        self.set("endpoint.connect_timeout", "60s")
            .set("endpoint.timeout", "10m")
            .set("retry.initial", "50ms")
            .set("retry.jitter", "0")
            .set("retry.park", "1s")
    }

    /// Sets the key of the history headers, and presumes success for a rejection after an ambiguous attempt.
    #[must_use]
    pub fn presuming(self) -> Self {
        self.with_history_key().set("endpoint.presume_revoked_after_ambiguity", true)
    }

    /// Sets the key of the history headers.
    #[must_use]
    pub fn with_history_key(self) -> Self {
        self.set("broker.history_key_file", canary::history_key_file().display())
    }

    /// Runs it on one thread. A delivery is counted before it joins its lane, and other threads could be between the
    /// two; so every delivery in the metrics has joined.
    #[must_use]
    pub fn on_one_thread(self) -> Self {
        self.environment("TOKIO_WORKER_THREADS", 1)
    }

    /// Removes a key.
    #[must_use]
    pub fn unset(mut self, key: &str) -> Self {
        self.environment.remove(&variable(key));
        self
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Display) -> Self {
        self.arguments.push(argument.to_string());
        self
    }

    /// Sets its standard input.
    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = Some(input.into());
        self
    }

    /// Limits its files to this many blocks of 512 bytes, like a full disk.
    #[must_use]
    pub fn largest_file(self, blocks: usize) -> Self {
        // Without the trap, the system would kill it with a signal in place of an error.
        self.after(&format!("trap '' XFSZ; ulimit -f {blocks}"))
    }

    /// Runs commands of the shell before it, in the same process: limits and redirections.
    #[must_use]
    pub fn after(mut self, prelude: &str) -> Self {
        self.prelude = Some(prelude.to_owned());
        self
    }

    /// Sets a variable of the environment that is no key of the configuration.
    #[must_use]
    pub fn environment(mut self, name: &str, value: impl Display) -> Self {
        self.environment.insert(name.to_owned(), value.to_string());
        self
    }

    /// The folder that it works in.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Runs it on a terminal. The input is typed there, and both outputs go to standard output.
    #[must_use]
    pub fn on_terminal(mut self) -> Self {
        self.on_terminal = true;
        self
    }

    /// The words with which a shell starts it, alone with its own environment.
    pub fn shell_words(&self) -> String {
        let quoted = |word: &str| format!("'{}'", word.replace('\'', "'\\''"));
        let variables = self.environment.iter().map(|(name, value)| format!("{name}={value}"));
        let kept = "TERM=\"$TERM\" LC_ALL=C.UTF-8".to_owned();
        let words = variables.map(|variable| quoted(&variable)).chain([kept]);
        let command = std::iter::once(env!("CARGO_BIN_EXE_revoker"));
        let command = command.chain(self.arguments.iter().map(String::as_str)).map(quoted);
        let words: Vec<String> = words.chain(command).collect();
        format!("env -i {}", words.join(" "))
    }

    /// Runs it on a terminal that SIGUSR1 closes. Both outputs go to standard output, unless [`Launch::after`] sends them
    /// to a file.
    #[must_use]
    pub fn on_closing_terminal(mut self) -> Self {
        self.on_closing_terminal = true;
        self
    }

    /// Starts it.
    pub fn start(&self) -> Worker {
        let binary = env!("CARGO_BIN_EXE_revoker");
        let mut environment = self.environment.clone();
        let mut command = match (self.on_terminal, &self.prelude) {
            _ if self.meter.is_some() => {
                let mut command = Command::new("python3");
                command.args(["-c", METER]).args(&self.meter).arg(binary).args(&self.arguments);
                command
            }
            _ if self.on_closing_terminal => {
                let prelude = self.prelude.as_deref().unwrap_or(":");
                let script = format!("{prelude}; exec \"$0\" \"$@\"");
                let mut command = Command::new("python3");
                command.args(["-c", CLOSING_TERMINAL, "sh", "-c", &script, binary]);
                command.args(&self.arguments);
                environment.insert("TERM".to_owned(), "xterm".to_owned());
                command
            }
            (true, _) => {
                let words: Vec<String> = std::iter::once(binary)
                    .chain(self.arguments.iter().map(String::as_str))
                    .map(|word| format!("'{word}'"))
                    .collect();
                let mut command = Command::new("script");
                command.args(["-q", "-e", "-c", &words.join(" "), "/dev/null"]);
                environment.insert("TERM".to_owned(), "xterm".to_owned());
                command
            }
            (false, Some(prelude)) => {
                let script = format!("{prelude}; exec \"$0\" \"$@\"");
                let mut command = Command::new("sh");
                command.args(["-c", &script, binary]).args(&self.arguments);
                command
            }
            (false, None) => {
                let mut command = Command::new(binary);
                command.args(&self.arguments);
                command
            }
        };
        command.env_clear().envs(&environment);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let process = Process::start(&self.name, &mut command, self.input.clone());
        Worker { process, admin: OnceCell::new() }
    }

    /// Starts it and waits until it is ready.
    pub async fn ready(&self) -> Worker {
        let worker = self.start();
        worker.until_ready().await;
        worker
    }

    /// Runs it to its end.
    pub async fn run(&self) -> (Worker, ExitStatus) {
        let worker = self.start();
        let status = worker.exit().await;
        (worker, status)
    }

    /// Runs it to its end, and also returns its peak resident memory in KiB. It may run for as long as it prints.
    pub async fn run_metered(mut self) -> (Worker, ExitStatus, usize) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("peak");
        self.meter = Some(file.clone());
        let worker = self.start();
        let status = worker.exit_in_its_time().await;
        let peak = std::fs::read_to_string(file).unwrap().parse().unwrap();
        (worker, status, peak)
    }
}

/// The environment variable of a key.
fn variable(key: &str) -> String {
    format!("REVOKER_{}", key.to_uppercase().replace('.', "__"))
}
