//! Ends a run in its journal, and reads the journal back.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

use sha2::{Digest as _, Sha256};

use super::{
    counters::SweepCounters,
    journal::{Journal, JournalRecord, JournalState, RecoverError, recover},
    loader::LoadError,
    source::SourceEnd,
};
use crate::{
    domain::to_hex,
    ports::{Clock, SystemClock},
};

/// Writes the last record of a run, once nothing is in flight. It says that every line has ended, or after which line
/// no call was made. Without it, all marked lines may have been called. Returns whether every line has ended.
///
/// `started_before` is [`OpenedSweep::started_before`](super::OpenedSweep::started_before).
pub async fn close(
    journal: &Journal,
    counters: &SweepCounters,
    end: Option<&SourceEnd>,
    started_before: u64,
) -> bool {
    // Only the journal may know the outcome of those lines, so its mark must stay.
    let counts = counters.counts();
    if counts.unsettled > 0 {
        return false;
    }
    let record = match end {
        Some(SourceEnd::Complete) => JournalRecord::Finished(SystemClock.now()),
        // Every line that was given out has an entry. Lines up to the former mark may be in doubt from an
        // earlier run.
        Some(SourceEnd::Stopped | SourceEnd::Failed(LoadError::Input(_))) => {
            JournalRecord::Started(counts.started.max(started_before))
        }
        Some(SourceEnd::Failed(LoadError::Journal(_))) | None => return false,
    };
    let finished = matches!(record, JournalRecord::Finished(_));
    journal.write(&[record]).await.is_ok() && finished
}

/// A journal as it is on disk.
#[derive(Debug)]
pub struct ReadBack {
    pub state: JournalState,
    /// The SHA-256 of the file, in hex.
    pub sha256: String,
}

/// Reads the journal from its file, so that the report shows the state on disk.
pub fn read_back(journal: &Path) -> Result<ReadBack, RecoverError> {
    let mut file = HashedFile { file: File::open(journal)?, digest: Sha256::new() };
    let recovered = recover(BufReader::with_capacity(READ_BYTES, &mut file))?;
    // The first line was on disk before anything else.
    let state = recovered.state.ok_or(RecoverError::Damaged { line: 1 })?;
    Ok(ReadBack { state, sha256: to_hex(&file.digest.finalize()) })
}

/// The bytes that are read at once.
const READ_BYTES: usize = 64 * 1024;

/// Hashes what is read, so that the hash is that of the bytes that the report is made from.
struct HashedFile {
    file: File,
    digest: Sha256,
}

impl Read for HashedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.digest.update(&buffer[..read]);
        Ok(read)
    }
}
