//! Tests of the nodes that all tests run on.

use std::{fs, process::Command};

use crate::harness::{Stage, node};

/// A node refuses data of another major version, or of a newer one, with an error. It neither starts nor writes to the
/// data.
#[test]
fn data_of_another_version_is_refused() {
    for version in ["2.8.7", "99.0.0"] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("version"), version).unwrap();
        let start = Command::new(node::script()).arg("start").arg(folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&start.stderr);
        assert!(!start.status.success(), "a node started on the data of {version}");
        assert!(said.contains(&format!("holds the data of RabbitMQ {version}")), "{said}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something was written");
    }
}

/// On RabbitMQ 4 every test runs with deprecated features denied, so none of them is needed.
#[tokio::test(flavor = "multi_thread")]
async fn deprecated_features_are_denied() {
    let stage = Stage::new().await;
    let node = stage.host.node();
    if node.version().await[0] < 4 {
        return;
    }
    for feature in ["global_qos", "transient_nonexcl_queues", "queue_master_locator"] {
        let ask = format!("rabbit_deprecated_features:is_permitted({feature}).");
        let said = node.ctl(&["eval", &ask]).await;
        // The node's own warning is printed before that or after it.
        assert!(said.lines().any(|line| line == "false"), "{feature}: {said}");
    }
}
