//! Dead letters and parked jobs that the broker refuses or confirms late, or whose connection is lost: each confirm
//! counts, one message stops no other, and copies are bounded.

mod abandoned;
mod copies;
mod poisoned;
mod refused;
