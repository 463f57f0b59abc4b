//! Whatever bytes as what a broker sends.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| revoker::fuzzing::stream(bytes));
