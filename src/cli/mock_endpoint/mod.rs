//! `revoker mock-endpoint`: a scripted stand-in for the revoke endpoint, for demos and tests.
//!
//! It answers in the vendor's envelope, or does not, as its options say, and keeps a ledger of how
//! often it saw each token, to be held against the queue's books. Tests start it in their own process
//! as [`MockEndpoint`].

mod answer;
mod args;
mod ledger;
mod outage;
mod script;
mod server;
mod wire;

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::Path,
    process::ExitCode,
};

use tokio::signal::unix::{SignalKind, signal};

pub use args::{Args, ArgsError};
pub use ledger::{Ending, Ledger, TokenTotals, Totals};
pub use outage::Outage;
pub use script::{Canned, Fault, Plan, Script};
pub use server::MockEndpoint;

/// The exit code of wrong options.
const EXIT_USAGE: u8 = 2;

/// Runs the stand-in until SIGTERM or SIGINT.
pub async fn run(args: Args) -> ExitCode {
    let script = match args.script() {
        Ok(script) => script,
        Err(error) => {
            tell(&format!("error: {error}"));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match serve(script, &args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn serve(script: Script, args: &Args) -> io::Result<()> {
    // Before anyone can know the address: whoever waits for it may send a signal at once.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let endpoint = MockEndpoint::start(script, args.listen)
        .await
        .map_err(|error| within(&format!("cannot listen on {}", args.listen), &error))?;
    if let Some(path) = &args.port_file {
        announce(path, endpoint.addr())
            .map_err(|error| within(&format!("cannot write {}", path.display()), &error))?;
    }
    tell(&format!("listening on {}", endpoint.addr()));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    endpoint.stop().await;
    Ok(())
}

/// Writes the address beside the file and moves it there: a script that waits for the file must not
/// read half of it.
fn announce(path: &Path, addr: SocketAddr) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".tmp");
    std::fs::write(&draft, format!("{addr}\n"))?;
    std::fs::rename(&draft, path)
}

fn within(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// A line for whoever watches; nobody may be there any more, and that is no reason to stop.
fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_written_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("port");
        announce(&path, "127.0.0.1:8088".parse().unwrap()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "127.0.0.1:8088\n");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(announce(Path::new("/nowhere/port"), "127.0.0.1:1".parse().unwrap()).is_err());
    }
}
