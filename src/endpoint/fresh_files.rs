//! Values that are read from files, and read again when the files change. If the file system hangs, calls do not wait
//! for it, and only one thread is blocked.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::{task::spawn_blocking, time::timeout};
use tracing::warn;

use super::client::ClientError;
use crate::domain::ErrorChain;

/// The longest time that a call waits for a check of the files.
const LOOK_AT_MOST: Duration = Duration::from_secs(1);

type Read<T> = dyn Fn() -> Result<T, ClientError> + Send + Sync;

/// A value that is read from files.
pub(super) struct FreshFiles<T> {
    /// The name of the value, for the log.
    what: &'static str,
    paths: Vec<PathBuf>,
    read: Box<Read<T>>,
    current: Mutex<Loaded<T>>,
    /// Held while the files are checked.
    looking: Arc<tokio::sync::Mutex<()>>,
}

struct Loaded<T> {
    value: Arc<T>,
    changed: Vec<Option<SystemTime>>,
    /// The times of change of files that could not be read, which were reported.
    broken: Option<Vec<Option<SystemTime>>>,
}

impl<T: Send + Sync + 'static> FreshFiles<T> {
    /// Reads the files. Blocks on the file system.
    ///
    /// # Errors
    ///
    /// Those of `read`.
    pub(super) fn load(
        what: &'static str,
        paths: Vec<PathBuf>,
        read: impl Fn() -> Result<T, ClientError> + Send + Sync + 'static,
    ) -> Result<Arc<Self>, ClientError> {
        let changed = changed(&paths);
        let current = Mutex::new(Loaded { value: Arc::new(read()?), changed, broken: None });
        let looking = Arc::default();
        Ok(Arc::new(Self { what, paths, read: Box::new(read), current, looking }))
    }

    /// The value in force.
    pub(super) fn current(&self) -> Arc<T> {
        Arc::clone(&self.loaded().value)
    }

    /// Reads the files again if they have changed, unless another call does so now. If they cannot be read, the old
    /// value stays in force.
    pub(super) async fn refresh(self: &Arc<Self>) {
        let Ok(alone) = Arc::clone(&self.looking).try_lock_owned() else { return };
        let fresh = Arc::clone(self);
        let look = spawn_blocking(move || {
            fresh.look();
            drop(alone);
        });
        // After the time-out, the check continues for later calls.
        let _ = timeout(LOOK_AT_MOST, look).await;
    }

    fn look(&self) {
        let changed = changed(&self.paths);
        if self.loaded().changed == changed {
            return;
        }
        let read = (self.read)();
        let mut current = self.loaded();
        match read {
            Ok(value) => *current = Loaded { value: Arc::new(value), changed, broken: None },
            // A file that is half written may be whole later at the same time of change, so it is read again.
            Err(_) if current.broken.as_ref() == Some(&changed) => {}
            Err(error) => {
                warn!("the old {} stays in force: {}", self.what, ErrorChain(&error));
                current.broken = Some(changed);
            }
        }
    }

    fn loaded(&self) -> MutexGuard<'_, Loaded<T>> {
        // A poisoned lock is usable: each field is replaced whole.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn changed(paths: &[PathBuf]) -> Vec<Option<SystemTime>> {
    let at = |path| std::fs::metadata(path).and_then(|file| file.modified()).ok();
    paths.iter().map(at).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use futures_util::FutureExt as _;

    use super::*;

    /// The rest of a file that is read half-written may come without a new time of change.
    #[tokio::test]
    async fn a_broken_file_is_read_again_without_a_new_time_of_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let reads = Mutex::new(0);
        let fresh = FreshFiles::load("file", vec![path.clone()], move || {
            let mut reads = reads.lock().unwrap();
            *reads += 1;
            if *reads == 2 {
                Err(ClientError::CaEmpty { path: PathBuf::new() })
            } else {
                Ok(*reads)
            }
        });
        let fresh = fresh.ok().unwrap();
        std::fs::write(&path, "x").unwrap();
        fresh.look();
        assert_eq!(*fresh.current(), 1);
        fresh.look();
        assert_eq!(*fresh.current(), 3);
        fresh.look();
        assert_eq!(*fresh.current(), 3, "it is not read again");
    }

    /// Each reading but the first hangs until the test releases it.
    #[tokio::test]
    async fn a_file_system_that_hangs_takes_one_thread_and_no_later_call_waits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let ((tell, began), (go, hangs)) = (channel(), channel::<()>());
        let ends = Mutex::new((tell, hangs));
        let reads = Mutex::new(0);
        let fresh = FreshFiles::load("file", vec![path.clone()], move || {
            let mut reads = reads.lock().unwrap();
            *reads += 1;
            if *reads > 1 {
                let (tell, hangs) = &*ends.lock().unwrap();
                tell.send(()).unwrap();
                hangs.recv().unwrap();
            }
            Ok(*reads)
        });
        let fresh = fresh.ok().unwrap();
        std::fs::write(&path, "x").unwrap();
        assert!(fresh.refresh().now_or_never().is_none(), "it looks");
        began.recv().unwrap();
        assert!(fresh.refresh().now_or_never().is_some(), "another call looks");
        assert_eq!(*fresh.current(), 1, "the old one is in force");
        go.send(()).unwrap();
        drop(fresh.looking.lock().await);
        assert_eq!(*fresh.current(), 2);
    }
}
