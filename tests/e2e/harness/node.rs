//! A RabbitMQ node, driven through `scripts/broker`.

use std::{
    ffi::OsStr,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Instant,
};

use super::wait::HANG_GUARD;

/// The exit code of a `rabbitmqctl` that could not reach its node.
const UNREACHED: i32 = 69;

/// A node and the folder it lives in.
pub struct Node {
    dir: PathBuf,
    url: String,
    _owned: Option<Owned>,
}

/// A node that this process started. A shell waits for the end of its standard input, then stops the node and deletes
/// its folder. This also works if the tests are interrupted, or end without running destructors, as for statics.
struct Owned {
    stopper: Child,
}

impl Owned {
    /// The owner of the node in `dir`, which may be started afterwards.
    fn of(dir: &Path) -> Self {
        let stopper = Command::new("sh")
            .args(["-c", r#"trap "" INT TERM HUP; read -r _; "$0" stop "$1"; rm -rf "$1""#])
            .args([script().as_os_str(), dir.as_os_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { stopper }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        drop(self.stopper.stdin.take());
        let _ = self.stopper.wait();
    }
}

impl Node {
    /// A node that another process started and will stop.
    pub fn running(dir: PathBuf, url: String) -> Self {
        Self { dir, url, _owned: None }
    }

    /// Starts a node with the extra `conf` and, if there is a `tls` identity (CA, certificate and
    /// key as PEM), a TLS listener.
    pub fn start(conf: &str, tls: Option<[&str; 3]>) -> Self {
        let dir = folder();
        if !conf.is_empty() {
            std::fs::create_dir_all(dir.join("conf.d")).unwrap();
            std::fs::write(dir.join("conf.d/20-test.conf"), conf).unwrap();
        }
        if let Some(pem) = tls {
            std::fs::create_dir_all(dir.join("tls")).unwrap();
            for (name, pem) in ["ca.pem", "cert.pem", "key.pem"].iter().zip(pem) {
                std::fs::write(dir.join("tls").join(name), pem).unwrap();
            }
        }
        Self::start_in(dir)
    }

    /// Starts a node with the management plugin.
    pub fn managed() -> Self {
        let dir = folder();
        std::fs::write(dir.join("enabled_plugins"), "[rabbitmq_management].\n").unwrap();
        Self::start_in(dir)
    }

    /// Starts a node with what its folder holds.
    fn start_in(dir: PathBuf) -> Self {
        let owned = Owned::of(&dir);
        let url = broker("start", &dir, [""; 0]);
        Self { dir, url, _owned: Some(owned) }
    }

    /// Starts a node of the RabbitMQ in `packages`, a folder of `scripts/rabbitmq`. A restart uses the RabbitMQ of all
    /// other nodes.
    pub fn start_of(packages: &OsStr) -> Self {
        let dir = folder();
        let owned = Owned::of(&dir);
        let url = broker_of(Some(packages), "start", &dir, [""; 0]);
        Self { dir, url, _owned: Some(owned) }
    }

    /// Starts a member of the cluster that `first` began.
    pub fn join(first: &Path) -> Self {
        let dir = folder();
        let owned = Owned::of(&dir);
        let url = broker("join", &dir, [first]);
        Self { dir, url, _owned: Some(owned) }
    }

    /// The folder that it lives in.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its name in a cluster.
    pub fn name(&self) -> String {
        std::fs::read_to_string(self.dir.join("name")).unwrap().trim().to_owned()
    }

    /// `user:password@host:port` of the test's own user, and the path of the default virtual host.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL of the TLS listener.
    pub fn tls_url(&self) -> String {
        std::fs::read_to_string(self.dir.join("tls_url")).unwrap().trim().to_owned()
    }

    /// The address of the management plugin.
    pub fn management(&self) -> SocketAddr {
        std::fs::read_to_string(self.dir.join("management")).unwrap().trim().parse().unwrap()
    }

    /// SIGKILL; its data stays.
    pub async fn kill(&self) {
        self.run("kill", &[]).await;
    }

    /// Starts it again: same data, same port. If it runs, it is stopped in order first.
    pub async fn restart(&self) {
        self.run("restart", &[]).await;
    }

    /// Runs `rabbitmqctl`. Returns its output.
    pub async fn ctl(&self, arguments: &[&str]) -> String {
        self.run("ctl", arguments).await
    }

    /// The version that the running node reports: major, minor and patch.
    pub async fn version(&self) -> [u32; 3] {
        let told = self.run("version", &[]).await;
        let parts: Vec<u32> = told.split('.').filter_map(|part| part.parse().ok()).collect();
        parts.try_into().unwrap_or_else(|_| panic!("{told} is no version"))
    }

    /// Runs off the async threads: it takes a second and more.
    async fn run(&self, action: &'static str, arguments: &[&str]) -> String {
        let dir = self.dir.clone();
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        tokio::task::spawn_blocking(move || broker(action, &dir, arguments)).await.unwrap()
    }
}

/// A folder for a node. Not deleted with a value of this process: its [`Owned`] does that.
fn folder() -> PathBuf {
    tempfile::Builder::new().prefix("revoker-node-").tempdir().unwrap().keep()
}

/// `scripts/broker`.
pub fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/broker")
}

/// Runs `scripts/broker`, and fails with its output.
fn broker(action: &str, dir: &Path, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> String {
    broker_of(None, action, dir, arguments)
}

/// The same with the RabbitMQ of `packages` in place of the one that the tests run on.
fn broker_of(
    packages: Option<&OsStr>,
    action: &str,
    dir: &Path,
    arguments: impl IntoIterator<Item: AsRef<OsStr>>,
) -> String {
    let mut command = Command::new(script());
    command.arg(action).arg(dir).args(arguments).stdin(Stdio::null());
    if let Some(packages) = packages {
        command.env("BROKER_PACKAGES", packages);
    }
    let deadline = Instant::now() + HANG_GUARD;
    let mut output = command.output().unwrap();
    // A busy node may be too slow for the handshake with `rabbitmqctl`, which then fails at once.
    let asks = action == "ctl" || action == "version";
    while asks && output.status.code() == Some(UNREACHED) && Instant::now() < deadline {
        output = command.output().unwrap();
    }
    assert!(
        output.status.success(),
        "scripts/broker {action}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
