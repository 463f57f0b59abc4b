//! `revoker profile`: endpoint profiles, offline.

use std::{
    fmt::Write as _,
    io::{self, Read as _, Write as _},
    sync::Arc,
};

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    Exit,
    output::{self, OutputArgs},
    text_style::TextStyle,
};
use crate::{
    domain::{ErrorChain, Failure, Rejection, Verdict},
    endpoint::{BUILTIN, Profile, builtin, find_profile, test_profile},
};

/// The longest body that is read from standard input, in bytes. A call reads less.
const MAX_BODY_BYTES: u64 = 1024 * 1024;

/// Show, check and test endpoint profiles, without calls
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  revoker profile list
  revoker profile show rfc7009 > ours.toml
  revoker profile check ours.toml
  echo '{\"error\":\"invalid_client\"}' | revoker profile test ours.toml --status 401")]
pub(super) struct ProfileArgs {
    #[command(subcommand)]
    command: ProfileCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ProfileCommand {
    /// List the built-in profiles, and what a success of each proves
    #[command(after_help = "Example:\n  revoker profile list")]
    List {
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Print the file of a built-in profile
    #[command(after_help = "Example:\n  revoker profile show rfc7009")]
    Show {
        /// The name of a built-in profile
        name: String,

        #[command(flatten)]
        output: OutputArgs,
    },
    /// Check the file of a profile, and print every fault with its line
    #[command(after_help = "Example:\n  revoker profile check ours.toml")]
    Check {
        /// The file of the profile
        #[arg(value_name = "FILE")]
        file: String,

        #[command(flatten)]
        output: OutputArgs,
    },
    /// Print the matching rule and the verdict for an answer. Standard input is the body of the answer
    #[command(after_help = "Example:\n  revoker profile test rfc7009 --status 400 < body.json")]
    Test {
        /// A built-in profile, or a file
        #[arg(value_name = "NAME|FILE")]
        profile: String,
        /// The HTTP status of the answer
        #[arg(long, value_parser = clap::value_parser!(u16).range(100..=599))]
        status: u16,

        #[command(flatten)]
        output: OutputArgs,
    },
}

pub(super) fn run(args: &ProfileArgs) -> Exit {
    match result(&args.command) {
        Ok(text) => match output::print(&text) {
            Ok(()) => Exit::Done,
            Err(error) => refuse(&ErrorChain(&error).to_string(), Exit::Failed),
        },
        Err(fault) => refuse(&fault, Exit::Usage),
    }
}

fn result(command: &ProfileCommand) -> Result<String, String> {
    let in_form = |output: &OutputArgs, text: String, value: Value| {
        if output.is_json() { output::json(&value) } else { text }
    };
    Ok(match command {
        ProfileCommand::List { output } => {
            let all = profiles().map(|profile| facts(&profile)).collect();
            in_form(output, list(output::text_style()), all)
        }
        ProfileCommand::Show { name, output } => {
            let file = show(name)?;
            let value = toml::from_str(&file).map_err(|error| error.to_string())?;
            in_form(output, file, value)
        }
        ProfileCommand::Check { file, output } => {
            let profile = find_profile(file)?;
            in_form(output, format!("{file}: sound\n{}", summary(&profile)), facts(&profile))
        }
        ProfileCommand::Test { profile, status, output } => {
            let (text, value) = test(&*find_profile(profile)?, *status)?;
            in_form(output, text, value)
        }
    })
}

/// What a row of the list says, for scripts.
fn facts(profile: &Profile) -> Value {
    json!({
        "name": profile.name,
        "proof": profile.proof.as_str(),
        "repeat": profile.repeat.as_str(),
        "scope": profile.kills.as_str(),
        "auth": profile.auth().as_str(),
        "url": profile.url().map(url::Url::as_str),
        "token_max": profile.token_max,
    })
}

fn refuse(text: &str, exit: Exit) -> Exit {
    // A closed standard error does not change the exit code.
    drop(writeln!(io::stderr(), "{text}"));
    exit
}

fn profiles() -> impl Iterator<Item = Arc<Profile>> {
    BUILTIN.into_iter().filter_map(|(name, _)| builtin(name))
}

fn list(style: TextStyle) -> String {
    let heading = ["profile", "proof", "repeat", "scope", "auth", "url"].map(str::to_owned);
    let rows = std::iter::once(heading).chain(profiles().map(|profile| {
        let url = profile.url().map_or("endpoint.url", |url| url.as_str());
        let words = [
            profile.name.as_str(),
            profile.proof.as_str(),
            profile.repeat.as_str(),
            profile.kills.as_str(),
            profile.auth().as_str(),
            if profile.is_alignet() { "endpoint.environment" } else { url },
        ];
        words.map(str::to_owned)
    }));
    rows.fold(String::new(), |mut text, [name, proof, repeat, scope, auth, url]| {
        let row = format!("{name:<16}  {proof:<12}  {repeat:<8}  {scope:<11}  {auth:<6}  {url}");
        let row = if text.is_empty() { style.heading(&row) } else { style.row(&row) };
        // Writing to a string does not fail.
        let _ = writeln!(text, "{row}");
        text
    })
}

fn show(name: &str) -> Result<String, String> {
    let file = BUILTIN.into_iter().find(|(known, _)| *known == name).map(|(_, file)| file);
    file.map(str::to_owned)
        .ok_or_else(|| format!("{name} is no built-in profile; `revoker profile list` lists them"))
}

fn summary(profile: &Profile) -> String {
    format!(
        "name {}, proof {}, repeat {}, scope {}, auth {}, tokens up to {} characters\n",
        profile.name,
        profile.proof.as_str(),
        profile.repeat.as_str(),
        profile.kills.as_str(),
        profile.auth().as_str(),
        profile.token_max,
    )
}

/// Returns the judgement as text and for scripts.
fn test(profile: &Profile, status: u16) -> Result<(String, Value), String> {
    let mut body = Vec::new();
    let read = io::stdin().take(MAX_BODY_BYTES).read_to_end(&mut body);
    read.map_err(|error| format!("standard input cannot be read: {error}"))?;
    let status = StatusCode::from_u16(status).map_err(|error| error.to_string())?;
    let tested = test_profile(profile, status, &body);
    let rule = match tested.rule {
        Some((number, line)) => format!("rule {number} (line {line})"),
        None => "no rule".to_owned(),
    };
    let (label, follows) = (tested.verdict.label(), what_follows(&tested.verdict));
    let value = json!({
        "rule": tested.rule.map(|(number, _)| number),
        "line": tested.rule.map(|(_, line)| line),
        "result": label.to_string(),
        "follows": follows,
    });
    Ok((format!("{rule}: {label}\n{follows}\n"), value))
}

fn what_follows(verdict: &Verdict) -> String {
    let said = |Rejection { code, message, .. }: &Rejection| {
        let message = message.as_deref().unwrap_or("none");
        let code = if code.is_empty() { "none" } else { code };
        format!("code: {code}; text: {message}")
    };
    match verdict {
        Verdict::Revoked => {
            "The job is done: the answer says that this token is revoked.".to_owned()
        }
        Verdict::Acknowledged => {
            "The job is done as acknowledged: the answer does not mention this token.".to_owned()
        }
        Verdict::Accepted => "The job is done as accepted: it will happen later.".to_owned(),
        Verdict::Gone(answer) => format!(
            "The job is done as gone, or dead-lettered by endpoint.gone = \"dead_letter\". {}",
            said(answer)
        ),
        Verdict::Rejected(answer) => format!("The job is dead-lettered. {}", said(answer)),
        Verdict::Transient(Failure { ambiguous, .. }) => {
            let doubt = if *ambiguous { "; the token may be revoked nevertheless" } else { "" };
            format!("The job is retried{doubt}.")
        }
        // No answer of the revoke endpoint gives these verdicts.
        Verdict::Verified | Verdict::StillActive(_) => "A check of the token decided.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_every_profile_with_its_proof() {
        let list = list(TextStyle::default());
        assert_eq!(list.lines().count(), BUILTIN.len() + 1);
        let rfc7009 = list.lines().find(|line| line.starts_with("rfc7009")).unwrap();
        let words: Vec<_> = rfc7009.split_whitespace().collect();
        assert_eq!(words[1..], ["acknowledged", "revoked", "unknown", "basic", "endpoint.url"]);
    }

    /// Every form says the same.
    #[test]
    fn each_list_and_file_is_json_for_scripts() {
        use clap::Parser as _;

        #[derive(clap::Parser)]
        struct CommandLine {
            #[command(flatten)]
            args: ProfileArgs,
        }
        let json = |line: &[&str]| -> Value {
            let line = [&["profile"], line, &["--output", "json"]].concat();
            let args = CommandLine::parse_from(line).args;
            serde_json::from_str(&result(&args.command).unwrap()).unwrap()
        };
        let list = json(&["list"]);
        assert_eq!(list.as_array().unwrap().len(), BUILTIN.len());
        assert_eq!(list[0]["name"], BUILTIN[0].0);
        let (name, _) = BUILTIN[1];
        assert_eq!(json(&["show", name])["name"], name);
        assert_eq!(json(&["check", name])["name"], name);
    }

    #[test]
    fn a_profile_is_shown_as_its_file_and_an_unknown_one_is_refused() {
        assert!(show("google").unwrap().starts_with("# Google."));
        assert!(show("nobody").unwrap_err().contains("profile list"));
        assert!(find_profile("/nowhere/x.toml").unwrap_err().contains("/nowhere/x.toml"));
    }
}
