//! Fuzzes arbitrary bytes as a response of the endpoint.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| revoker::fuzzing::answer(bytes));
