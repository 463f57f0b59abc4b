//! The plain worker as a process.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use revoker::domain::Lane;
use tokio::time::{sleep, timeout};

use super::{
    Fallible, command,
    jobs::Jobs,
    usage::{Measured, Usage},
};

/// The limit of the wait until it consumes.
const LIMIT: Duration = Duration::from_secs(10);

/// The time between two checks of that.
const POLL: Duration = Duration::from_millis(20);

/// A plain worker that consumes. Dropped, it is killed.
#[derive(Debug)]
pub struct Plain(Child);

impl Plain {
    /// Starts it for this many jobs of a lane, and returns once it consumes.
    ///
    /// # Errors
    ///
    /// It cannot be started, or does not consume.
    pub async fn start(
        broker: &str,
        (jobs, lane): (&Jobs, Lane),
        url: &str,
        count: u32,
        at_a_time: u32,
    ) -> Fallible<Self> {
        let (count, at_a_time) = (count.to_string(), at_a_time.to_string());
        let child = Command::new(command::reference("plain-worker")?)
            .args([broker, jobs.queue(lane), url, &count, &at_a_time])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let plain = Self(child);
        let consumes = async {
            while jobs.consumers(lane).await? == 0 {
                sleep(POLL).await;
            }
            Fallible::Ok(())
        };
        timeout(LIMIT, consumes).await.map_err(|_| "the plain worker does not consume")??;
        Ok(plain)
    }
}

impl Measured for Plain {
    fn usage(&mut self) -> Fallible<Usage> {
        Usage::of(self.0.id())
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        // It may have ended by itself, which is fine.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
