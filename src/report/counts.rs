//! The counts of ended jobs, by outcome and by what proves it.

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use crate::domain::{Completion, Proof, Reason};

/// The end of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Done(Completion),
    /// It is revoked, and a check found the token dead.
    Verified,
    /// An earlier line of the file asks for the same job, and its outcome is that of this line.
    Repeated,
    Failed(Reason),
}

impl End {
    /// What proves that the token is dead; `None` for a repeated line.
    pub const fn proof(self) -> Option<Proof> {
        match self {
            Self::Done(completion) => Some(Proof::of_completion(completion, false)),
            Self::Verified => Some(Proof::Verified),
            Self::Repeated => None,
            Self::Failed(_) => Some(Proof::Nothing),
        }
    }
}

/// The number of jobs by their end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndCounts {
    ended: [u64; Completion::ALL.len()],
    /// These are among the revoked ones too.
    verified: u64,
    repeated: u64,
    failed: [u64; Reason::ALL.len()],
}

impl EndCounts {
    pub fn add(&mut self, end: End) {
        self.change(end, |count| count + 1);
    }

    /// Takes back the count of a job that is tried again.
    pub fn take_back(&mut self, end: End) {
        self.change(end, |count| count.saturating_sub(1));
    }

    pub const fn ended(&self, ending: Completion) -> u64 {
        self.ended[ending as usize]
    }

    pub const fn repeated(&self) -> u64 {
        self.repeated
    }

    pub const fn failed_for(&self, reason: Reason) -> u64 {
        self.failed[reason as usize]
    }

    pub fn failed(&self) -> u64 {
        self.failed.iter().sum()
    }

    /// The number of jobs that have ended.
    pub fn all(&self) -> u64 {
        self.jobs() + self.repeated
    }

    /// The same without repeated lines, whose outcome is that of another line.
    pub fn jobs(&self) -> u64 {
        self.ended.iter().sum::<u64>() + self.failed()
    }

    /// The number of jobs whose end is proved by this.
    pub fn proved_by(&self, proof: Proof) -> u64 {
        let done = |completion: &Completion| Proof::of_completion(*completion, false) == proof;
        let done = Completion::ALL.iter().filter(|completion| done(completion));
        let done: u64 = done.map(|completion| self.ended(*completion)).sum();
        match proof {
            Proof::Said => done.saturating_sub(self.verified),
            Proof::Verified => self.verified,
            Proof::Nothing => done + self.failed(),
            Proof::Earlier | Proof::Presumed | Proof::Producer => done,
        }
    }

    /// The number of jobs whose token is proved dead.
    pub fn proved(&self) -> u64 {
        let proofs = Proof::ALL.into_iter().filter(|proof| proof.is_of_the_endpoint());
        proofs.map(|proof| self.proved_by(proof)).sum()
    }

    fn change(&mut self, end: End, change: impl Fn(u64) -> u64) {
        let place = match end {
            End::Done(completion) => &mut self.ended[completion as usize],
            End::Verified => {
                self.verified = change(self.verified);
                &mut self.ended[Completion::Revoked as usize]
            }
            End::Repeated => &mut self.repeated,
            End::Failed(reason) => &mut self.failed[reason as usize],
        };
        *place = change(*place);
    }
}

impl Extend<End> for EndCounts {
    fn extend<I: IntoIterator<Item = End>>(&mut self, ends: I) {
        ends.into_iter().for_each(|end| self.add(end));
    }
}

impl Serialize for EndCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for ending in Completion::ALL {
            map.serialize_entry(ending.as_str(), &self.ended(ending))?;
        }
        map.serialize_entry("repeated", &self.repeated())?;
        map.serialize_entry("failed", &self.failed())?;
        for reason in Reason::ALL {
            // The dead letter of this reason would hide the count of jobs that ended so.
            if reason != Reason::Gone {
                map.serialize_entry(reason.as_str(), &self.failed_for(reason))?;
            }
        }
        map.serialize_entry("failed_gone", &self.failed_for(Reason::Gone))?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_has_one_proof_and_verified_ones_are_revoked_too() {
        let mut counts = EndCounts::default();
        counts.extend(Completion::ALL.map(End::Done));
        counts.extend(Reason::ALL.map(End::Failed));
        counts.extend([End::Verified, End::Verified, End::Repeated]);
        let by_proof: u64 = Proof::ALL.iter().map(|proof| counts.proved_by(*proof)).sum();
        assert_eq!(by_proof, counts.jobs());
        assert_eq!(counts.all(), counts.jobs() + 1);
        assert_eq!(counts.ended(Completion::Revoked), 3);
        // Revoked and gone; two verified; one duplicate.
        assert_eq!(counts.proved_by(Proof::Said), 2);
        assert_eq!(counts.proved_by(Proof::Verified), 2);
        assert_eq!(counts.proved(), 5);
        counts.take_back(End::Verified);
        assert_eq!((counts.proved_by(Proof::Verified), counts.ended(Completion::Revoked)), (1, 2));
    }
}
