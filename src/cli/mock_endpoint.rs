//! `revoker mock-endpoint`: a scripted mock of the revoke endpoint, for demos and tests.

mod args;

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::Exit;
use crate::{domain::ErrorChain, mock_endpoint::MockEndpoint, worker::StopSignals};

use args::MockArgsError;
pub(super) use args::MockEndpointArgs;

/// Why the mock endpoint cannot run.
#[derive(Debug, Error)]
enum MockError {
    #[error(transparent)]
    Args(#[from] MockArgsError),
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    #[error("cannot write {}", .0.display())]
    PortFile(PathBuf, #[source] io::Error),
    #[error("signals cannot be listened for")]
    Signals(#[source] io::Error),
}

/// Runs the mock endpoint until SIGTERM or SIGINT.
pub(super) async fn run(args: MockEndpointArgs) -> Exit {
    match serve(&args).await {
        Ok(()) => Exit::Done,
        Err(error) => {
            print_line(&format!("error: {}", ErrorChain(&error)));
            match error {
                MockError::Args(_) => Exit::Usage,
                _ => Exit::Failed,
            }
        }
    }
}

async fn serve(args: &MockEndpointArgs) -> Result<(), MockError> {
    let script = args.script()?;
    // Before the address is printed: the process that waits for it may send a signal at once.
    let mut signals = StopSignals::listen().map_err(MockError::Signals)?;
    let endpoint = MockEndpoint::start(script, args.listen)
        .await
        .map_err(|error| MockError::Listen(args.listen, error))?;
    if let Some(path) = &args.port_file {
        write_address(path, endpoint.addr())
            .map_err(|error| MockError::PortFile(path.clone(), error))?;
    }
    print_line(&format!("listening on {}", endpoint.addr()));
    signals.next().await;
    endpoint.stop().await;
    Ok(())
}

/// Writes the address to a file beside `path` and renames it, because a script that waits for `path` must not
/// read half of it.
fn write_address(path: &Path, addr: SocketAddr) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".tmp");
    std::fs::write(&draft, format!("{addr}\n"))?;
    std::fs::rename(&draft, path)
}

/// Writes a line to standard error. A closed standard error is no reason to stop.
fn print_line(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_written_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("port");
        write_address(&path, "127.0.0.1:8088".parse().unwrap()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "127.0.0.1:8088\n");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(write_address(Path::new("/nowhere/port"), "127.0.0.1:1".parse().unwrap()).is_err());
    }
}
