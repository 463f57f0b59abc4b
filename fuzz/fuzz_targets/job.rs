//! Fuzzes arbitrary bytes as the body of a job.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| revoker::fuzzing::job(bytes));
