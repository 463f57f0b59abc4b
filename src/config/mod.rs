//! Composes the settings of all parts, checks all of them, reports every fault at once.
