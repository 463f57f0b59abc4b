//! What an operator asks the worker: metrics and probes.
