//! Tests of each rule, on a paused clock.

mod interleavings;
mod threads;

use std::{cell::Cell, future::Future, pin::Pin};

use futures_util::FutureExt;
use tokio::time::advance;

use super::*;
use crate::domain::{Failure, Job, JobDefaults, Rejection, ResultLabel, Verdict};

const REMEMBER: Duration = Duration::from_secs(600);
const CAPACITY: usize = 8;

fn duplicates() -> Arc<Duplicates> {
    Arc::new(Duplicates::new(REMEMBER, CAPACITY))
}

fn key(token: impl fmt::Display) -> JobKey {
    let body = format!(r#"{{"refresh_token":"{token}"}}"#);
    Job::parse(body.as_bytes(), &JobDefaults::default()).unwrap().key()
}

impl DuplicateRole {
    fn leader(self) -> Leader {
        let Self::Leader(leader) = self else { panic!("not a leader: {self:?}") };
        leader
    }

    /// The wait of a follower, not started.
    fn follower(self) -> Pin<Box<dyn Future<Output = FollowerOutcome> + Send>> {
        let Self::Follower(follower) = self else { panic!("not a follower: {self:?}") };
        Box::pin(follower.outcome())
    }
}

impl FollowerOutcome {
    fn lead(self) -> Leader {
        let Self::Lead(leader) = self else { panic!("not the lead: {self:?}") };
        leader
    }
}

fn enter(duplicates: &Arc<Duplicates>, lane: Lane) -> DuplicateRole {
    duplicates.enter(key("t"), lane, None)
}

fn rejection() -> Rejection {
    Rejection { code: "01".to_owned(), message: Some("no".to_owned()), http_status: 400 }
}

fn failure(ambiguous: bool) -> Verdict {
    Verdict::Transient(Failure::unanswered(ResultLabel::Timeout, ambiguous))
}

/// Makes the leader's call.
fn call(leader: &mut Leader, verdict: &Verdict) -> SharedHistory {
    leader.begin_call();
    leader.end_call(Some(verdict))
}

/// Whether only the memory of recent keys is left.
fn nothing_in_flight(duplicates: &Duplicates) -> bool {
    duplicates.state().flights.is_empty()
}

#[tokio::test(start_paused = true)]
async fn of_a_hundred_at_once_one_leads_and_ninety_nine_are_duplicates() {
    let duplicates = duplicates();
    let mut leader = enter(&duplicates, Lane::Bulk).leader();
    let waiting: Vec<_> = (1..100).map(|_| enter(&duplicates, Lane::Bulk).follower()).collect();
    call(&mut leader, &Verdict::Revoked);
    for wait in waiting {
        assert!(matches!(wait.now_or_never(), Some(FollowerOutcome::Revoked)));
    }
    assert!(nothing_in_flight(&duplicates));
}

#[tokio::test(start_paused = true)]
async fn a_follower_waits_for_the_verdict() {
    let duplicates = duplicates();
    let mut leader = enter(&duplicates, Lane::Bulk).leader();
    let waiting = tokio::spawn(enter(&duplicates, Lane::Bulk).follower());
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    call(&mut leader, &Verdict::Revoked);
    assert!(matches!(waiting.await, Ok(FollowerOutcome::Revoked)));
}

#[tokio::test(start_paused = true)]
async fn other_keys_are_called_beside() {
    let duplicates = duplicates();
    let _one = enter(&duplicates, Lane::Bulk).leader();
    let _other = duplicates.enter(key("other"), Lane::Bulk, None).leader();
}

#[tokio::test(start_paused = true)]
async fn a_revoked_token_is_a_duplicate_until_it_is_too_old() {
    let duplicates = duplicates();
    call(&mut enter(&duplicates, Lane::Bulk).leader(), &Verdict::Revoked);
    let nearly = Duration::from_millis(599_999);
    advance(nearly).await;
    assert!(matches!(enter(&duplicates, Lane::Bulk), DuplicateRole::RecentlyRevoked));
    advance(REMEMBER.saturating_sub(nearly)).await;
    let mut again = enter(&duplicates, Lane::Bulk).leader();
    assert_eq!(duplicates.state().recent.len(), (0, 0));
    call(&mut again, &Verdict::Revoked);
    assert!(matches!(enter(&duplicates, Lane::Bulk), DuplicateRole::RecentlyRevoked));
}

#[tokio::test(start_paused = true)]
async fn only_a_proof_is_remembered() {
    for verdict in [
        Verdict::Acknowledged,
        Verdict::Accepted,
        Verdict::Gone(rejection()),
        Verdict::Rejected(rejection()),
        failure(true),
        failure(false),
    ] {
        let duplicates = duplicates();
        call(&mut enter(&duplicates, Lane::Bulk).leader(), &verdict);
        let again = enter(&duplicates, Lane::Bulk);
        assert!(matches!(again, DuplicateRole::Leader(_)), "{verdict:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_oldest_are_forgotten_first_and_no_more_is_kept_than_the_capacity() {
    let duplicates = duplicates();
    let enter = |number: usize| duplicates.enter(key(number), Lane::Bulk, None);
    for number in 0..3 * CAPACITY {
        call(&mut enter(number).leader(), &Verdict::Revoked);
        advance(Duration::from_secs(1)).await;
    }
    let remembered: Vec<_> = (0..3 * CAPACITY)
        .filter(|number| matches!(enter(*number), DuplicateRole::RecentlyRevoked))
        .collect();
    assert_eq!(remembered, (2 * CAPACITY..3 * CAPACITY).collect::<Vec<_>>());
    assert_eq!(duplicates.state().recent.len(), (CAPACITY, CAPACITY));
}

#[tokio::test(start_paused = true)]
async fn a_key_revoked_again_outlives_its_outdated_place() {
    let mut recent = Recent::new(REMEMBER, CAPACITY);
    // More keys of one age than are dropped at once. The last one occurs again.
    for number in 0..CAPACITY {
        recent.insert(key(number), Instant::now());
    }
    advance(REMEMBER).await;
    let last = key(CAPACITY - 1);
    assert!(!recent.contains(&last, Instant::now()), "kept, but outdated");
    recent.insert(last, Instant::now());
    for number in 0..CAPACITY {
        let known = recent.contains(&key(number), Instant::now());
        assert_eq!(known, number == CAPACITY - 1, "{number}");
    }
    assert_eq!(recent.len(), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_memory_of_no_size_or_no_time_remembers_nothing_and_still_coalesces() {
    for off in [Duplicates::new(REMEMBER, 0), Duplicates::new(Duration::ZERO, CAPACITY)] {
        let off = Arc::new(off);
        let mut leader = enter(&off, Lane::Bulk).leader();
        let waiting = enter(&off, Lane::Bulk).follower();
        call(&mut leader, &Verdict::Revoked);
        assert!(matches!(waiting.await, FollowerOutcome::Revoked));
        assert!(matches!(enter(&off, Lane::Bulk), DuplicateRole::Leader(_)));
        assert_eq!(off.state().recent.len(), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_rejection_is_the_verdict_of_the_followers_with_the_ambiguity() {
    let duplicates = duplicates();
    let mut leader = enter(&duplicates, Lane::Bulk).leader();
    let waiting = enter(&duplicates, Lane::Interactive).follower();
    call(&mut leader, &failure(true));
    let past = call(&mut leader, &Verdict::Rejected(rejection()));
    assert_eq!(past.ambiguity, Some(Ambiguity::Attempt));
    let FollowerOutcome::Answered(said, ambiguity) = waiting.await else { panic!("not answered") };
    assert_eq!((said, ambiguity), (Verdict::Rejected(rejection()), Some(Ambiguity::Attempt)));
    assert!(nothing_in_flight(&duplicates));
}

#[tokio::test(start_paused = true)]
async fn the_ambiguity_of_a_follower_counts_for_the_leader() {
    let duplicates = duplicates();
    let mut leader = enter(&duplicates, Lane::Bulk).leader();
    let redelivered = duplicates.enter(key("t"), Lane::Bulk, Some(Ambiguity::Redelivered));
    assert_eq!(leader.shared_history().ambiguity, Some(Ambiguity::Redelivered));
    let back = duplicates.enter(key("t"), Lane::Bulk, Some(Ambiguity::Attempt));
    drop((redelivered, back));
    let past = call(&mut leader, &Verdict::Rejected(rejection()));
    assert_eq!(past.ambiguity, Some(Ambiguity::Attempt));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_leaves_is_succeeded_by_the_longest_waiting_interactive_ones_first() {
    let duplicates = duplicates();
    let mut leader = enter(&duplicates, Lane::Bulk).leader();
    let lanes = [Lane::Bulk, Lane::Interactive, Lane::Bulk, Lane::Interactive];
    let mut waiting = lanes.map(|lane| enter(&duplicates, lane).follower());
    for (next, lane) in [1, 3, 0, 2].map(|next| (next, lanes[next])) {
        drop(leader);
        leader = waiting[next].as_mut().now_or_never().unwrap().lead();
        assert_eq!(leader.lane(), lane);
    }
    drop(leader);
    assert!(nothing_in_flight(&duplicates));
}

#[tokio::test(start_paused = true)]
async fn a_successor_inherits_the_shared_history() {
    let duplicates = duplicates();
    let mut leader = enter(&duplicates, Lane::Bulk).leader();
    let waiting = enter(&duplicates, Lane::Bulk).follower();
    let began_to_fail = Instant::now();
    call(&mut leader, &failure(true));
    advance(Duration::from_secs(60)).await;
    call(&mut leader, &failure(false));
    drop(leader);
    let past = waiting.await.lead().shared_history();
    let expected =
        SharedHistory { ambiguity: Some(Ambiguity::Attempt), failing_since: Some(began_to_fail) };
    assert_eq!(past, expected);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_does_not_come_back_from_its_call_leaves_the_token_in_doubt() {
    let doubt_after = |act: fn(&mut Leader)| {
        let duplicates = duplicates();
        let mut leader = enter(&duplicates, Lane::Bulk).leader();
        let waiting = enter(&duplicates, Lane::Bulk).follower();
        act(&mut leader);
        drop(leader);
        waiting.now_or_never().unwrap().lead().shared_history().ambiguity
    };
    assert_eq!(doubt_after(|_| ()), None);
    assert_eq!(doubt_after(Leader::begin_call), Some(Ambiguity::Attempt));
    let never_made = |leader: &mut Leader| {
        leader.begin_call();
        assert_eq!(leader.end_call(None), SharedHistory::default());
    };
    assert_eq!(doubt_after(never_made), None);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_panics_is_succeeded() {
    let duplicates = duplicates();
    let mut leader = enter(&duplicates, Lane::Bulk).leader();
    let waiting = enter(&duplicates, Lane::Bulk).follower();
    let panicking = tokio::spawn(async move {
        leader.begin_call();
        panic!("on purpose")
    });
    assert!(panicking.await.is_err());
    assert_eq!(waiting.await.lead().shared_history().ambiguity, Some(Ambiguity::Attempt));
}

#[tokio::test(start_paused = true)]
async fn an_interactive_follower_lends_its_lane_also_while_the_leader_waits() {
    let duplicates = duplicates();
    let mut leader = enter(&duplicates, Lane::Bulk).leader();
    let began = Cell::new(Vec::new());
    let never_in_bulk = |lane| {
        began.set([began.take(), vec![lane]].concat());
        async move { if lane == Lane::Bulk { std::future::pending().await } else { lane } }
    };
    let mut wait = Box::pin(leader.in_lane(never_in_bulk));
    assert!(wait.as_mut().now_or_never().is_none());
    let bulk = enter(&duplicates, Lane::Bulk);
    assert!(wait.as_mut().now_or_never().is_none(), "a bulk follower lends nothing");
    let interactive = enter(&duplicates, Lane::Interactive);
    assert_eq!(wait.as_mut().now_or_never(), Some(Lane::Interactive));
    drop((wait, bulk, interactive));
    assert_eq!(leader.lane(), Lane::Interactive);
    assert_eq!(leader.in_lane(std::future::ready).now_or_never(), Some(Lane::Interactive));
    assert_eq!(began.take(), [Lane::Bulk, Lane::Interactive]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_in_the_lane_of_the_call_ends_by_itself_too() {
    for lane in Lane::ALL {
        let mut leader = enter(&duplicates(), lane).leader();
        assert_eq!(leader.in_lane(std::future::ready).now_or_never(), Some(lane));
    }
}

#[tokio::test(start_paused = true)]
async fn a_verdict_between_entering_and_the_first_look_is_not_lost() {
    let duplicates = duplicates();
    let mut leader = enter(&duplicates, Lane::Bulk).leader();
    let waiting = enter(&duplicates, Lane::Bulk).follower();
    call(&mut leader, &Verdict::Revoked);
    drop(leader);
    drop(enter(&duplicates, Lane::Bulk));
    assert!(matches!(waiting.now_or_never(), Some(FollowerOutcome::Revoked)));
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_leaves_before_it_learns_that_it_leads_passes_the_lead_on() {
    let duplicates = duplicates();
    let leader = enter(&duplicates, Lane::Bulk).leader();
    let mut waiting: Vec<_> = (0..3).map(|_| enter(&duplicates, Lane::Bulk).follower()).collect();
    assert!(waiting[0].as_mut().now_or_never().is_none());
    drop(leader);
    drop(waiting.remove(0)); // Looked at before it was made leader.
    drop(waiting.remove(0)); // Never looked at.
    let last = waiting.remove(0).now_or_never().unwrap().lead();
    assert!(matches!(enter(&duplicates, Lane::Bulk), DuplicateRole::Follower(_)), "one leads");
    drop(last);
    assert!(nothing_in_flight(&duplicates));
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_leaves_is_not_succeeded_to() {
    let duplicates = duplicates();
    let leader = enter(&duplicates, Lane::Bulk).leader();
    let gone = enter(&duplicates, Lane::Interactive);
    let waiting = enter(&duplicates, Lane::Bulk).follower();
    drop(gone);
    drop(leader);
    assert_eq!(waiting.now_or_never().unwrap().lead().lane(), Lane::Bulk);
    assert!(nothing_in_flight(&duplicates));
}

#[tokio::test(start_paused = true)]
async fn an_answered_follower_does_not_affect_a_later_call() {
    let duplicates = duplicates();
    let mut leader = enter(&duplicates, Lane::Bulk).leader();
    let answered = enter(&duplicates, Lane::Bulk).follower();
    call(&mut leader, &Verdict::Rejected(rejection()));
    let later = enter(&duplicates, Lane::Bulk).leader();
    let waiting = enter(&duplicates, Lane::Bulk).follower();
    drop((leader, answered));
    assert!(matches!(enter(&duplicates, Lane::Bulk), DuplicateRole::Follower(_)));
    drop(later);
    assert!(matches!(waiting.now_or_never(), Some(FollowerOutcome::Lead(_))));
}
