//! Each fault of a file, with its line.

use super::*;

const SOUND: &str = r#"name = "made-up"
repeat = "gone"
proof = "said"
[request]
method = "POST"
url = "https://auth.example/revoke"
path = ["clients", "$client_id"]
body = "form"
auth = "basic"
headers = { Accept = "application/json" }
[request.fields]
token = "$token"
[[answer]]
status = [200]
body = ["empty"]
is = "revoked"
[[answer]]
status = [400]
json = { "/error" = ["invalid_token"] }
is = "gone"
code = "/error"
"#;

fn faults(text: &str) -> Vec<String> {
    let faults = Profile::parse(text).err().unwrap_or_default();
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn each_fault_is_named_with_its_line() {
    assert_eq!(faults(SOUND), Vec::<String>::new());
    let cases: &[(&str, &str, usize, &str)] = &[
        ("name = \"made-up\"", "name = \"Made Up\"", 1, "the name"),
        ("repeat = \"gone\"", "repeat = \"gone\"\ntoken_max = 0", 3, "not from 1"),
        ("repeat = \"gone\"", "repeat = \"never\"", 2, "unknown variant"),
        ("repeat = \"gone\"", "repeat = \"gone\"\nretries = 3", 3, "unknown field"),
        ("proof = \"said\"", "proof = \"accepted\"", 3, "no rule is \"accepted\""),
        ("proof = \"said\"", "proof = \"acknowledged\"", 3, "proves less"),
        ("example/revoke\"", "example/$token\"", 6, "a placeholder in the URL"),
        ("https://auth.example", "http://auth.example", 6, "the URL is not https"),
        ("https://auth.example", "https://user@auth.example", 6, "the URL is not https"),
        ("\"$client_id\"]", "\"$token\"]", 7, "a token or a secret in the path"),
        ("\"$client_id\"]", "\"$client_secret\"]", 7, "a token or a secret in the path"),
        ("\"$client_id\"]", "\"a/b\"]", 7, "each entry is one segment"),
        ("\"$client_id\"]", "\"..\"]", 7, "each entry is one segment"),
        ("\"$client_id\"]", "\"x-$client_id\"]", 7, "a placeholder is a whole value"),
        ("application/json\" }", "$token\" }", 10, "a placeholder in a header"),
        ("application/json\" }", "a\\r\\nX: y\" }", 10, "a line end"),
        ("headers = { Accept", "headers = { Authorization", 10, "is set by the worker"),
        ("token = \"$token\"", "token = \"Bearer $token\"", 12, "a placeholder is a whole value"),
        ("token = \"$token\"", "token = \"$tokn\"", 12, "a placeholder is a whole value"),
        ("token = \"$token\"", "token = \"x\"", 4, "the token must be the value of one field"),
        ("token = \"$token\"", "token = \"$token\"\ns = \"$client_secret\"", 13, "not \"fields\""),
        ("body = \"form\"", "body = \"none\"", 8, "there can be no fields"),
        ("auth = \"basic\"", "auth = \"fields\"", 9, "no field is \"$client_secret\""),
        ("auth = \"basic\"", "auth = \"basic\"\ntoken_type_hint = \"x\"", 10, "needs a field"),
        (
            "status = [200]\nbody = [\"empty\"]",
            "status = [200]",
            15,
            "a status alone settles no job",
        ),
        ("status = [200]", "status = \"any\"", 16, "a success needs a status of 2xx"),
        ("status = [200]", "status = [200, 404]", 16, "a success needs a status of 2xx"),
        ("status = [200]", "status = [503]", 14, "no profile decides"),
        ("status = [200]", "status = \"3xx\"", 14, "no profile decides"),
        ("status = [200]", "status = [99]", 14, "no status"),
        ("status = [200]", "status = []", 14, "no status"),
        (
            "json = { \"/error\" = [\"invalid_token\"] }\nis = \"gone\"\ncode = \"/error\"",
            "is = \"gone\"",
            19,
            "a status alone condemns no job",
        ),
        (
            "\"/error\" = [\"invalid_token\"]",
            "\"error\" = [\"invalid_token\"]",
            19,
            "no JSON pointer",
        ),
        ("\"/error\" = [\"invalid_token\"]", "\"/error\" = []", 19, "no condition"),
        ("\"/error\" = [\"invalid_token\"]", "\"/error\" = [1.5]", 19, "no condition"),
        ("\"/error\" = [\"invalid_token\"]", "\"/error\" = \"there\"", 19, "no condition"),
        ("code = \"/error\"", "code = \"/error/code\"", 21, "leads through the place"),
        ("is = \"revoked\"", "is = \"revoked\"\ncode = \"/error\"", 17, "is kept of"),
        ("status = [400]\njson", "status = [400]\nbody = [\"empty\"]\njson", 19, "can never fit"),
    ];
    for (sound, faulty, line, what) in cases {
        assert!(SOUND.contains(sound), "{sound}");
        let found = faults(&SOUND.replacen(sound, faulty, 1));
        let expected = format!("line {line}: ");
        let is_named =
            found.iter().any(|fault| fault.starts_with(&expected) && fault.contains(what));
        assert!(is_named, "{faulty}: {found:?} has no {expected}{what}");
    }
}

#[test]
fn several_faults_are_named_at_once_and_in_order() {
    let text = SOUND.replace("[200]", "[503]").replace("\"$client_id\"", "\"\"");
    let found = faults(&text);
    let lines: Vec<_> = found.iter().map(|fault| fault.split(':').next().unwrap()).collect();
    assert_eq!(lines, ["line 7", "line 14", "line 16"]);
}

#[test]
fn a_guard_lets_a_status_condemn() {
    let text = SOUND
        .replace("repeat = \"gone\"", "repeat = \"gone\"\nafter_rejections = 20")
        .replace("json = { \"/error\" = [\"invalid_token\"] }\n", "");
    assert_eq!(faults(&text), Vec::<String>::new());
}
