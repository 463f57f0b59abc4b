//! Fuzzes arbitrary bytes as the properties of a message.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| revoker::fuzzing::headers(bytes));
