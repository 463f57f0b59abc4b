//! Tests of the turns, and that two lanes never fetch at once.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, Ordering},
};

use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, advance},
};

use super::*;
use crate::broker::commands::ConsumerControl;
use Lane::{Bulk, Interactive};

/// Mock sessions of both lanes, and the questions that they got.
struct Scene {
    control: ConsumerControl,
    sessions: Sessions,
    asked: mpsc::UnboundedReceiver<Lane>,
    asking: mpsc::UnboundedSender<Lane>,
    tasks: JoinSet<()>,
}

impl Scene {
    /// A scene without sessions, with one wanted job.
    fn new() -> Self {
        let (control, commands, _) = ConsumerControl::new(mpsc::channel(1).0);
        control.want(Demand::One);
        let sessions = Sessions::default();
        let (asking, asked) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(OneJob::new(sessions.clone(), commands).run());
        Self { control, sessions, asked, asking, tasks }
    }

    /// Adds a session that gives these answers, then ends without an answer.
    fn session(&mut self, lane: Lane, answers: impl IntoIterator<Item = FetchAnswer>) {
        let mut answers: VecDeque<FetchAnswer> = answers.into_iter().collect();
        let (mut questions, asking) = (self.sessions.register(lane), self.asking.clone());
        self.tasks.spawn(async move {
            while let Some(question) = questions.recv().await {
                asking.send(lane).unwrap();
                let Some(answer) = answers.pop_front() else { return };
                question.send(answer).unwrap();
            }
        });
    }

    /// The lane that is asked next.
    async fn next(&mut self) -> Lane {
        self.asked.recv().await.unwrap()
    }

    async fn order<const N: usize>(&mut self) -> [Lane; N] {
        let mut order = [Lane::Bulk; N];
        for lane in &mut order {
            *lane = self.next().await;
        }
        order
    }

    /// Sets the demand, and lets the task read it.
    async fn want(&self, wanted: Demand) {
        self.control.want(wanted);
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_interactive_lane_is_first_and_the_lanes_take_turns() {
    let mut scene = Scene::new();
    scene.session(Interactive, [FetchAnswer::Job; 9]);
    scene.session(Bulk, [FetchAnswer::Job; 9]);
    assert_eq!(scene.order().await, [Interactive, Bulk, Interactive]);
    // A pause within the pause changes nothing.
    scene.want(Demand::None).await;
    scene.want(Demand::One).await;
    assert_eq!(scene.order().await, [Bulk, Interactive]);
}

#[tokio::test(start_paused = true)]
async fn the_turns_begin_anew_when_all_are_wanted_again() {
    let mut scene = Scene::new();
    scene.session(Interactive, [FetchAnswer::Job; 9]);
    scene.session(Bulk, [FetchAnswer::Job; 9]);
    assert_eq!(scene.next().await, Interactive);
    scene.want(Demand::All).await;
    scene.want(Demand::One).await;
    assert_eq!(scene.next().await, Interactive, "and not the bulk lane");
}

#[tokio::test(start_paused = true)]
async fn a_lane_without_a_job_leaves_its_turn_to_the_other() {
    let mut scene = Scene::new();
    scene.session(Interactive, [FetchAnswer::None; 9]);
    scene.session(Bulk, [FetchAnswer::Job; 9]);
    assert_eq!(scene.order().await, [Interactive, Bulk, Interactive, Bulk]);
}

#[tokio::test(start_paused = true)]
async fn a_lane_without_a_session_leaves_its_turn_to_the_other() {
    let mut scene = Scene::new();
    scene.session(Bulk, [FetchAnswer::Job; 2]);
    assert_eq!(scene.order().await, [Bulk, Bulk]);
    // A lane whose session ends before its answer passes its turn as well.
    scene.session(Interactive, []);
    assert_eq!(scene.order().await, [Interactive, Bulk]);
}

#[tokio::test(start_paused = true)]
async fn the_other_lane_is_not_asked_while_one_may_have_a_job() {
    let mut scene = Scene::new();
    scene.session(Interactive, [FetchAnswer::NotNow; 3]);
    scene.session(Bulk, [FetchAnswer::Job; 9]);
    assert_eq!(scene.order().await, [Interactive; 3]);

    let mut scene = Scene::new();
    scene.session(Bulk, [FetchAnswer::Job; 9]);
    let mut questions = scene.sessions.register(Interactive);
    let question = questions.recv().await.unwrap();
    advance(10 * ASK_EVERY).await;
    assert!(scene.asked.try_recv().is_err(), "the bulk lane was asked as well");
    question.send(FetchAnswer::None).unwrap();
    assert_eq!(scene.next().await, Bulk);
}

#[tokio::test(start_paused = true)]
async fn while_one_is_still_wanted_the_next_is_asked_for_after_a_while() {
    let mut scene = Scene::new();
    scene.session(Interactive, [FetchAnswer::Job; 9]);
    assert_eq!(scene.next().await, Interactive);
    let began = Instant::now();
    scene.want(Demand::One).await;
    // There is no bulk session, so its turn is the interactive lane's.
    assert_eq!(scene.next().await, Interactive);
    assert_eq!(began.elapsed(), ASK_EVERY);
}

#[tokio::test(start_paused = true)]
async fn no_lane_is_asked_without_demand_and_the_task_ends_when_none_is_wanted_any_more() {
    let mut scene = Scene::new();
    scene.session(Interactive, [FetchAnswer::None; 9]);
    assert_eq!(scene.next().await, Interactive);
    scene.want(Demand::None).await;
    advance(10 * ASK_EVERY).await;
    assert!(scene.asked.try_recv().is_err());
    scene.want(Demand::Never).await;
    // The asking task ends first.
    assert!(scene.tasks.join_next().await.is_some());
}

/// The lane's session awaits an answer that waits behind unread deliveries.
#[tokio::test(start_paused = true)]
async fn a_lane_that_stalls_over_a_command_leaves_its_turns_to_the_other() {
    let mut scene = Scene::new();
    scene.session(Bulk, [FetchAnswer::Job; 9]);
    let mut questions = scene.sessions.register(Interactive);
    let (stalls, told) = (AtomicBool::new(false), Notify::new());
    let following =
        yielding_turns(&mut questions, || stalls.load(Ordering::Relaxed), told.notified());
    let asked = async {
        sleep(10 * ASK_EVERY).await;
        assert!(scene.asked.try_recv().is_err(), "it does not stall yet");
        stalls.store(true, Ordering::Relaxed);
        assert_eq!(scene.order().await, [Bulk; 3]);
        stalls.store(false, Ordering::Relaxed);
        sleep(10 * ASK_EVERY).await;
        told.notify_one();
    };
    tokio::join!(following, asked);
    assert!(scene.asked.try_recv().is_err(), "its turn was left although it does not stall");
    questions.recv().await.unwrap().send(FetchAnswer::Job).unwrap();
    assert_eq!(scene.next().await, Bulk);
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_stalls_asks_the_broker_for_no_job_and_answers_at_once() {
    for (stalls, expected) in [(false, FetchAnswer::Job), (true, FetchAnswer::None)] {
        let (question, answered) = oneshot::channel();
        let fetched = AtomicBool::new(false);
        let fetching = async {
            fetched.store(true, Ordering::Relaxed);
            Ok::<_, ()>(FetchAnswer::Job)
        };
        answer(question, || stalls, fetching).await.unwrap();
        assert_eq!(answered.await, Ok(expected));
        assert_eq!(fetched.load(Ordering::Relaxed), !stalls);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_stalls_while_it_fetches_leaves_its_turn_and_the_job_still_comes() {
    let (question, answered) = oneshot::channel();
    let stalls = AtomicBool::new(false);
    let (got, getting) = oneshot::channel();
    let asking = async {
        sleep(10 * ASK_EVERY).await;
        stalls.store(true, Ordering::Relaxed);
        assert_eq!(answered.await, Ok(FetchAnswer::None));
        got.send(FetchAnswer::Job).unwrap();
    };
    let answering = answer(question, || stalls.load(Ordering::Relaxed), getting);
    assert_eq!(tokio::join!(answering, asking).0, Ok(()), "the job was not waited for");
}
