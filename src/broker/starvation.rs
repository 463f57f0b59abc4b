//! A consumer that starves: jobs wait in its queue, it has none in hand, and yet none is delivered.
//!
//! The broker believes that the worker has its fill, or has forgotten it, and tells nobody. It was met with
//! RabbitMQ 3.10.8 after a cluster had lost its majority and got it back. Left alone it would last until
//! `consumer_timeout`, half an hour by default; a new session ends it.

/// So many looks in a row must find it so. A consumer that is served gets a job within milliseconds.
pub const LOOKS: u32 = 10;

/// How a consumer is served at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Serving {
    /// Whether the lane consumes.
    pub consuming: bool,
    /// Jobs that wait in its queue.
    pub waiting: u32,
    /// Deliveries that are not settled yet.
    pub in_hand: usize,
    /// Deliveries so far, in this session.
    pub delivered: u64,
}

/// How long a consumer has been starving.
#[derive(Debug, Default)]
pub struct Starvation {
    delivered: u64,
    looks: u32,
}

impl Starvation {
    /// Whether it starves, as it is seen now. One that never had a delivery in its session does
    /// not: another session would not help it, and each costs what the other lane has in hand.
    pub fn lasts(&mut self, now: Serving) -> bool {
        let idle = now.in_hand == 0 && now.delivered == self.delivered && now.delivered > 0;
        self.delivered = now.delivered;
        self.looks = if now.consuming && now.waiting > 0 && idle { self.looks + 1 } else { 0 };
        self.looks >= LOOKS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARVING: Serving = Serving { consuming: true, waiting: 5, in_hand: 0, delivered: 7 };

    /// How many looks it takes after the first; `None` if it is never so.
    fn looks(mut serving: impl FnMut(u32) -> Serving) -> Option<u32> {
        let mut starvation = Starvation::default();
        (0..10 * LOOKS).find(|number| starvation.lasts(serving(*number)))
    }

    #[test]
    fn a_consumer_that_gets_nothing_of_what_waits_starves() {
        assert_eq!(looks(|_| STARVING), Some(LOOKS));
    }

    #[test]
    fn whoever_is_served_or_busy_or_paused_or_has_nothing_to_wait_for_does_not() {
        assert_eq!(looks(|number| Serving { delivered: number.into(), ..STARVING }), None);
        assert_eq!(looks(|_| Serving { in_hand: 1, ..STARVING }), None);
        assert_eq!(looks(|_| Serving { consuming: false, ..STARVING }), None);
        assert_eq!(looks(|_| Serving { waiting: 0, ..STARVING }), None);
    }

    #[test]
    fn it_must_be_so_in_every_look() {
        let now_and_then = |number: u32| number.is_multiple_of(LOOKS);
        assert_eq!(
            looks(|number| Serving { waiting: u32::from(!now_and_then(number)), ..STARVING }),
            None
        );
    }

    #[test]
    fn one_that_never_had_a_delivery_is_left_alone() {
        assert_eq!(looks(|_| Serving { delivered: 0, ..STARVING }), None);
    }
}
