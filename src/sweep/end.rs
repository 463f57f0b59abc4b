//! The last words of a run in its journal, and what the journal says then.

use std::{fs::File, io::BufReader, path::Path};

use super::{
    journal::{Journal, Past, Record, RecoverError, recover},
    loader::LoadError,
    source::End,
    tally::Tally,
};
use crate::ports::{Clock, SystemClock};

/// Says in the journal what is certain now that nothing is in flight any more: that every line has ended,
/// or else beyond which line none was called. Without it the lines that were marked and never called
/// would be in doubt. Returns whether every line has ended.
///
/// `started_before` is [`Begun::started_before`](super::Begun::started_before).
pub async fn close(
    journal: &Journal,
    tally: &Tally,
    end: Option<&End>,
    started_before: u64,
) -> bool {
    // What became of those lines is known to the journal at best: the mark stays where it is.
    if tally.unsettled() > 0 {
        return false;
    }
    let record = match end {
        Some(End::Complete) => Record::Finished(SystemClock.now()),
        // Every line that was given out has an entry. Those up to the former mark may be in doubt from
        // a run before.
        Some(End::Stopped | End::Failed(LoadError::Input(_))) => {
            Record::Started(tally.taken_up_to().max(started_before))
        }
        Some(End::Failed(LoadError::Journal(_))) | None => return false,
    };
    let finished = matches!(record, Record::Finished(_));
    journal.write(&[record]).await.is_ok() && finished
}

/// What the journal says, read back from its file: the end of a sweep is told by what is on disk.
///
/// # Errors
///
/// [`RecoverError`].
pub fn read_back(journal: &Path) -> Result<Past, RecoverError> {
    // Its first line was on disk before anything else.
    recover(BufReader::new(File::open(journal)?))?.past.ok_or(RecoverError::Damaged { line: 1 })
}
