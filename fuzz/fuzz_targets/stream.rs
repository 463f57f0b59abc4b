//! Fuzzes arbitrary bytes as the bytes of a broker.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| revoker::fuzzing::stream(bytes));
