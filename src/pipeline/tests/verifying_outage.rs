//! An introspection endpoint that answers no check for a time: the checks meanwhile, and the end of the waits.

use super::{
    verifying::{FAILED, INACTIVE, policy},
    *,
};
use crate::domain::VerifyWhen;

impl Bench {
    /// Acknowledges all calls, and answers the checks with these states.
    fn acknowledging(
        concurrency: usize,
        states: impl IntoIterator<Item = Result<TokenState, Failure>>,
    ) -> Self {
        let verdicts = std::iter::repeat_n(Verdict::Acknowledged, 100).map(Answer::Verdict);
        let settings = Settings { verify: policy(VerifyWhen::After), ..settings() };
        let bench = bench_of(verdicts, concurrency, false, settings);
        bench.will_be(states);
        bench
    }

    /// Answers the next checks with these states.
    fn will_be(&self, states: impl IntoIterator<Item = Result<TokenState, Failure>>) {
        self.pipeline.endpoint.states.lock().unwrap().extend(states);
    }

    /// Waits for the next check, which hangs.
    async fn hang_next(&self) {
        self.hang(1);
        while self.pipeline.endpoint.hanging_checks.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn states_left(&self) -> usize {
        self.pipeline.endpoint.states.lock().unwrap().len()
    }

    /// Delivers this many jobs, whose checks fail until each waits for several seconds.
    async fn wait_for_checks(&self, jobs: usize) {
        self.will_be(std::iter::repeat_n(FAILED, 100 * jobs));
        for _ in 0..jobs {
            self.deliver();
        }
        tokio::time::sleep(HOLD / 2).await;
        self.pipeline.endpoint.states.lock().unwrap().clear();
    }
}

/// The waits of these jobs are longer than the second in which a logout has to take effect.
#[tokio::test(start_paused = true)]
async fn jobs_that_wait_for_their_check_are_checked_once_checks_are_answered_again() {
    let mut bench = Bench::acknowledging(2, []);
    bench.wait_for_checks(6).await;
    bench.will_be(std::iter::repeat_n(INACTIVE, 7));
    let began = Instant::now();
    bench.deliver();
    for _ in 0..7 {
        assert_eq!(bench.next().await, Out::Done);
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(bench.states_left(), 0);
}

/// All wake at once, and each of their checks takes a permit.
#[tokio::test(start_paused = true)]
async fn woken_jobs_are_checked_within_the_permits() {
    let mut bench = Bench::acknowledging(2, []);
    bench.wait_for_checks(6).await;
    bench.will_be(std::iter::repeat_n(INACTIVE, 7));
    let most_checks = &bench.pipeline.endpoint.most_checks;
    most_checks.store(0, Ordering::SeqCst);
    bench.deliver();
    for _ in 0..7 {
        assert_eq!(bench.next().await, Out::Done);
    }
    assert_eq!(bench.pipeline.endpoint.most_checks.load(Ordering::SeqCst), 2, "as many as permits");
}

/// The endpoint fails for the tokens of these jobs alone. Others are answered, and must not cause checks of these jobs.
#[tokio::test(start_paused = true)]
async fn jobs_whose_own_checks_fail_are_woken_once_and_then_keep_their_waits() {
    let mut bench = Bench::acknowledging(8, []);
    bench.wait_for_checks(6).await;
    bench.will_be([INACTIVE].into_iter().chain(std::iter::repeat_n(FAILED, 6)));
    bench.deliver();
    assert_eq!(bench.next().await, Out::Done);
    let woken = Instant::now();
    while bench.states_left() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(woken.elapsed(), Duration::ZERO, "all are checked again");
    // There is no state for a seventh check: it would panic.
    bench.will_be([INACTIVE]);
    bench.deliver();
    assert_eq!(bench.next().await, Out::Done);
    tokio::time::sleep(Duration::from_millis(249)).await;
    assert_eq!(bench.states_left(), 0);
    bench.will_be(std::iter::repeat_n(FAILED, 6));
    tokio::time::sleep(Duration::from_millis(2)).await;
    assert_eq!(bench.states_left(), 0, "after the first wait, they are checked again");
}

/// While another check hangs, the job has none. So its first wait is not longer afterwards.
#[tokio::test(start_paused = true)]
async fn a_check_that_is_not_made_makes_no_wait_longer() {
    let mut bench = Bench::acknowledging(8, []);
    bench.wait_for_checks(1).await;
    bench.hang_next().await;
    bench.deliver();
    tokio::time::sleep(Duration::from_secs(10)).await;
    // The check that hung fails, then two of the second job. Then both are answered.
    bench.will_be([FAILED, FAILED, FAILED, INACTIVE, INACTIVE]);
    let failed = Instant::now();
    bench.pipeline.endpoint.gate.add_permits(1);
    assert_eq!(bench.next().await, Out::Done);
    // The next one is made within 250 ms. The waits after it are 250 and 500 ms.
    assert!(failed.elapsed() <= Duration::from_secs(1), "{:?}", failed.elapsed());
    assert_eq!(bench.next().await, Out::Done);
}

/// No check of its own failed, so the history of the job names no error.
#[tokio::test(start_paused = true)]
async fn a_job_without_a_check_for_a_whole_hold_is_parked_without_an_error() {
    let mut bench = Bench::acknowledging(8, []);
    bench.wait_for_checks(1).await;
    bench.hang_next().await;
    let began = Instant::now();
    bench.deliver_with(r#"{"refresh_token":"u"}"#, |_| {});
    let Out::Parked(stay, history) = bench.next().await else { panic!("not parked") };
    assert_eq!((stay, history.stays, history.last_error), (STAY, 1, None));
    assert_eq!(history.ambiguity, Some(Ambiguity::Attempt));
    assert!(history.first_failed_at.is_some(), "its time counts");
    assert!(began.elapsed() >= HOLD);
}

/// Five checks before calls had no answer in a row. The next job tries one, and no other job waits for that.
#[tokio::test(start_paused = true)]
async fn while_checks_fail_there_is_one_at_a_time() {
    let verdicts = std::iter::repeat_n(rejected(), 7);
    let settings = Settings { verify: policy(VerifyWhen::BeforeAndAfter), ..settings() };
    let mut bench = bench_of(verdicts.map(Answer::Verdict), 8, false, settings);
    let states = std::iter::repeat_n(FAILED, 5);
    bench.pipeline.endpoint.states.lock().unwrap().extend(states);
    for _ in 0..5 {
        bench.deliver();
        assert!(matches!(bench.next().await, Out::Dead(Reason::Rejected, _)));
    }
    bench.hang(1);
    bench.deliver();
    bench.until_hanging().await;
    let hanging = Instant::now();
    bench.deliver();
    assert!(matches!(bench.next().await, Out::Dead(Reason::Rejected, _)));
    assert_eq!(hanging.elapsed(), Duration::ZERO, "it was not looked at");
    assert!(matches!(bench.next().await, Out::Dead(Reason::Rejected, _)));
    assert_eq!(hanging.elapsed(), Duration::from_secs(5));
    assert_eq!(bench.checks().await, [("failed", 6)]);
}

/// The check is not made beside another one: the job waits, and is checked once the other check is answered.
#[tokio::test(start_paused = true)]
async fn a_job_that_is_not_checked_now_is_checked_later() {
    let verdicts = [Verdict::Revoked, Verdict::Revoked];
    let settings = Settings { verify: policy(VerifyWhen::After), ..settings() };
    let mut bench = bench_of(verdicts.map(Answer::Verdict), 8, false, settings);
    let states = std::iter::repeat_n(FAILED, 5).chain([INACTIVE, INACTIVE]);
    bench.pipeline.endpoint.states.lock().unwrap().extend(states);
    bench.deliver();
    // Checks fail at 0, 250, 750, 1750 and 3750 ms. The next one is made at 7750 ms.
    tokio::time::sleep(Duration::from_secs(4)).await;
    bench.hang(1);
    tokio::time::sleep(Duration::from_secs(4)).await;
    bench.until_hanging().await;
    bench.deliver();
    bench.until_called(2).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.pipeline.endpoint.states.lock().unwrap().len(), 2, "a check beside another");
    let answered = Instant::now();
    bench.pipeline.endpoint.gate.add_permits(1);
    for _ in 0..2 {
        assert_eq!(bench.next().await, Out::Done);
    }
    assert_eq!(answered.elapsed(), Duration::ZERO, "the second one did not wait");
    assert_eq!(bench.checks().await, [("untrusted", 2), ("failed", 5)]);
}
