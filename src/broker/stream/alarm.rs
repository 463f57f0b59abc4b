//! Wakes a stream's reader at a given time.
//!
//! lapin's own thread may poll the reader, even after the runtime has ended with the process. A tokio timer polled
//! there would panic. So a task of the runtime waits instead, and is cancelled with the runtime.

use tokio::{runtime, time::Instant};
use tokio_util::task::AbortOnDropHandle;

use super::handle::StreamHandle;

/// The alarm of one stream. A dropped alarm wakes no reader.
#[derive(Debug)]
pub(super) struct Alarm {
    runtime: runtime::Handle,
    set: Option<(Instant, AbortOnDropHandle<()>)>,
}

impl Alarm {
    /// An unset alarm on the current runtime. Panics outside of one.
    pub(super) fn new() -> Self {
        Self { runtime: runtime::Handle::current(), set: None }
    }

    /// Wakes the reader at that time, and not at an earlier set time.
    pub(super) fn set(&mut self, at: Instant, stream: &StreamHandle) {
        if self.set.as_ref().is_none_or(|(set, _)| *set != at) {
            let stream = stream.clone();
            let waking = self.runtime.spawn(async move {
                tokio::time::sleep_until(at).await;
                stream.wake();
            });
            self.set = Some((at, AbortOnDropHandle::new(waking)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        task::{Wake, Waker},
        time::Duration,
    };

    use tokio::time::sleep;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// A reader that notes when it was woken.
    struct WakeLog(Mutex<Vec<Duration>>, Instant);

    impl Wake for WakeLog {
        fn wake(self: Arc<Self>) {
            self.0.lock().unwrap().push(self.1.elapsed());
        }
    }

    /// The times at which the reader is woken within an hour.
    async fn woken(
        work: impl FnOnce(Alarm, &StreamHandle, Instant) -> Option<Alarm>,
    ) -> Vec<Duration> {
        let (stream, now) = (StreamHandle::default(), Instant::now());
        let reader = Arc::new(WakeLog(Mutex::default(), now));
        stream.watch(&Waker::from(Arc::clone(&reader)));
        let alarm = work(Alarm::new(), &stream, now);
        sleep(60 * MINUTE).await;
        drop(alarm);
        reader.0.lock().unwrap().clone()
    }

    #[tokio::test(start_paused = true)]
    async fn the_reader_is_woken_at_the_time_that_was_set_last() {
        let woken = woken(|mut alarm, stream, now| {
            for minutes in [1, 3, 2, 2] {
                alarm.set(now + minutes * MINUTE, stream);
            }
            Some(alarm)
        });
        assert_eq!(woken.await, [2 * MINUTE]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_alarm_wakes_no_reader() {
        let woken = woken(|mut alarm, stream, now| {
            alarm.set(now + MINUTE, stream);
            None
        });
        assert!(woken.await.is_empty());
    }
}
