//! Tests with many threads: a follower can leave while it becomes the leader.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::*;

const KEYS: usize = 40;
const JOBS_OF_A_KEY: usize = 100;
/// One follower in this many leaves once leaders begin to change.
const ONE_LEAVES_OF: usize = 3;
/// The number of leaders that leave without a verdict before one gets it. More jobs than that stay.
const LEADS_BEFORE_THE_VERDICT: usize = 20;

#[derive(Default)]
struct Seen {
    leading: AtomicUsize,
    led: AtomicUsize,
    answered: AtomicUsize,
}

async fn lead(mut leader: Leader, verdict: &Verdict, seen: &Seen) {
    assert_eq!(seen.leading.fetch_add(1, Ordering::SeqCst), 0, "two leaders at once");
    leader.begin_call();
    tokio::task::yield_now().await;
    seen.leading.fetch_sub(1, Ordering::SeqCst);
    if seen.led.fetch_add(1, Ordering::SeqCst) == LEADS_BEFORE_THE_VERDICT {
        leader.end_call(Some(verdict));
    }
}

async fn follow(follower: Follower, verdict: Verdict, seen: Arc<Seen>) {
    match follower.outcome().await {
        FollowerOutcome::Lead(leader) => lead(leader, &verdict, &seen).await,
        FollowerOutcome::Revoked | FollowerOutcome::Answered(..) => {
            seen.answered.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_many_threads_one_job_leads_and_none_is_left_waiting() {
    let duplicates = Arc::new(Duplicates::new(REMEMBER, KEYS));
    let begin = CancellationToken::new();
    let mut jobs = JoinSet::new();
    let mut first = Vec::new();
    let seen: Vec<_> = (0..KEYS).map(|_| Arc::new(Seen::default())).collect();
    for (number, seen) in seen.iter().enumerate() {
        let enter = |lane| duplicates.enter(key(number), lane, None);
        let verdict = [Verdict::Revoked, Verdict::Rejected(rejection())][number % 2].clone();
        first.push(enter(Lane::Bulk).leader());
        for job in 0..JOBS_OF_A_KEY {
            let DuplicateRole::Follower(follower) = enter(Lane::ALL[job % 2]) else {
                panic!("two leaders")
            };
            if job % ONE_LEAVES_OF == 0 {
                let begin = begin.clone();
                jobs.spawn(async move {
                    // If it becomes the leader at this moment, it drops the lead.
                    drop(begin.run_until_cancelled(follower.outcome()).await);
                });
            } else {
                jobs.spawn(follow(follower, verdict.clone(), Arc::clone(seen)));
            }
        }
    }
    begin.cancel();
    drop(first);
    while let Some(ended) = jobs.join_next().await {
        ended.unwrap();
    }
    assert!(nothing_in_flight(&duplicates));
    for seen in seen {
        assert!(seen.led.load(Ordering::SeqCst) > LEADS_BEFORE_THE_VERDICT);
        assert!(seen.answered.load(Ordering::SeqCst) > 0);
    }
}
