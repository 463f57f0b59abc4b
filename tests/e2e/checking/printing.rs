//! What is in force.

use super::{check, rows_of, told};
use crate::harness::{
    Endpoint, Stage,
    stage::{AUDIENCE, CLIENT},
};

/// Everything that decides where calls and jobs go, and no secret: the harness searches the output for each.
#[tokio::test(flavor = "multi_thread")]
async fn check_prints_what_is_in_force_without_a_secret() {
    let (stage, endpoint) = (Stage::new().await, Endpoint::willing().await);
    let launch = check(&stage, &endpoint);
    let said = told(launch.clone()).await;
    let set = |what: &str| {
        let rows = rows_of(&said, what).into_iter();
        let details: Vec<_> =
            rows.filter(|(state, _)| state == "set").map(|(_, set)| set).collect();
        assert_eq!(details.len(), 1, "{what}: {said}");
        details[0].clone()
    };
    let (broker, name) = (stage.broker_address(), stage.host.name());
    for (what, detail) in [
        ("endpoint", endpoint.url().to_string()),
        ("profile", "alignet".to_owned()),
        ("audience", AUDIENCE.to_owned()),
        ("broker", format!("amqp://worker@{broker}/{name}")),
    ] {
        assert_eq!(set(what), detail, "{what}");
    }
    assert!(set("client ids").starts_with(CLIENT), "{said}");
    assert!(set("queues").contains("revocations.dead"), "{said}");
    for lane in ["lane interactive", "lane bulk"] {
        for argument in
            ["x-queue-type=\"quorum\"", "x-delivery-limit=1000000", "x-overflow=\"reject-publish\""]
        {
            assert!(set(lane).contains(argument), "{said}");
        }
    }
    // The table has the same rows.
    let (table, status) = launch.run().await;
    assert_eq!(status.code(), Some(0), "{}", table.stderr());
    let rows = said["checks"].as_array().unwrap();
    assert_eq!(table.stdout().lines().count(), rows.len());
    for row in rows {
        assert!(table.stdout().contains(row["detail"].as_str().unwrap()), "{row}");
    }
}
