//! The one source of jitter.

/// A number from 0 to 1, evenly distributed. A test that needs the same numbers each time calls
/// `fastrand::seed` on its thread.
#[must_use]
pub fn jitter() -> f64 {
    fastrand::f64()
}
