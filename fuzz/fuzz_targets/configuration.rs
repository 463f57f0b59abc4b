//! Fuzzes arbitrary bytes as a configuration.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| revoker::fuzzing::configuration(bytes));
