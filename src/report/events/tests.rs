use serde_json::{Value, json};

use super::{
    EventKind::{Counted, Outside},
    *,
};

fn event(job: &str, outcome: &str, time: &str) -> Value {
    json!({
        "specversion": "1.0", "id": format!("{job}-{outcome}"), "source": "revoker/revocations",
        "type": "revoker.job.settled.v1", "time": time, "datacontenttype": "application/json",
        "data": {
            "job_id": job, "fingerprint": "ba7816bf8f01", "lane": "bulk", "outcome": outcome,
            "attempts": 1, "settled_at": time, "profile": "alignet",
            "endpoint": "https://auth.example", "proof": "said",
        },
    })
}

fn dead(job: &str, reason: &str, time: &str) -> Value {
    let mut event = event(job, "dead_lettered", time);
    event["data"]["reason"] = reason.into();
    event
}

fn add(book: &mut EventBook, event: &Value) -> EventKind {
    book.add(event.to_string().as_bytes())
}

fn counts(events: &[Value]) -> EndCounts {
    let mut book = EventBook::default();
    for event in events {
        assert_eq!(add(&mut book, event), Counted, "{event}");
    }
    book.jobs().0
}

const EARLY: &str = "2026-03-01T12:00:00.5Z";
const LATE: &str = "2026-03-01T13:00:00Z";

/// A worker that is killed between event and ack writes the event again.
#[test]
fn a_repeated_event_counts_once() {
    let once = event("a", "revoked", EARLY);
    let counts = counts(&[once.clone(), once.clone(), event("b", "revoked", EARLY), once]);
    assert_eq!(counts.all(), 2);
    assert_eq!(counts.ended(Completion::Revoked), 2);
}

/// A dead letter that was replayed and then revoked is revoked, in whichever order the events come.
#[test]
fn the_latest_outcome_of_a_job_counts() {
    let dead = dead("a", "unknown_client", EARLY);
    let revoked = event("a", "revoked", LATE);
    for events in [[dead.clone(), revoked.clone()], [revoked.clone(), dead]] {
        let counts = counts(&events);
        assert_eq!((counts.all(), counts.proved()), (1, 1), "{events:?}");
    }
    let again = self::dead("a", "still_active", "2026-03-01T14:00:00Z");
    let counts = counts(&[revoked, again]);
    assert_eq!(counts.failed_for(Reason::StillActive), 1);
}

/// A job that is delivered again after its proof, or a second job with the same token, may end in any way. A revoked token
/// stays dead, unless it was found active.
#[test]
fn a_later_end_replaces_no_proof_in_any_order() {
    let revoked = event("a", "revoked", "2026-03-01T12:10:00Z");
    let mut others = vec![event("a", "duplicate", LATE), event("a", "expired", LATE)];
    others.push(event("a", "presumed_revoked", EARLY));
    others.extend(
        ["rejected", "unknown_client", "exhausted", "gone"].map(|why| dead("a", why, LATE)),
    );
    for end in [&revoked, &others[0]] {
        let mut events = others.clone();
        events.push(end.clone());
        for _ in 0..events.len() {
            events.rotate_left(1);
            let counts = counts(&events);
            assert_eq!((counts.all(), counts.proved()), (1, 1), "{events:?}");
        }
    }
    assert_eq!(counts(&[others, vec![revoked.clone()]].concat()).ended(Completion::Revoked), 1);

    let rejected = dead("a", "rejected", EARLY);
    let duplicate = event("a", "duplicate", LATE);
    assert_eq!(counts(&[rejected, duplicate]).proved_by(Proof::Earlier), 1);
    let active = dead("a", "still_active", LATE);
    let again = event("a", "revoked", "2026-03-01T14:00:00Z");
    let proved_again = counts(&[again, active.clone(), revoked.clone()]);
    assert_eq!(proved_again.ended(Completion::Revoked), 1, "it was active only before");
    for events in [[revoked.clone(), active.clone()], [active, revoked]] {
        assert_eq!(counts(&events).failed_for(Reason::StillActive), 1, "{events:?}");
    }
}

/// The operator configures the default client, and replays the dead letters of jobs that named none.
#[test]
fn a_job_that_names_its_client_later_is_the_same_job() {
    let mut named = event("a", "revoked", LATE);
    named["data"]["client_id"] = "shop".into();
    let unnamed = dead("a", "unknown_client", EARLY);
    for events in [[named.clone(), unnamed.clone()], [unnamed, named]] {
        let counts = counts(&events);
        assert_eq!((counts.all(), counts.proved()), (1, 1), "{events:?}");
    }
}

#[test]
fn jobs_are_distinguished_by_id_token_and_client_and_without_a_token_by_the_event() {
    let mut first = event("a", "revoked", EARLY);
    first["data"]["client_id"] = "shop".into();
    for (field, other) in [("fingerprint", "000000000000"), ("client_id", "other")] {
        let mut different = first.clone();
        different["data"][field] = other.into();
        assert_eq!(counts(&[first.clone(), different]).all(), 2, "{field}");
    }

    let nameless = |id: &str| {
        let mut event = event(id, "revoked", EARLY);
        let data = event["data"].as_object_mut().unwrap();
        data["job_id"] = "used twice".into();
        data.remove("fingerprint");
        event
    };
    assert_eq!(counts(&[nameless("a"), nameless("b"), nameless("a")]).all(), 2);
}

#[test]
fn only_events_within_the_span_count() {
    let mut book = EventBook::new(parse_rfc3339(EARLY), parse_rfc3339(LATE));
    let kinds = ["2026-03-01T12:00:00.499Z", EARLY, LATE, "2026-03-01T13:00:00.001Z"]
        .map(|time| add(&mut book, &event(time, "revoked", time)));
    assert_eq!(kinds, [Outside, Counted, Counted, Outside]);
    assert_eq!(book.jobs().0.all(), 2);
}

/// The lines of `log.successes` have the same fields, between other lines.
#[test]
fn log_lines_are_read_too() {
    let mut line = event("a", "revoked", LATE)["data"].clone();
    line["level"] = "INFO".into();
    line["message"] = "job ended".into();
    let mut book = EventBook::default();
    assert_eq!(add(&mut book, &line), Counted);
    assert_eq!(add(&mut book, &event("a", "revoked", LATE)), Counted);
    assert_eq!(add(&mut book, &json!({"level": "INFO", "message": "started"})), EventKind::Other);
    assert_eq!(book.jobs().0.all(), 1);
}

#[test]
fn what_is_no_event_is_counted_apart() {
    let mut unknown = event("a", "vanished", LATE);
    let mut book = EventBook::default();
    assert_eq!(add(&mut book, &unknown), EventKind::Unreadable);
    unknown["type"] = "com.example.other".into();
    assert_eq!(add(&mut book, &unknown), EventKind::Other);
    for text in ["", "{", "[]", "null", "7", r#"{"type":"revoker.job.settled.v1","id":"x"}"#] {
        assert_eq!(book.add(text.as_bytes()), EventKind::Unreadable, "{text}");
    }
    let no_reason = event("a", "dead_lettered", LATE);
    assert_eq!(add(&mut book, &no_reason), EventKind::Unreadable);
    assert_eq!(add(&mut book, &event("a", "revoked", "yesterday")), EventKind::Unreadable);
    assert_eq!(book.jobs().0.all(), 0);
}

/// A forged event claims a proof that its outcome does not give.
#[test]
fn a_proof_follows_from_the_outcome() {
    let mut acknowledged = event("a", "acknowledged", LATE);
    acknowledged["data"]["proof"] = "verified".into();
    let mut verified = event("b", "revoked", LATE);
    verified["data"]["proof"] = "verified".into();
    let counts = counts(&[acknowledged, verified]);
    assert_eq!((counts.proved(), counts.proved_by(Proof::Nothing)), (1, 1));
    assert_eq!(counts.proved_by(Proof::Verified), 1);
}

/// Free texts of a producer are not kept. Of an endpoint only the origin is, and of profiles only names.
#[test]
fn foreign_texts_are_not_kept() {
    let mut book = EventBook::default();
    let mut odd = event("a", "revoked", LATE);
    odd["data"]["endpoint"] = "https://user:secret@auth.example/path?token=t".into();
    odd["data"]["profile"] = "<b>".into();
    add(&mut book, &odd);
    for n in 0..20 {
        let mut many = event("a", "revoked", LATE);
        many["data"]["profile"] = format!("profile-{n}").into();
        many["data"]["endpoint"] = "javascript:alert(1)".into();
        add(&mut book, &many);
    }
    assert_eq!(book.endpoints.iter().collect::<Vec<_>>(), ["https://auth.example"]);
    assert_eq!(book.profiles.len(), MOST_NAMES);
    assert!(book.profiles.iter().all(|name| name.starts_with("profile-")));
}
