//! `revoker mock-endpoint`: a scripted mock of the revoke endpoint, for demos and tests.

mod args;

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::Path,
};

use super::{
    exit::{Exit, Failure},
    whole_file::{ORDINARY, WholeFile},
};
use crate::{mock_endpoint::MockEndpoint, worker::StopSignals};

pub(super) use args::MockEndpointArgs;

pub(super) async fn run(args: MockEndpointArgs) -> Exit {
    match serve(&args).await {
        Ok(()) => Exit::Done,
        Err(failure) => {
            print_line(&format!("error: {failure}"));
            failure.exit()
        }
    }
}

async fn serve(args: &MockEndpointArgs) -> Result<(), Failure> {
    let script = args.script()?;
    // Before the address is printed: the process that waits for it may send a signal at once.
    let mut signals =
        StopSignals::listen().map_err(|error| Failure::at("signals cannot be handled", &error))?;
    let endpoint = MockEndpoint::start(script, args.listen)
        .await
        .map_err(|error| Failure::at(format!("cannot listen on {}", args.listen), &error))?;
    if let Some(path) = &args.port_file {
        write_address(path, endpoint.addr())
            .map_err(|error| Failure::at(format!("cannot write {}", path.display()), &error))?;
    }
    print_line(&format!("listening on {}", endpoint.addr()));
    signals.next().await;
    endpoint.stop().await;
    Ok(())
}

/// Writes the address to a file. A script that waits for the file must not read half of it.
fn write_address(path: &Path, addr: SocketAddr) -> io::Result<()> {
    let mut file = WholeFile::create(path, ORDINARY)?;
    file.write(format!("{addr}\n"))?;
    file.keep(true)
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
