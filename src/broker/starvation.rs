//! Finds a consumer that starves: jobs wait in its queue, none is in flight, and none is delivered.
//!
//! The broker takes the worker for busy, or has forgotten it, and reports no error. This was seen with RabbitMQ 3.10.8
//! after a cluster had lost its majority and regained it. With nothing in flight, not even `consumer_timeout` ends such
//! a session. A new session is served, or reports a cause.

/// This many samples in a row must agree, at least a minute's worth. A served consumer gets a job within milliseconds.
/// But a queue without a majority serves no consumer, and sessions should wait for it.
pub(super) const SAMPLES: u32 = 30;

/// The number for a session without any delivery. A new session may get no delivery either, for example where a foreign
/// queue serves one consumer at a time.
pub(super) const SAMPLES_UNSERVED: u32 = 10 * SAMPLES;

/// How a consumer is served at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Serving {
    pub(super) consuming: bool,
    /// Jobs in its queue; `None` if the broker did not answer.
    pub(super) waiting: Option<u32>,
    pub(super) in_flight: usize,
    /// Deliveries in this session.
    pub(super) delivered: u64,
}

/// How long a consumer has starved.
#[derive(Debug, Default)]
pub(super) struct Starvation {
    delivered: u64,
    samples: u32,
}

impl Starvation {
    /// Records a sample. Returns whether the consumer starves. A sample without an answer changes nothing.
    pub(super) fn is_starving(&mut self, now: Serving) -> bool {
        let idle = now.consuming && now.in_flight == 0 && now.delivered == self.delivered;
        self.delivered = now.delivered;
        self.samples = match now.waiting {
            Some(1..) if idle => self.samples + 1,
            None if idle => self.samples,
            Some(_) | None => 0,
        };
        self.samples >= if now.delivered == 0 { SAMPLES_UNSERVED } else { SAMPLES }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARVING: Serving =
        Serving { consuming: true, waiting: Some(5), in_flight: 0, delivered: 7 };

    /// The number of samples until it starves; `None` if it never does.
    fn samples_needed(mut serving: impl FnMut(u32) -> Serving) -> Option<u32> {
        let mut starvation = Starvation::default();
        (1..2 * SAMPLES_UNSERVED).find(|number| starvation.is_starving(serving(*number)))
    }

    #[test]
    fn a_consumer_without_deliveries_starves_while_jobs_wait() {
        assert_eq!(
            samples_needed(|_| STARVING),
            Some(SAMPLES + 1),
            "the first shows that there were some"
        );
        assert_eq!(
            samples_needed(|_| Serving { delivered: 0, ..STARVING }),
            Some(SAMPLES_UNSERVED)
        );
    }

    #[test]
    fn a_served_busy_paused_or_idle_consumer_does_not_starve() {
        assert_eq!(samples_needed(|number| Serving { delivered: number.into(), ..STARVING }), None);
        assert_eq!(samples_needed(|_| Serving { in_flight: 1, ..STARVING }), None);
        assert_eq!(samples_needed(|_| Serving { consuming: false, ..STARVING }), None);
        assert_eq!(samples_needed(|_| Serving { waiting: Some(0), ..STARVING }), None);
    }

    #[test]
    fn it_must_be_so_in_every_look() {
        let waiting = |number: u32| Some(u32::from(!number.is_multiple_of(SAMPLES)));
        assert_eq!(samples_needed(|number| Serving { waiting: waiting(number), ..STARVING }), None);
    }

    #[test]
    fn a_sample_without_an_answer_changes_nothing() {
        let waiting = |number: u32| (!number.is_multiple_of(2)).then_some(5);
        assert_eq!(
            samples_needed(|number| Serving { waiting: waiting(number), ..STARVING }),
            Some(2 * SAMPLES + 1)
        );
        assert_eq!(samples_needed(|_| Serving { waiting: None, ..STARVING }), None);
    }
}
