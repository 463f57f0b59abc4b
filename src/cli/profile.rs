//! `revoker profile`: endpoint profiles, offline.

use std::{
    fmt::Write as _,
    io::{self, Read as _, Write as _},
    sync::Arc,
};

use http::StatusCode;

use super::{Exit, output};
use crate::{
    domain::{Failure, Rejection, Verdict},
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
    List,
    /// Print the file of a built-in profile
    #[command(after_help = "Example:\n  revoker profile show rfc7009")]
    Show {
        /// The name of a built-in profile
        name: String,
    },
    /// Check the file of a profile, and print every fault with its line
    #[command(after_help = "Example:\n  revoker profile check ours.toml")]
    Check {
        /// The file of the profile
        #[arg(value_name = "FILE")]
        file: String,
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
    },
}

pub(super) fn run(args: &ProfileArgs) -> Exit {
    let result = match &args.command {
        ProfileCommand::List => Ok(list()),
        ProfileCommand::Show { name } => show(name),
        ProfileCommand::Check { file } => {
            find_profile(file).map(|profile| format!("{file}: sound\n{}", summary(&profile)))
        }
        ProfileCommand::Test { profile, status } => {
            find_profile(profile).and_then(|profile| test(&profile, *status))
        }
    };
    match result {
        Ok(text) => match output::print(&text) {
            Ok(()) => Exit::Done,
            Err(error) => refuse(&error.to_string(), Exit::Failed),
        },
        Err(fault) => refuse(&fault, Exit::Usage),
    }
}

fn refuse(text: &str, exit: Exit) -> Exit {
    // A closed standard error does not change the exit code.
    drop(writeln!(io::stderr(), "{text}"));
    exit
}

fn profiles() -> impl Iterator<Item = Arc<Profile>> {
    BUILTIN.into_iter().filter_map(|(name, _)| builtin(name))
}

fn list() -> String {
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
        // Writing to a string does not fail.
        let _ =
            writeln!(text, "{name:<16}  {proof:<12}  {repeat:<8}  {scope:<11}  {auth:<6}  {url}");
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

fn test(profile: &Profile, status: u16) -> Result<String, String> {
    let mut body = Vec::new();
    let read = io::stdin().take(MAX_BODY_BYTES).read_to_end(&mut body);
    read.map_err(|error| format!("standard input cannot be read: {error}"))?;
    let status = StatusCode::from_u16(status).map_err(|error| error.to_string())?;
    let tested = test_profile(profile, status, &body);
    let rule = match tested.rule {
        Some((number, line)) => format!("rule {number} (line {line})"),
        None => "no rule".to_owned(),
    };
    Ok(format!("{rule}: {}\n{}\n", tested.verdict.label(), what_follows(&tested.verdict)))
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
        let list = list();
        assert_eq!(list.lines().count(), BUILTIN.len() + 1);
        let rfc7009 = list.lines().find(|line| line.starts_with("rfc7009")).unwrap();
        let words: Vec<_> = rfc7009.split_whitespace().collect();
        assert_eq!(words[1..], ["acknowledged", "revoked", "unknown", "basic", "endpoint.url"]);
    }

    #[test]
    fn a_profile_is_shown_as_its_file_and_an_unknown_one_is_refused() {
        assert!(show("google").unwrap().starts_with("# Google."));
        assert!(show("nobody").unwrap_err().contains("profile list"));
        assert!(find_profile("/nowhere/x.toml").unwrap_err().contains("/nowhere/x.toml"));
    }
}
