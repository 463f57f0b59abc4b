//! The published schema of a job and the reader of jobs agree.

use super::*;
use crate::domain::{
    published_schema::{fields_of, job, job_cases, keys},
    unix_time::PLAUSIBLE_SECONDS,
};

/// Reads tokens of the longest kind that a profile allows.
fn parse(job: &Value, token_max: usize) -> Result<Job, InvalidJob> {
    Job::parse(job.to_string().as_bytes(), &JobDefaults { token_max, ..defaults() })
}

fn token_max() -> usize {
    let most = job()["properties"]["refresh_token"]["maxLength"].as_u64().unwrap();
    usize::try_from(most).unwrap()
}

#[test]
fn the_schema_has_the_fields_of_a_job() {
    assert_eq!(keys(&job(), "/properties"), fields_of::<BodyFields>());
    assert_eq!(job()["required"], serde_json::json!(["refresh_token"]));
}

#[test]
fn the_schema_has_the_limits_of_a_job() {
    let schema = job();
    let number = |pointer: &str| schema.pointer(pointer).unwrap().as_u64().unwrap();
    for (field, least) in [("username", 0), ("client_id", 1)] {
        let most = usize::try_from(number(&format!("/properties/{field}/maxLength"))).unwrap();
        assert_eq!(most, MAX_TEXT_CHARS, "{field}");
        let stated = schema["properties"][field]["minLength"].as_u64().unwrap_or(0);
        assert_eq!(stated, least, "{field}");
    }
    assert_eq!(number("/properties/refresh_token/minLength"), 1);
    assert_eq!(number("/properties/expires_at/minimum"), *PLAUSIBLE_SECONDS.start());
    let end = number("/properties/expires_at/exclusiveMaximum");
    assert_eq!(end - 1, *PLAUSIBLE_SECONDS.end());
}

/// `scripts/check-schemas` validates the same jobs with the schema.
#[test]
fn the_worker_accepts_and_refuses_the_jobs_that_the_schema_does() {
    let cases = job_cases();
    for (list, accepted) in [("accepted", true), ("refused", false)] {
        let cases = cases[list].as_array().unwrap();
        assert!(!cases.is_empty());
        for case in cases {
            assert_eq!(parse(case, token_max()).is_ok(), accepted, "{case}");
        }
    }
    for example in job()["examples"].as_array().unwrap() {
        assert!(parse(example, MAX_TEXT_CHARS).is_ok(), "{example}");
    }
}

/// Each field of the schema has a case that is refused for it alone, so that no rule is only in the schema.
#[test]
fn each_checked_field_has_a_refused_case() {
    let cases = job_cases();
    let refused = cases["refused"].as_array().unwrap();
    for field in keys(&job(), "/properties") {
        let is_of = |case: &&Value| {
            let Some(mut others) = case.as_object().cloned() else { return false };
            let had = others.remove(&field).is_some();
            let others = Value::Object(others);
            had && (field == "refresh_token" || parse(&others, token_max()).is_ok())
        };
        let found = refused.iter().find(is_of).is_some();
        assert_eq!(found, field != "client_secret", "{field}");
    }
}
