//! A process of the product. Its whole output is kept, and searched for canaries at its end.

use std::{
    fs,
    io::{ErrorKind, Read},
    net::{Ipv4Addr, SocketAddr},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::JoinHandle,
};

use tokio::sync::watch;

use super::{canary, wait::HANG_GUARD};

/// Lines of output that a failed test shows of each process.
const SHOWN_LINES: usize = 60;

/// A running process. Dropped, it is killed, and the test fails if its output holds a canary.
pub struct Process {
    name: String,
    pid: u32,
    stdout: Output,
    stderr: Output,
    ended: watch::Receiver<Option<ExitStatus>>,
    keeper: Option<JoinHandle<()>>,
}

#[derive(Clone, Default)]
struct Output(Arc<Kept>);

#[derive(Default)]
struct Kept {
    bytes: Mutex<Vec<u8>>,
    ignored: Mutex<bool>,
    changed: Condvar,
}

impl Output {
    fn text(&self) -> String {
        let bytes = self.0.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn length(&self) -> usize {
        self.0.bytes.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn ignore(&self, ignored: bool) {
        *self.0.ignored.lock().unwrap_or_else(PoisonError::into_inner) = ignored;
        self.0.changed.notify_all();
    }

    /// Waits until the output is read again.
    fn heard(&self) {
        let ignored = self.0.ignored.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.0.changed.wait_while(ignored, |ignored| *ignored));
    }

    /// Collects everything from `source` on a thread of its own: a full pipe would stall the worker.
    fn collect(&self, mut source: impl Read + Send + 'static) -> JoinHandle<()> {
        let kept = self.clone();
        std::thread::spawn(move || {
            let mut chunk = [0; 8 * 1024];
            while let Ok(read @ 1..) = source.read(&mut chunk) {
                let mut bytes = kept.0.bytes.lock().unwrap_or_else(PoisonError::into_inner);
                bytes.extend_from_slice(&chunk[..read]);
                drop(bytes);
                kept.heard();
            }
        })
    }
}

impl Process {
    /// Starts `command` with `input` as its standard input.
    pub fn start(name: &str, command: &mut Command, input: Option<Vec<u8>>) -> Self {
        let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
        let mut child: Child = command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
            // Small inputs only: this would block once the pipe is full. A process that needs no input may have ended
            // before.
            if let Err(error) = std::io::Write::write_all(&mut stdin, &input) {
                assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{name} takes no input: {error}");
            }
        }
        let pid = child.id();
        let (stdout, stderr) = (Output::default(), Output::default());
        let reading = [
            stdout.collect(child.stdout.take().expect("piped")),
            stderr.collect(child.stderr.take().expect("piped")),
        ];
        let (tell, ended) = watch::channel(None);
        let keeper = std::thread::spawn(move || {
            let status = child.wait().expect("our own child can be waited for");
            // The output must be complete before the end is reported.
            for thread in reading {
                thread.join().expect("reading does not panic");
            }
            let _ = tell.send(Some(status));
        });
        Self { name: name.to_owned(), pid, stdout, stderr, ended, keeper: Some(keeper) }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Its standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Stops reading its standard error: the pipe fills, and then blocks.
    pub fn ignore_stderr(&self) {
        self.stderr.ignore(true);
    }

    /// Continues reading.
    pub fn hear_stderr(&self) {
        self.stderr.ignore(false);
    }

    /// The address on loopback on which it listens, from `/proc`.
    pub fn listening(&self) -> Option<SocketAddr> {
        const LISTENS: &str = "0A";
        let files = fs::read_dir(format!("/proc/{}/fd", self.pid)).ok()?;
        let files: Vec<String> = files
            .filter_map(|file| fs::read_link(file.ok()?.path()).ok()?.to_str().map(str::to_owned))
            .collect();
        let sockets = fs::read_to_string(format!("/proc/{}/net/tcp", self.pid)).ok()?;
        let port = sockets.lines().find_map(|line| {
            // sl, local address, remote address, state, …, inode tenth.
            let fields: Vec<&str> = line.split_whitespace().collect();
            let ours = files.contains(&format!("socket:[{}]", fields.get(9)?));
            let (_, port) = fields[1].split_once(':')?;
            (ours && fields[3] == LISTENS).then(|| u16::from_str_radix(port, 16).ok())?
        });
        Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port?)))
    }

    /// Sends a signal, named as `kill` names it. An ended process gets none, because its pid may be reused.
    pub fn signal(&self, signal: &str) {
        if self.exited().is_none() {
            let _ = Command::new("kill").args(["-s", signal, &self.pid.to_string()]).status();
        }
    }

    /// Its peak resident memory so far, in KiB.
    pub fn peak_memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse().ok());
        peak.expect("Linux tells the peak of a process that runs")
    }

    /// Its exit status, if it has ended.
    pub fn exited(&self) -> Option<ExitStatus> {
        *self.ended.borrow()
    }

    /// Waits for its end.
    pub async fn exit(&self) -> ExitStatus {
        let mut ended = self.ended.clone();
        let ended = tokio::time::timeout(HANG_GUARD, ended.wait_for(Option::is_some)).await;
        assert!(ended.is_ok(), "{} does not end; it printed:\n{}", self.name, self.stderr());
        self.exited().expect("the keeper tells before it ends")
    }

    /// Waits for its end for as long as it prints.
    pub async fn exit_in_its_time(&self) -> ExitStatus {
        let printed = || self.stdout.length() + self.stderr.length();
        loop {
            let before = printed();
            let mut ended = self.ended.clone();
            let ended = tokio::time::timeout(HANG_GUARD, ended.wait_for(Option::is_some)).await;
            if ended.is_ok() || printed() == before {
                return self.exit().await;
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal("KILL");
        self.hear_stderr();
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
        let (stdout, stderr) = (self.stdout(), self.stderr());
        if std::thread::panicking() {
            let lines: Vec<&str> = stderr.lines().collect();
            let last = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n");
            eprintln!("--- the last lines of {}:\n{last}", self.name);
            return;
        }
        canary::assert_clean(&format!("standard output of {}", self.name), stdout.as_bytes());
        canary::assert_clean(&format!("standard error of {}", self.name), stderr.as_bytes());
        assert!(!stderr.contains("panicked at"), "{} panicked:\n{stderr}", self.name);
    }
}
