//! The two lanes: interactive logouts and bulk sweeps.

use std::fmt;

/// A lane: separate queues, one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// Logouts: a person waits for the effect.
    Interactive,
    /// Sweeps: many tokens, and no person waits for a single one.
    Bulk,
}

impl Lane {
    /// Both lanes, the favoured one first.
    pub const ALL: [Self; 2] = [Self::Interactive, Self::Bulk];

    /// The other lane.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Interactive => Self::Bulk,
            Self::Bulk => Self::Interactive,
        }
    }

    /// The lane's name in metrics, headers and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Bulk => "bulk",
        }
    }

    /// The lane with this name, as [`Lane::as_str`] spells it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.as_str() == name)
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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
