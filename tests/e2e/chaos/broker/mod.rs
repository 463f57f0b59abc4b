//! The broker goes away, changes its mind, or runs out of something.

mod sessions;
