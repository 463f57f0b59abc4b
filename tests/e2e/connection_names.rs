//! The names of our connections in the broker's lists.

use std::process::Command;

use crate::harness::{Endpoint, Stage, Swept, eventually};

/// The names of the connections to this virtual host, from `rabbitmqctl list_connections`.
async fn names(stage: &Stage) -> Vec<String> {
    let listed = stage.host.node().ctl(&["list_connections", "vhost", "client_properties"]).await;
    let ours = listed.lines().filter(|line| line.split('\t').next() == Some(stage.host.name()));
    ours.filter_map(|line| {
        let (_, name) = line.split_once("\"connection_name\",\"")?;
        Some(name.split_once('"')?.0.to_owned())
    })
    .collect()
}

/// Host and process tell replicas apart, the command and its purpose tell what a connection is for.
#[tokio::test(flavor = "multi_thread")]
async fn the_brokers_list_tells_host_process_command_and_purpose() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let workers = [stage.run(&endpoint).ready().await, stage.run(&endpoint).ready().await];
    // It takes longer than the test.
    let swept = Swept::tokens(10_000);
    let enqueue = stage.enqueue().arg(swept.input().display()).arg("--rate").arg(1).start();

    let host = Command::new("uname").arg("-n").output().unwrap().stdout;
    let host = String::from_utf8(host).unwrap().trim().to_owned();
    let version = env!("CARGO_PKG_VERSION");
    let name = |what: &str, process: u32| {
        format!("revoker {version} {what} on {host} (process {process})")
    };
    let mut expected: Vec<String> = workers
        .iter()
        .flat_map(|worker| {
            ["run consume interactive", "run consume bulk", "run publish"]
                .map(|what| name(what, worker.pid()))
        })
        .collect();
    expected.push(name("enqueue publish", enqueue.pid()));
    eventually("the names in the broker's list", async || {
        let names = names(&stage).await;
        if expected.iter().all(|name| names.contains(name)) {
            Ok(())
        } else {
            Err(names.join("\n"))
        }
    })
    .await;
    enqueue.signal("TERM");
    assert_eq!(enqueue.exit().await.code(), Some(1), "it ended before it was listed");
    for worker in workers {
        worker.stop().await;
    }
}
