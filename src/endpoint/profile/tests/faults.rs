//! Tests of each fault of a file, with its line.

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

const DEEP: &str = "\"/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17\" = [\"invalid_token\"]";

fn faults(text: &str) -> Vec<String> {
    let faults = Profile::parse(text).err().unwrap_or_default();
    faults.iter().map(ToString::to_string).collect()
}

/// A text of the valid file, its replacement, the line of the fault, and a part of the fault's text.
const CASES: &[(&str, &str, usize, &str)] = &[
    ("name = \"made-up\"", "name = \"Made Up\"", 1, "the name must be 1 to 40"),
    (
        "repeat = \"gone\"",
        "repeat = \"gone\"\ntoken_max = 0",
        3,
        "token_max must be a whole number from 1 to 32768",
    ),
    ("repeat = \"gone\"", "repeat = \"never\"", 2, "repeat must be one of \"revoked\", \"gone\""),
    (
        "repeat = \"gone\"",
        "repeat = \"gone\"\nretries = 3",
        3,
        "retries is no key of this table: use name, ",
    ),
    ("proof = \"said\"", "proof = \"accepted\"", 3, "no rule is \"accepted\""),
    ("proof = \"said\"", "proof = \"acknowledged\"", 3, "claims more"),
    ("example/revoke\"", "example/$token\"", 6, "a placeholder stands in the URL"),
    ("https://auth.example", "http://auth.example", 6, "the URL is not https"),
    ("https://auth.example", "https://user@auth.example", 6, "the URL is not https"),
    ("\"$client_id\"]", "\"$token\"]", 7, "a token or a secret stands in the path"),
    ("\"$client_id\"]", "\"$client_secret\"]", 7, "a token or a secret stands in the path"),
    ("\"$client_id\"]", "\"a/b\"]", 7, "write each segment as an entry"),
    ("\"$client_id\"]", "\"..\"]", 7, "write each segment as an entry"),
    ("\"$client_id\"]", "\"x-$client_id\"]", 7, "a placeholder is a whole value"),
    ("application/json\" }", "$token\" }", 10, "a placeholder stands in a header"),
    ("application/json\" }", "a\\r\\nX: y\" }", 10, "a line end"),
    (
        "headers = { Accept",
        "headers = { Authorization",
        10,
        "the worker sets the header authorization itself",
    ),
    ("token = \"$token\"", "token = \"Bearer $token\"", 12, "a placeholder is a whole value"),
    ("token = \"$token\"", "token = \"$tokn\"", 12, "a placeholder is a whole value"),
    ("token = \"$token\"", "token = \"x\"", 4, "the token must be the value of one field"),
    ("token = \"$token\"", "token = \"$token\"\ns = \"$client_secret\"", 13, "not \"fields\""),
    ("body = \"form\"", "body = \"none\"", 8, "remove the fields"),
    ("auth = \"basic\"", "auth = \"fields\"", 9, "no field is \"$client_secret\""),
    (
        "auth = \"basic\"",
        "auth = \"basic\"\ntoken_type_hint = \"x\"",
        10,
        "no field takes the hint",
    ),
    ("status = [200]\nbody = [\"empty\"]", "status = [200]", 15, "a status alone settles no job"),
    ("status = [200]", "status = \"any\"", 16, "a success needs a status of 2xx"),
    ("status = [200]", "status = [200, 404]", 16, "a success needs a status of 2xx"),
    ("status = [200]", "status = [503]", 14, "no profile decides"),
    ("status = [200]", "status = \"3xx\"", 14, "no profile decides"),
    ("status = [200]", "status = [99]", 14, "status must be a list of codes"),
    ("status = [200]", "status = []", 14, "status must be a list of codes"),
    (
        "json = { \"/error\" = [\"invalid_token\"] }\nis = \"gone\"\ncode = \"/error\"",
        "is = \"gone\"",
        19,
        "a status alone rejects no job",
    ),
    ("\"/error\" = [\"invalid_token\"]", "\"error\" = [\"invalid_token\"]", 19, "no JSON pointer"),
    ("\"/error\" = [\"invalid_token\"]", "\"/error\" = []", 19, "no condition"),
    ("\"/error\" = [\"invalid_token\"]", "\"/error\" = [1.5]", 19, "no condition"),
    ("\"/error\" = [\"invalid_token\"]", "\"/error\" = \"there\"", 19, "no condition"),
    ("code = \"/error\"", "code = \"/error/code\"", 21, "leads through the place"),
    ("is = \"revoked\"", "is = \"revoked\"\ncode = \"/error\"", 17, "keep a code"),
    ("status = [400]\njson", "status = [400]\nbody = [\"empty\"]\njson", 19, "can never fit"),
    ("name = \"made-up\"", "", 1, "name is missing: add it"),
    ("method = \"POST\"", "", 4, "method is missing: add it"),
    ("method = \"POST\"", "method = \"GET\"", 5, "method must be \"POST\" or \"DELETE\""),
    ("is = \"revoked\"", "", 13, "is is missing: add it"),
    ("is = \"revoked\"", "is = \"dead\"", 16, "is must be one of \"revoked\""),
    ("body = [\"empty\"]", "body = \"empty\"", 15, "body must be a list with one of \"empty\""),
    ("path = [\"clients\", \"$client_id\"]", "path = \"/revoke\"", 7, "path must be a list"),
    ("token = \"$token\"", "token = 7", 12, "a field must be a text"),
    ("headers = { Accept = ", "headers = { Accept-Encoding = ", 10, "the worker sets the header"),
    ("headers = { Accept", "headers = { accept = \"a\", Accept", 10, "stands twice"),
    ("repeat = \"gone\"", "repeat = \"gone\"\nafter_rejections = 1001", 3, "from 1 to 1000"),
    ("\"/error\" = [\"invalid_token\"]", DEEP, 19, "with up to 16 keys"),
];

#[test]
fn each_fault_is_named_with_its_line() {
    assert_eq!(faults(SOUND), Vec::<String>::new());
    for (sound, faulty, line, what) in CASES {
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
    let text = SOUND
        .replace("[200]", "[503]")
        .replace("\"$client_id\"", "\"\"")
        .replace("method = ", "methd = ")
        .replace("\"said\"", "\"sure\"");
    let found = faults(&text);
    let lines: Vec<_> = found.iter().map(|fault| fault.split(':').next().unwrap()).collect();
    assert_eq!(lines, ["line 3", "line 4", "line 5", "line 7", "line 14"], "{found:?}");
}

#[test]
fn a_file_that_is_no_toml_is_told_each_line_that_is_wrong() {
    let found = faults("name = \nrepeat = \"gone\"\nproof = said\n");
    let lines: Vec<_> = found.iter().map(|fault| fault.split(" (").next().unwrap()).collect();
    assert_eq!(lines, ["line 1: this is not valid TOML", "line 3: this is not valid TOML"]);
    assert!(found.iter().all(|fault| fault.ends_with(": correct the line")), "{found:?}");
}

#[test]
fn a_profile_of_ones_own_has_a_name_of_its_own_and_may_be_of_windows() {
    let (_, file) = BUILTIN[1];
    let fault = Profile::parse_own(file).unwrap_err().remove(0);
    assert!(fault.what.starts_with("the name is of a built-in profile"), "{fault}");
    let windows = format!("\u{feff}{}", SOUND.replace('\n', "\r\n"));
    assert_eq!(Profile::parse_own(&windows).unwrap().token_max, 8192);
}

/// The tree of places is walked by recursion, so the depth of a pointer is bounded.
#[test]
fn a_pointer_of_a_hundred_thousand_keys_is_a_fault() {
    let deep = format!("\"{}\" = [\"x\"]", "/a".repeat(100_000));
    let found = faults(&SOUND.replace("\"/error\" = [\"invalid_token\"]", &deep));
    assert!(found.iter().any(|fault| fault.contains("no JSON pointer")), "{found:?}");
}

#[test]
fn a_guard_lets_a_status_condemn() {
    let text = SOUND
        .replace("repeat = \"gone\"", "repeat = \"gone\"\nafter_rejections = 20")
        .replace("json = { \"/error\" = [\"invalid_token\"] }\n", "");
    assert_eq!(faults(&text), Vec::<String>::new());
}
