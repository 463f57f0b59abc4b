//! The publishing connection of one worker. It loses confirms, gets refusals, is blocked and breaks, and publishes
//! again until a queue confirms.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use revoker::{
    broker::{OutgoingMessage, PublishHealth, seams::PublishRequest},
    domain::History,
    ports::Unpublishable,
};
use tokio::{
    sync::mpsc,
    time::{sleep, sleep_until},
};

use super::Message;
use crate::{
    mutants::Mutant,
    witness::Number,
    world::{Condition, World},
};

/// The queue name in reports to the publish health, the same for all queues.
const QUEUES: &str = "all";

/// Messages that go out before their confirms are awaited.
const BATCH: usize = 4;

/// The waits between tries, from the first to the longest.
const WAITS: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];

/// A message to publish, and its delivery.
pub struct Outgoing {
    pub posted: PublishRequest,
    pub number: Number,
    pub message: Message,
    /// The history of the message in a retry queue.
    pub parked: Option<History>,
}

/// Publishes messages until all senders are gone.
pub async fn publish(
    world: Arc<World>,
    health: Arc<PublishHealth>,
    mut inbox: mpsc::UnboundedReceiver<Outgoing>,
) {
    let mut waiting = VecDeque::new();
    let mut wait = WAITS[0];
    loop {
        if waiting.is_empty() {
            health.cleared(QUEUES);
            match inbox.recv().await {
                Some(outgoing) => waiting.push_back(outgoing),
                None => return,
            }
        }
        world.dice.dawdle().await;
        while let Ok(outgoing) = inbox.try_recv() {
            waiting.push_back(outgoing);
        }
        let Err(why) = batch(&world, &mut waiting).await else {
            wait = WAITS[0];
            continue;
        };
        // Messages without a waiting sender are dropped, as in the worker.
        waiting.retain(|outgoing| outgoing.posted.is_awaited());
        health.failed(QUEUES, why.to_owned(), waiting.len());
        sleep(wait).await;
        wait = (wait * 2).min(WAITS[1]);
    }
}

/// Sends a batch and awaits its confirms. Unconfirmed messages are put back.
async fn batch(world: &World, waiting: &mut VecDeque<Outgoing>) -> Result<(), &'static str> {
    let batch: Vec<(Outgoing, OutgoingMessage)> = waiting
        .drain(..waiting.len().min(BATCH))
        .filter_map(|outgoing| outgoing.posted.take().map(|letter| (outgoing, letter)))
        .collect();
    sleep(world.dice.up_to(Duration::from_millis(30))).await;
    if let Some(until) = world.until(Condition::Blocked) {
        sleep_until(until).await;
    }
    if world.has(Condition::Down) {
        batch.into_iter().rev().for_each(|(outgoing, letter)| {
            outgoing.posted.put_back(letter);
            waiting.push_front(outgoing);
        });
        return Err("the broker is gone");
    }
    if world.bad_luck(12) {
        // The connection breaks: some messages are stored without a confirm.
        for (outgoing, letter) in batch.into_iter().rev() {
            if world.dice.one_in(2) {
                world.witness.count("letter", "confirm lost");
                store(world, &outgoing, &letter);
            }
            outgoing.posted.put_back(letter);
            waiting.push_front(outgoing);
        }
        return Err("the connection is gone");
    }
    let mut refused = Ok(());
    for (outgoing, letter) in batch {
        if refuses(world, &letter) {
            world.witness.count("letter", "refused");
            outgoing.posted.put_back(letter);
            waiting.push_back(outgoing);
            refused = Err("a queue refuses its letters");
            continue;
        }
        if world.bad_luck(40) {
            // The broker accepts the others, but never this one.
            world.witness.unpublishable(outgoing.number, world.broker.is_event(&letter));
            let refusal =
                Unpublishable { size: letter.body.len(), why: "it is too large".to_owned() };
            outgoing.posted.respond(Err(refusal));
            continue;
        }
        if !world.is(Mutant::TakesSilenceForConfirm) {
            store(world, &outgoing, &letter);
        }
        // The sender may be gone: the message is stored nevertheless.
        outgoing.posted.respond(Ok(()));
    }
    refused
}

/// A nack, or a return.
fn refuses(world: &World, letter: &OutgoingMessage) -> bool {
    let condition = match world.broker.stay_of(letter) {
        None => Condition::DeadRefuses,
        Some(_) => Condition::RetryRefuses,
    };
    world.has(condition) || world.bad_luck(20)
}

fn store(world: &World, outgoing: &Outgoing, letter: &OutgoingMessage) {
    if world.broker.is_event(letter) {
        return world.witness.recorded(outgoing.number, letter);
    }
    world.witness.stored(outgoing.number, letter, &outgoing.message);
    world.broker.store(letter, &outgoing.message, outgoing.parked);
}
