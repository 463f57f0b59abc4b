//! A consumer that starves: jobs wait in its queue, it has none in flight, and yet none is delivered.
//!
//! The broker believes that the worker has its fill, or has forgotten it, and tells nobody. It was met with
//! RabbitMQ 3.10.8 after a cluster had lost its majority and got it back. Nothing else would end it: with
//! nothing in flight not even `consumer_timeout` does. A new session is served, or learns why not.

/// So many looks in a row must find it so, a minute's at least. A consumer that is served gets a job within
/// milliseconds; but a queue without a majority serves nobody, and sessions that could wait for it should.
pub const LOOKS: u32 = 30;

/// So many for one that never had a delivery in its session: another session may be no better off, as where
/// somebody else's queue serves one consumer at a time.
pub const LOOKS_UNSERVED: u32 = 10 * LOOKS;

/// How a consumer is served at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Serving {
    /// Whether the lane consumes.
    pub consuming: bool,
    /// Jobs that wait in its queue; `None` if the broker did not tell.
    pub waiting: Option<u32>,
    /// Deliveries that are not settled yet.
    pub in_flight: usize,
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
    /// Whether it starves, as it is seen now. What the broker does not tell counts neither way.
    pub fn lasts(&mut self, now: Serving) -> bool {
        let idle = now.consuming && now.in_flight == 0 && now.delivered == self.delivered;
        self.delivered = now.delivered;
        self.looks = match now.waiting {
            Some(1..) if idle => self.looks + 1,
            None if idle => self.looks,
            Some(_) | None => 0,
        };
        self.looks >= if now.delivered == 0 { LOOKS_UNSERVED } else { LOOKS }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARVING: Serving =
        Serving { consuming: true, waiting: Some(5), in_flight: 0, delivered: 7 };

    /// After how many looks it is so; `None` if it never is.
    fn looks(mut serving: impl FnMut(u32) -> Serving) -> Option<u32> {
        let mut starvation = Starvation::default();
        (1..2 * LOOKS_UNSERVED).find(|number| starvation.lasts(serving(*number)))
    }

    #[test]
    fn a_consumer_that_gets_nothing_of_what_waits_starves() {
        assert_eq!(looks(|_| STARVING), Some(LOOKS + 1), "the first shows that there were some");
        assert_eq!(looks(|_| Serving { delivered: 0, ..STARVING }), Some(LOOKS_UNSERVED));
    }

    #[test]
    fn whoever_is_served_or_busy_or_paused_or_has_nothing_to_wait_for_does_not() {
        assert_eq!(looks(|number| Serving { delivered: number.into(), ..STARVING }), None);
        assert_eq!(looks(|_| Serving { in_flight: 1, ..STARVING }), None);
        assert_eq!(looks(|_| Serving { consuming: false, ..STARVING }), None);
        assert_eq!(looks(|_| Serving { waiting: Some(0), ..STARVING }), None);
    }

    #[test]
    fn it_must_be_so_in_every_look() {
        let waiting = |number: u32| Some(u32::from(!number.is_multiple_of(LOOKS)));
        assert_eq!(looks(|number| Serving { waiting: waiting(number), ..STARVING }), None);
    }

    #[test]
    fn what_is_not_told_counts_neither_way() {
        let waiting = |number: u32| (!number.is_multiple_of(2)).then_some(5);
        assert_eq!(
            looks(|number| Serving { waiting: waiting(number), ..STARVING }),
            Some(2 * LOOKS + 1)
        );
        assert_eq!(looks(|_| Serving { waiting: None, ..STARVING }), None);
    }
}
