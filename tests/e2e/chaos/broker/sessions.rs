//! The broker ends what the worker has open.

use crate::chaos::{Area, Evidence, Plan};

/// The broker's operator closes every connection while jobs are in hand.
#[tokio::test(flavor = "multi_thread")]
async fn all_connections_closed() {
    let mut trial = Plan::new(Area::Broker, "all connections closed").jobs(2_000).begin().await;
    trial.publish_all().await;
    let worker = trial.ready().await;
    let name = trial.stage.host.name().to_owned();
    for (before, share) in [0.2, 0.4, 0.6].into_iter().enumerate() {
        trial.until_called_for(share).await;
        trial.stage.host.node().ctl(&["close_all_connections", "-p", &name, "maintenance"]).await;
        worker
            .until_metrics("the end of the session", |metrics| {
                metrics.sessions("connection_lost") > before
            })
            .await;
        worker.until_ready().await;
    }
    trial.stage.reconnect().await;
    let lost = worker.metrics().await.sessions("connection_lost");
    let evidence = Evidence::of(lost, "sessions ended by connection_lost");
    let bound = trial.in_hand_at(lost);
    trial.close([worker], evidence, bound).await;
}
