//! The consuming side of one worker: sessions one after the other, each with the worker's own ledgers of settlements
//! and a broker that may disappear at any moment.

use std::{sync::Arc, time::Duration};

use futures_util::future::join;
use revoker::{
    broker::seams::ChannelLedger,
    domain::{Lane, PerLane},
    ports::Demand,
};
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, sleep_until},
};

use super::LinkNumber;
use crate::{
    delivery::{SimDelivery, Ticket},
    life::Life,
    world::Condition,
};

/// The longest waits between tries to connect: the first one, and one of the later.
const RECONNECT: [Duration; 2] = [Duration::from_millis(150), Duration::from_secs(3)];

/// The longest time until a worker notices a lost connection.
const HALF_OPEN: Duration = Duration::from_secs(5);

/// The longest transit time of a frame.
const FLIGHT: Duration = Duration::from_millis(20);

/// The interval of fetching the one wanted job from empty queues.
const FETCH_EVERY: Duration = Duration::from_millis(500);

/// Brings deliveries to `intake` and settlements to the broker, session after session, until no job is
/// wanted any more.
pub async fn consume(life: Arc<Life>, intake: mpsc::Sender<SimDelivery>) {
    let _stopped = life.stopped.clone().drop_guard();
    let mut intake = Some(intake);
    let mut wanted = life.wanted.subscribe();
    while intake.is_some() {
        if let Some(until) = life.world.until(Condition::Down) {
            tokio::select! {
                biased;
                () = sleep_until(until) => {}
                () = unwanted(&mut wanted) => return,
            }
        }
        sleep(life.world.dice.up_to(FLIGHT)).await;
        let session = Session::open(&life);
        tokio::select! {
            biased;
            () = life.severed.notified() => session.breaks(&mut intake).await,
            () = session.run(&mut intake) => session.closes(),
        }
        tokio::select! {
            biased;
            () = sleep(life.world.dice.up_to(life.world.dice.pick(&RECONNECT))) => {}
            () = unwanted(&mut wanted) => return,
        }
    }
}

/// Waits until no job is wanted any more.
async fn unwanted(wanted: &mut watch::Receiver<Demand>) {
    let _ = wanted.wait_for(|wanted| *wanted == Demand::Never).await;
}

struct Session<'a> {
    life: &'a Arc<Life>,
    link: LinkNumber,
    ledgers: PerLane<Arc<ChannelLedger>>,
}

impl<'a> Session<'a> {
    fn open(life: &'a Arc<Life>) -> Self {
        let ledgers = PerLane::<Arc<ChannelLedger>>::default();
        let link = life.world.broker.open();
        life.opened(link, ledgers.clone());
        Self { life, link, ledgers }
    }

    /// Ends once the worker is closing and all its settlements are sent.
    async fn run(&self, intake: &mut Option<mpsc::Sender<SimDelivery>>) {
        let ackers = join(self.acker(Lane::Interactive), self.acker(Lane::Bulk));
        tokio::select! {
            biased;
            _ = ackers => {}
            () = self.deliver(intake) => {}
        }
    }

    /// An orderly close: the worker learns of the end, and the broker gets all earlier settlements.
    fn closes(&self) {
        self.lose();
        let left = self.life.world.broker.close(self.link);
        self.life.world.witness.session_ended(self.life.number, &left, true);
    }

    /// The broker delivers the jobs in flight again, mostly before the worker notices the loss. On a half-open
    /// connection the worker continues for a while, and settles deliveries of the lost session.
    async fn breaks(&self, intake: &mut Option<mpsc::Sender<SimDelivery>>) {
        let world = &self.life.world;
        let lost = world.broker.close(self.link);
        if world.bad_luck(2) {
            world.witness.count("session", "half open");
            tokio::select! {
                biased;
                () = sleep(world.dice.up_to(HALF_OPEN)) => {}
                () = self.run(intake) => {}
            }
        }
        self.lose();
        world.witness.session_ended(self.life.number, &lost, false);
    }

    fn lose(&self) {
        for lane in Lane::ALL {
            self.ledgers.get(lane).lose();
        }
    }

    /// Sends settlements to the broker. If the session ends meanwhile, frames in transit are lost.
    async fn acker(&self, lane: Lane) {
        let (world, ledger) = (&self.life.world, self.ledgers.get(lane));
        let mut frames = Vec::new();
        loop {
            let last = ledger.due(&self.life.close).await;
            ledger.flush(&mut frames);
            sleep(world.dice.up_to(FLIGHT)).await;
            if last && !frames.is_empty() && world.bad_luck(3) {
                // RabbitMQ drops the last acks when the connection closes right behind them.
                world.witness.count("session", "last acks dropped");
                return;
            }
            for frame in frames.drain(..) {
                world.broker.told(self.link, lane, frame, &world.witness);
            }
            if last {
                return;
            }
        }
    }

    /// Delivers as many jobs as are wanted, and never returns: only a lost or closed session ends it.
    async fn deliver(&self, intake: &mut Option<mpsc::Sender<SimDelivery>>) {
        let (life, world) = (self.life, &self.life.world);
        let prefetch = usize::from(world.plan.worker.prefetch);
        let mut orders = life.wanted.subscribe();
        let mut consuming = false;
        loop {
            let arrival = world.broker.arrival();
            let wanted = *orders.borrow_and_update();
            if consuming != (wanted == Demand::All) && (consuming || self.has_room()) {
                // Deliveries that the broker sent before the cancel still arrive.
                if consuming {
                    self.pass_on(intake.as_ref(), prefetch).await;
                }
                world.dice.dawdle().await;
                consuming = !consuming;
                continue;
            }
            if wanted == Demand::Never && intake.take().is_some() {
                life.stopped.cancel();
            }
            if consuming && self.pass_on(intake.as_ref(), prefetch).await {
                world.dice.dawdle().await;
                continue;
            }
            let fetches = wanted == Demand::One && !consuming;
            if fetches && self.has_messages() && is_empty(intake.as_ref()) {
                sleep(world.dice.up_to(FETCH_EVERY)).await;
                if *orders.borrow() == Demand::One {
                    // `basic.get` knows no prefetch.
                    self.pass_on(intake.as_ref(), usize::MAX).await;
                    sleep(FETCH_EVERY).await;
                }
                continue;
            }
            tokio::select! {
                biased;
                _ = orders.changed() => {}
                () = arrival => {}
                // There may be room again, or the one job may have been taken.
                () = sleep(FETCH_EVERY), if !consuming && self.waits_for_room(wanted) => {}
            }
        }
    }

    /// Delivers one job, if there is one. Returns whether it did.
    async fn pass_on(&self, intake: Option<&mpsc::Sender<SimDelivery>>, prefetch: usize) -> bool {
        let Some(intake) = intake else { return false };
        let (life, world) = (self.life, &self.life.world);
        let mut lanes = Lane::ALL;
        if world.dice.one_in(2) {
            lanes.reverse();
        }
        for lane in lanes {
            let note = |message: &_| world.witness.delivered(life.number, lane, message);
            if let Some((tag, number, message)) =
                world.broker.deliver(self.link, lane, prefetch, note)
            {
                let ledger = Arc::clone(self.ledgers.get(lane));
                if !ledger.delivered(tag) {
                    world.witness.violated(format!("the ledger took tag {tag} for out of order"));
                }
                let ticket = Ticket { number, lane, tag, ledger };
                // If the worker accepts no more jobs, the dropped delivery is requeued.
                let _ = intake.send(SimDelivery::new(life, ticket, message)).await;
                return true;
            }
        }
        false
    }

    fn has_room(&self) -> bool {
        let most = usize::from(self.life.world.plan.worker.prefetch) / 2;
        Lane::ALL.into_iter().all(|lane| self.ledgers.get(lane).in_flight() <= most)
    }

    fn has_messages(&self) -> bool {
        Lane::ALL.into_iter().any(|lane| self.life.world.broker.has_messages(lane))
    }

    /// Whether further deliveries only need time.
    fn waits_for_room(&self, wanted: Demand) -> bool {
        match wanted {
            Demand::All => !self.has_room(),
            Demand::One => self.has_messages(),
            Demand::None | Demand::Never => false,
        }
    }
}

/// Whether no delivery waits there.
fn is_empty(intake: Option<&mpsc::Sender<SimDelivery>>) -> bool {
    intake.is_some_and(|intake| intake.capacity() == intake.max_capacity())
}
