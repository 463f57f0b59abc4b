//! Fuzzes arbitrary bytes as an endpoint profile and an answer that it judges.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| revoker::fuzzing::profile_answer(bytes));
