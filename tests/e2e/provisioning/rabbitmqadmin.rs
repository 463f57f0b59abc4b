//! `revoker topology print --format rabbitmqadmin`, run by the program that the management plugin serves.

use std::{net::SocketAddr, path::Path, process::Command};

use super::{commands, printed, works};
use crate::harness::{Stage, broker::OwnBroker, web};

/// The first version whose management plugin serves no rabbitmqadmin.
const WITHOUT_PROGRAM: [u32; 3] = [4, 3, 0];

/// A worker works on queues that the printed commands declare. Their arguments are the worker's own, also by type.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_starts_on_queues_of_rabbitmqadmin() {
    let broker = OwnBroker::managed().await;
    let management = broker.node().management();
    let stage = Stage::own(&broker).await;
    let page = web::get(management, "/cli/rabbitmqadmin").await.unwrap();
    if broker.node().version().await >= WITHOUT_PROGRAM {
        assert_ne!(page.status, 200, "it is served again");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("rabbitmqadmin");
    std::fs::write(&program, page.body).unwrap();

    let printed = commands(&printed(&stage, "rabbitmqadmin", "false").await);
    // The dead-letter queue, the lanes, and a retry queue for each lane.
    assert_eq!(printed.len(), 5, "{printed:?}");
    for words in printed {
        assert_eq!(words[0], "rabbitmqadmin");
        run(&program, management, &words[1..]);
    }
    works(&stage, "false").await;
    works(&stage, "true").await;
}

/// Runs a printed command, with the address of the management plugin.
fn run(program: &Path, management: SocketAddr, arguments: &[String]) {
    let mut command = Command::new("python3");
    command.arg(program).arg("--host").arg(management.ip().to_string());
    command.arg("--port").arg(management.port().to_string()).args(arguments);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
}
