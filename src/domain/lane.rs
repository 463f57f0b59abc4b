//! The two lanes: interactive logouts and bulk sweeps.

use super::named::named;

named! {
    /// A lane: separate queues, one endpoint.
    pub enum Lane {
        /// Logouts: a person waits for the effect.
        Interactive = "interactive",
        /// Sweeps: many tokens, and no person waits for a single one.
        Bulk = "bulk",
    }
}

impl Lane {
    /// The other lane.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Interactive => Self::Bulk,
            Self::Bulk => Self::Interactive,
        }
    }
}

/// One value for each lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PerLane<T> {
    /// The value of [`Lane::Interactive`].
    pub interactive: T,
    /// The value of [`Lane::Bulk`].
    pub bulk: T,
}

impl<T> PerLane<T> {
    /// Calls `make` for each lane.
    pub fn from_fn(mut make: impl FnMut(Lane) -> T) -> Self {
        Self { interactive: make(Lane::Interactive), bulk: make(Lane::Bulk) }
    }

    /// The value of `lane`.
    pub const fn get(&self, lane: Lane) -> &T {
        match lane {
            Lane::Interactive => &self.interactive,
            Lane::Bulk => &self.bulk,
        }
    }

    /// The value of `lane`, mutable.
    pub const fn get_mut(&mut self, lane: Lane) -> &mut T {
        match lane {
            Lane::Interactive => &mut self.interactive,
            Lane::Bulk => &mut self.bulk,
        }
    }
}
