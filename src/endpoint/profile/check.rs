//! The rules of a profile: from its file to a profile, or to every fault.

mod answer;
mod request;

use toml::Spanned;

use super::{
    BUILTIN, Kills, PointerTree, Profile, ProfileFault, Proof, Repeat,
    answer::AnswerRule,
    reader::{Faults, Section},
    terms::AnswerKind,
};

/// The longest token limit of a profile: a longer token does not fit into the body of a job.
const LONGEST_TOKEN: u32 = 32 * 1024;

/// The longest token of a profile without a limit: signed texts are rarely longer.
const USUAL_TOKEN: u32 = 8192;

/// The longest name, in characters.
const LONGEST_NAME: usize = 40;

/// The most rejections in a row that a guard lets pass.
const LARGEST_GUARD: u32 = 1000;

/// The most rules, and the most places that they use.
const MOST_RULES: usize = 64;
const MOST_PLACES: usize = 64;

impl Profile {
    /// Reads the file of a profile of the operator's own: it cannot have the name of a built-in one.
    ///
    /// # Errors
    ///
    /// Every fault, in the order of the lines.
    pub fn parse_own(text: &str) -> Result<Self, Vec<ProfileFault>> {
        read(text, |name| BUILTIN.iter().all(|(known, _)| *known != name))
    }

    /// Reads the file of any profile.
    ///
    /// # Errors
    ///
    /// As [`Profile::parse_own`].
    pub(in crate::endpoint) fn parse(text: &str) -> Result<Self, Vec<ProfileFault>> {
        read(text, |_| true)
    }
}

fn read(text: &str, is_free: impl Fn(&str) -> bool) -> Result<Profile, Vec<ProfileFault>> {
    let (mut file, mut faults) = Section::file(text);
    if !faults.found.is_empty() {
        return Err(faults.found);
    }
    let profile = profile(&mut file, &mut faults, is_free);
    file.finish(&mut faults);
    match profile {
        Some(profile) if faults.found.is_empty() => Ok(profile),
        _ => {
            faults.found.sort_by_key(|fault| fault.line);
            Err(faults.found)
        }
    }
}

fn profile(
    file: &mut Section<'_>,
    faults: &mut Faults,
    is_free: impl Fn(&str) -> bool,
) -> Option<Profile> {
    file.need(faults, &["name", "repeat", "proof", "request", "answer"]);
    let name = file.text(faults, "name").map(|name| checked_name(faults, name, is_free));
    let token_max = file.number(faults, "token_max", LONGEST_TOKEN).unwrap_or(USUAL_TOKEN);
    let repeat = file.word(faults, "repeat", Repeat::ALL);
    let proof = file.word(faults, "proof", Proof::ALL);
    let kills = file.word(faults, "scope", Kills::ALL).map(Spanned::into_inner);
    let after_rejections = file.number(faults, "after_rejections", LARGEST_GUARD);
    let request = file.table(faults, "request");
    let request = request.and_then(|section| request::read(faults, section));
    let mut pointers = PointerTree::default();
    let rules = file.tables(faults, "answer");
    let all = rules.len();
    faults.require(0..0, all <= MOST_RULES, format!("there are more than {MOST_RULES} rules"));
    let guard = after_rejections.is_some();
    let rules = rules.into_iter();
    let answers: Vec<_> =
        rules.filter_map(|rule| answer::read(faults, &mut pointers, rule, guard)).collect();
    let places = pointers.len() <= MOST_PLACES;
    faults.require(0..0, places, format!("the rules use more than {MOST_PLACES} places"));
    let (repeat, proof) = (repeat?, proof?);
    if answers.len() == all {
        agree(faults, &answers, &proof, &repeat);
    }
    Some(Profile {
        name: name?,
        token_max: usize::try_from(token_max).ok()?,
        repeat: repeat.into_inner(),
        proof: proof.into_inner(),
        kills: kills.unwrap_or(Kills::Unknown),
        after_rejections,
        request: request?,
        answers,
        pointers,
    })
}

fn checked_name(
    faults: &mut Faults,
    name: Spanned<String>,
    is_free: impl Fn(&str) -> bool,
) -> String {
    let (span, name) = (name.span(), name.into_inner());
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_name = !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(plain);
    faults.require(
        span.clone(),
        is_name,
        format!("the name must be 1 to {LONGEST_NAME} of a-z, 0-9 and -"),
    );
    faults.require(span, is_free(&name), "the name is of a built-in profile: choose another one");
    name
}

/// Checks that the rules match the profile's statements about them.
fn agree(
    faults: &mut Faults,
    rules: &[AnswerRule],
    proof: &Spanned<Proof>,
    repeat: &Spanned<Repeat>,
) {
    let has = |kind| rules.iter().any(|rule| rule.is == kind);
    let wanted = match proof.get_ref() {
        Proof::Said => AnswerKind::Revoked,
        Proof::Acknowledged => AnswerKind::Acknowledged,
        Proof::Accepted => AnswerKind::Accepted,
    };
    let (name, word) = (proof.get_ref().as_str(), wanted.as_str());
    faults.require(
        proof.span(),
        has(wanted),
        format!("the proof is \"{name}\", and no rule is \"{word}\": add one, or change the proof"),
    );
    faults.require(
        proof.span(),
        wanted == AnswerKind::Revoked || !has(AnswerKind::Revoked),
        format!(
            "the proof is \"{name}\", and a rule is \"revoked\": that claims more, so write \"{word}\" there"
        ),
    );
    faults.require(
        repeat.span(),
        *repeat.get_ref() != Repeat::Gone || has(AnswerKind::Gone),
        "the repeat is \"gone\", and no rule is \"gone\": add one, or change the repeat",
    );
}
