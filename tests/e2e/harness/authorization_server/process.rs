//! The process of a server. It ends when its standard input is closed, so none outlives the tests, even after a crash.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    thread::JoinHandle,
};

use serde_json::Value;

use super::Kind;

/// The child, and the pipe that keeps it running.
pub(super) struct ServerProcess {
    child: Child,
    stdin: Option<ChildStdin>,
    /// Reads the notices that a server prints: a closed pipe would end it, and so would a full one.
    reading: Option<JoinHandle<()>>,
}

impl ServerProcess {
    /// Starts the program of a server. Returns the port that it listens on.
    pub(super) fn start(kind: Kind, configuration: &Value) -> (Self, u16) {
        let mut command = program(kind);
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = spawned.spawn().unwrap_or_else(|error| {
            panic!("{kind:?} does not start, run scripts/authorization-servers first: {error}")
        });
        let mut stdin = child.stdin.take().unwrap();
        writeln!(stdin, "{configuration}").unwrap();
        let mut port = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut port).unwrap();
        let reading = std::thread::spawn(move || drop(io::copy(&mut stdout, &mut io::sink())));
        let process = Self { child, stdin: Some(stdin), reading: Some(reading) };
        let port = port.trim().parse();
        (process, port.unwrap_or_else(|_| panic!("{kind:?} ended before it listened")))
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
        if let Some(reading) = self.reading.take() {
            let _ = reading.join();
        }
    }
}

fn program(kind: Kind) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let installed = root.join(".run/authorization-servers");
    let programs = root.join("tests/e2e/authorization_servers");
    match kind {
        Kind::Node => {
            let mut command = Command::new(installed.join("node"));
            // Its packages are beside the link to it, not beside the program.
            command.args(["--preserve-symlinks", "--preserve-symlinks-main"]);
            command.arg(installed.join("server.mjs"));
            command
        }
        Kind::Django | Kind::Authlib => {
            let name = if kind == Kind::Django { "django" } else { "authlib" };
            let mut command = Command::new(installed.join("venv/bin/python"));
            command.arg(programs.join(name).join("server.py"));
            command
        }
    }
}
