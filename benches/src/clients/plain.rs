//! The plain worker as a process beside a scenario.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use revoker::domain::Lane;
use tokio::time::{sleep, timeout};

use super::{
    super::{Fallible, command, scene::Stage},
    place::Place,
};

/// How long it may take to consume.
const LIMIT: Duration = Duration::from_secs(10);

/// The time between two checks of that.
const POLL: Duration = Duration::from_millis(20);

/// A plain worker that consumes. Dropped, it is killed.
#[derive(Debug)]
pub struct Plain(Child);

impl Plain {
    /// Starts it for so many jobs of a lane, and returns once it consumes.
    ///
    /// # Errors
    ///
    /// It cannot be started, or does not consume.
    pub async fn start(
        stage: &Stage,
        place: &Place,
        lane: Lane,
        jobs: u32,
        at_a_time: u32,
    ) -> Fallible<Self> {
        let (jobs, at_a_time) = (jobs.to_string(), at_a_time.to_string());
        let (url, queue) = (place.backend.url(), place.jobs.queue(lane));
        let child = Command::new(command::sibling("plain-worker")?)
            .args([stage.options.broker.as_str(), queue, &url, &jobs, &at_a_time])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let plain = Self(child);
        let consumes = async {
            while place.jobs.consumers(lane).await? == 0 {
                sleep(POLL).await;
            }
            Fallible::Ok(())
        };
        timeout(LIMIT, consumes).await.map_err(|_| "the plain worker does not consume")??;
        Ok(plain)
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        // It may have ended by itself, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
