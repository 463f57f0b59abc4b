//! The invariants of all input from outside, with one function for each reader. The targets in `fuzz/` call them with
//! the inputs of libFuzzer. They panic if an invariant is violated.

use crate::{broker, config, domain, endpoint};

/// Reads bytes as a job's body.
pub fn job(bytes: &[u8]) {
    domain::job_invariants::hold(bytes);
}

/// Reads bytes as an answer: its status in the first line, then its headers, an empty line, the body.
pub fn answer(bytes: &[u8]) {
    endpoint::answer_invariants::hold(bytes);
}

/// Reads bytes as the file of an endpoint profile.
pub fn profile(bytes: &[u8]) {
    endpoint::profile_invariants::hold_file(bytes);
}

/// Reads bytes as a profile and, after a line `---`, an answer: its status in the first line, then the body.
pub fn profile_answer(bytes: &[u8]) {
    endpoint::profile_invariants::hold_answer(bytes);
}

/// Reads bytes as the properties of a message on the wire, after one byte that selects the context.
pub fn headers(bytes: &[u8]) {
    broker::header_invariants::hold(bytes);
}

/// Reads bytes as a broker's stream, after one byte that selects how they are split.
pub fn stream(bytes: &[u8]) {
    broker::stream_invariants::hold(bytes);
}

/// Reads bytes as a configuration: a file and, after a line `---`, the environment variables.
pub fn configuration(bytes: &[u8]) {
    config::invariants::hold(bytes);
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    type Target = fn(&[u8]);

    /// The targets by the names of their files, and of the folders with their corpus.
    const TARGETS: [(&str, Target); 7] = [
        ("job", job),
        ("answer", answer),
        ("profile", profile),
        ("profile_answer", profile_answer),
        ("headers", headers),
        ("stream", stream),
        ("configuration", configuration),
    ];

    #[test]
    fn the_corpus_holds() {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        for (name, hold) in TARGETS {
            let mut inputs = 0;
            for entry in fs::read_dir(fuzz.join("corpus").join(name)).unwrap() {
                let path = entry.unwrap().path();
                println!("{}", path.display());
                hold(&fs::read(&path).unwrap());
                inputs += 1;
            }
            assert!(inputs > 0, "{name} has no corpus");
            assert!(fuzz.join("fuzz_targets").join(name).with_extension("rs").exists(), "{name}");
        }
    }
}
