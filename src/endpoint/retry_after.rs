//! The header `Retry-After`: RFC 9110, section 10.2.3.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, header::RETRY_AFTER};

/// The wait that `headers` ask for at `now`: seconds, or a date. A date in the past means no wait. An invalid
/// value is ignored. The caller clamps the result.
pub(super) fn read(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    headers.get_all(RETRY_AFTER).iter().find_map(|value| wait(value, now))
}

fn wait(value: &HeaderValue, now: SystemTime) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that does not fit is a very long wait.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_obeyed_and_nonsense_is_ignored() {
        // The example date of RFC 9110, section 5.6.7, is 784111777 in Unix seconds.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 90);
        let cases: &[(&[&str], Option<u64>)] = &[
            (&["0"], Some(0)),
            (&["120"], Some(120)),
            (&[" 7 "], Some(7)),
            (&["99999999999999999999999"], Some(u64::MAX)),
            (&["Sun, 06 Nov 1994 08:49:37 GMT"], Some(90)),
            (&["Sunday, 06-Nov-94 08:49:37 GMT"], Some(90)),
            (&["Sun Nov  6 08:49:37 1994"], Some(90)),
            (&["Sun, 06 Nov 1983 08:49:37 GMT"], Some(0)),
            (&["soon", "3"], Some(3)),
            (&[], None),
            (&[""], None),
            (&["-1"], None),
            (&["+1"], None),
            (&["1.5"], None),
            (&["1e3"], None),
            (&["ten"], None),
            (&["Sun, 99 Nov 1994 08:49:37 GMT"], None),
        ];
        for (values, expected) in cases {
            let mut headers = HeaderMap::new();
            for value in *values {
                headers.append(RETRY_AFTER, HeaderValue::from_str(value).unwrap());
            }
            assert_eq!(read(&headers, now), expected.map(Duration::from_secs), "{values:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_ignored() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_bytes(b"\xff\xfe").unwrap());
        assert_eq!(read(&headers, SystemTime::UNIX_EPOCH), None);
    }
}
