use proptest::prelude::*;

use super::*;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn state(value: &str) -> Option<String> {
    TraceContext::parse(PARENT, Some(value)).unwrap().tracestate().map(str::to_owned)
}

#[test]
fn a_valid_traceparent_is_passed_on_unchanged() {
    for sound in [PARENT, "00-00000000000000000000000000000001-0000000000000001-00"] {
        assert_eq!(TraceContext::parse(sound, None).unwrap().traceparent(), sound);
    }
    assert_eq!(TraceContext::parse(PARENT, None).unwrap().trace_id(), TRACE);
}

#[test]
fn a_later_version_is_read_as_far_as_this_one_goes() {
    for (later, read) in [
        ("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", PARENT),
        ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff-what=comes", PARENT),
        (
            "fe-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02-",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
        ),
    ] {
        assert_eq!(TraceContext::parse(later, None).unwrap().traceparent(), read, "{later}");
    }
}

#[test]
fn a_malformed_traceparent_is_dropped() {
    for malformed in [
        "",
        "00",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 ",
        " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "0-00af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-zz",
        "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0ñ",
    ] {
        assert_eq!(TraceContext::parse(malformed, Some("a=1")), None, "{malformed}");
    }
}

#[test]
fn a_valid_tracestate_is_passed_on_unchanged() {
    let longest = format!("a={}", "x".repeat(MAX_MEMBER_CHARS));
    let most = (0..MAX_STATE_MEMBERS).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
    for sound in [
        "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
        "fw529a3039@dt=FfAAAA , 1a-_*/=!\"#;<>~",
        "a=b c",
        ",a=1,,",
        &longest,
        &most,
    ] {
        assert_eq!(state(sound).as_deref(), Some(sound));
    }
}

#[test]
fn a_malformed_or_huge_tracestate_is_dropped_alone() {
    let long_key = format!("{}=1", "k".repeat(MAX_MEMBER_CHARS + 1));
    let long_value = format!("k={}", "v".repeat(MAX_MEMBER_CHARS + 1));
    let many = (0..=MAX_STATE_MEMBERS).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
    let huge = format!("a={0},b={0},c=1", "x".repeat(MAX_MEMBER_CHARS));
    assert!(huge.len() > MAX_STATE_CHARS);
    for malformed in [
        "",
        " , ",
        "novalue",
        "a=",
        "=1",
        "A=1",
        "_a=1",
        "a=1,a=2",
        "a=1=2",
        "a=ñ",
        "a=1\r\nx-evil: 1",
        "a=\u{7f}",
        &long_key,
        &long_value,
        &many,
        &huge,
    ] {
        assert_eq!(state(malformed), None, "{malformed:?}");
    }
}

#[test]
fn parts_that_show_a_secret_are_left_out() {
    let trace = TraceContext::parse(PARENT, Some("a=secret")).unwrap();
    let without = |secret: &str| trace.clone().without(|part| part.contains(secret));
    assert_eq!(without("else"), Some(trace.clone()));
    assert_eq!(without("secret").unwrap().tracestate(), None);
    assert_eq!(without("secret").unwrap().traceparent(), PARENT);
    let token_with_flags = |part: &str| "a token with 00 and 01".contains(part);
    assert_eq!(trace.clone().without(token_with_flags), Some(trace.clone()));
    for part in [TRACE, "b7ad6b7169203331", "319c-b7ad"] {
        assert_eq!(without(part), None, "{part}");
    }
}

proptest! {
    #[test]
    fn a_passed_on_trace_is_short_and_fits_a_header(
        parent in "(00|01|ff|\\PC{2})-[0-9a-fg]{30,33}-[0-9a-f]{15,17}-(01|\\PC{0,3})",
        state in "([a-z0-9@]{0,4}=?\\PC{0,12},?){0,40}",
    ) {
        for trace in [
            TraceContext::parse(&parent, Some(&state)),
            TraceContext::parse(PARENT, Some(&state)),
            TraceContext::parse(&state, Some(&parent)),
        ].into_iter().flatten() {
            prop_assert_eq!(trace.traceparent().len(), PARENT_CHARS);
            prop_assert_eq!(trace.trace_id().len(), TRACE.len());
            let state = trace.tracestate().unwrap_or_default();
            prop_assert!(state.len() <= MAX_STATE_CHARS);
            let values = [trace.traceparent(), state];
            prop_assert!(values.iter().all(|v| v.bytes().all(|b| matches!(b, b'\t' | b' '..=b'~'))));
            // The next reader gets the same trace.
            prop_assert_eq!(
                TraceContext::parse(trace.traceparent(), trace.tracestate()), Some(trace.clone())
            );
        }
    }
}
