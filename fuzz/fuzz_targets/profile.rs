//! Fuzzes arbitrary bytes as the file of an endpoint profile.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| revoker::fuzzing::profile(bytes));
