//! Secrets that are rotated while the worker is busy.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{
    chaos::{Area, Evidence, Plan, sized},
    harness::{Answer, Endpoint, Stage, canary},
};

fn secret(generation: usize) -> String {
    format!("{}-{generation}", canary::SECRET)
}

/// The generation of a secret that a call shows.
fn generation(shown: &serde_json::Value) -> Option<usize> {
    shown.as_str()?.strip_prefix(canary::SECRET)?.strip_prefix('-')?.parse().ok()
}

/// Rotated as one should: the endpoint takes the new secret beside the old one, the file is replaced in
/// one step, and the old one goes when the worker has said that it has the new one. The calls that were
/// under way at that moment may still show the old one, so the endpoint takes one generation more. No job
/// is rejected for its secret.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_rotated_under_load() {
    let (jobs, rotations) = sized((900, 4), (20_000, 40));
    let newest = Arc::new(AtomicUsize::new(0));
    let shown: Arc<Vec<AtomicUsize>> =
        Arc::new((0..=rotations).map(|_| AtomicUsize::new(0)).collect());
    let retired = Arc::new(AtomicUsize::new(0));
    let (known, count, stale) = (newest.clone(), shown.clone(), retired.clone());
    let mut trial = Plan::new(Area::Configuration, "secrets rotated under load")
        .jobs(jobs)
        .begin_on(Stage::new().await, async move |law| {
            Endpoint::start(move |call| {
                let newest = known.load(Ordering::SeqCst);
                let shown = generation(&call.request.json()["client_secret"]);
                let is_known = |shown: &usize| (newest.saturating_sub(2)..=newest).contains(shown);
                if let Some(shown) = shown.filter(is_known) {
                    count[shown].fetch_add(1, Ordering::SeqCst);
                    law.answer(call)
                } else {
                    stale.fetch_add(1, Ordering::SeqCst);
                    Answer::rejected_with("wrong secret")
                }
            })
            .await
        })
        .await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let replace = |generation| {
        let next = folder.path().join("next");
        fs::write(&next, secret(generation)).unwrap();
        fs::rename(next, &path).unwrap();
    };
    replace(0);
    trial.launch = trial
        .launch
        .unset("credentials.client_secret")
        .set("credentials.client_secret_file", path.display());
    trial.publish_all().await;
    let worker = trial.ready().await;
    for rotation in 1..=rotations {
        trial.endpoint.until_count(jobs / (rotations + 1) * rotation).await;
        newest.store(rotation, Ordering::SeqCst);
        replace(rotation);
        worker.signal("HUP");
        worker.until_said("client secrets replaced", rotation).await;
    }
    trial.until_called_for(1.0).await;
    assert_eq!(retired.load(Ordering::SeqCst), 0, "calls showed a secret of long ago");
    let used = shown.iter().filter(|count| count.load(Ordering::SeqCst) > 0).count();
    assert_eq!(used, rotations + 1, "not every secret was used: {shown:?}");
    let evidence = Evidence::of(rotations, "rotations").and(used, "secrets seen by the endpoint");
    trial.close([worker], evidence, 0).await;
}
