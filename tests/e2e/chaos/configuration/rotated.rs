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

/// The rotation replaces the file in one step, and withdraws the old secret once the worker has logged the new one. At
/// that moment, all permitted calls are in flight with the old secret. So every later call must use the new one. No job
/// is rejected for its secret.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_rotated_under_load() {
    let (jobs, rotations) = sized((900, 4), (20_000, 40));
    let newest = Arc::new(AtomicUsize::new(0));
    let shown: Arc<Vec<AtomicUsize>> =
        Arc::new((0..=rotations).map(|_| AtomicUsize::new(0)).collect());
    let retired = Arc::new(AtomicUsize::new(0));
    let (known, count, stale) = (newest.clone(), shown.clone(), retired.clone());
    let mut case = Plan::new(Area::Configuration, "secrets rotated under load")
        .jobs(jobs)
        .begin_on(Stage::new().await, async move |script| {
            Endpoint::start(move |call| {
                let newest = known.load(Ordering::SeqCst);
                let shown = generation(&call.request.json()["client_secret"]);
                if let Some(shown) = shown.filter(|shown| *shown == newest) {
                    count[shown].fetch_add(1, Ordering::SeqCst);
                    script.answer(call)
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
    case.launch = case
        .launch
        .unset("credentials.client_secret")
        .set("credentials.client_secret_file", path.display());
    let share = jobs / (rotations + 1);
    case.script.hold_after(share);
    case.publish_all().await;
    let worker = case.ready().await;
    for rotation in 1..=rotations {
        case.endpoint.until_count(share * rotation + case.calls_at_a_time()).await;
        replace(rotation);
        worker.signal("HUP");
        worker.until_log_lines("client secrets replaced", rotation).await;
        newest.store(rotation, Ordering::SeqCst);
        case.script.hold_after(share * (rotation + 1));
    }
    case.script.release();
    case.until_called_for(1.0).await;
    assert_eq!(retired.load(Ordering::SeqCst), 0, "calls showed a secret that was replaced");
    let used = shown.iter().filter(|count| count.load(Ordering::SeqCst) > 0).count();
    assert_eq!(used, rotations + 1, "not every secret was used: {shown:?}");
    let evidence = Evidence::of(rotations, "rotations").and(used, "secrets seen by the endpoint");
    case.close([worker], evidence, 0).await;
}
