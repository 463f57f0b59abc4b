//! Converts raw values to typed settings.
//!
//! Every function here returns a [`Kind`]: the form of a setting, and its conversion to a typed value or a [`Problem`].

use std::{fmt::Display, net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use bytesize::ByteSize;

use crate::{domain::Stray, pipeline::MAX_IN_FLIGHT};

use super::{
    faults::Problem,
    form::{Form, Kind},
};

/// The longest duration that makes sense anywhere. It also keeps sums with points in time from
/// overflowing.
pub(super) const LONGEST: Duration = Duration::from_secs(31_557_600);

/// The shortest duration above zero.
pub(super) const SHORTEST: Duration = Duration::from_millis(1);

/// Durations of steps between a job's delivery and its settlement. A step that lasts longer than a job may be in
/// flight would never end.
pub(super) const WHILE_IN_FLIGHT: RangeInclusive<Duration> = SHORTEST..=MAX_IN_FLIGHT;

/// The time to connect: longer than this, a server that does not answer is down.
pub(super) const CONNECTING: RangeInclusive<Duration> = SHORTEST..=Duration::from_secs(60);

/// A limit below this aborts calls that a busy network would complete, or it has a wrong unit.
pub(super) const QUICK: Duration = Duration::from_secs(1);

/// Any duration above zero.
pub(super) const SOME_TIME: RangeInclusive<Duration> = SHORTEST..=LONGEST;

/// An unchecked value. Not `Debug`: it may be a secret.
#[derive(PartialEq)]
pub(super) enum ConfigValue {
    /// A value of an environment variable. Its reader determines the type.
    Raw(String),
    Text(String),
    Integer(i64),
    Float(f64),
    Flag(bool),
    List(Vec<ConfigValue>),
    /// A table without entries; others are flattened.
    Table,
    /// A type that no setting has, as a text.
    Other(&'static str),
}

impl ConfigValue {
    /// The text of a string or of a variable.
    fn word(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Raw(text) => Some(text),
            _ => None,
        }
    }

    const fn describe(&self) -> &'static str {
        match self {
            Self::Raw(_) | Self::Text(_) => "a string",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::Flag(_) => "a boolean",
            Self::List(_) => "a list",
            Self::Table => "a table",
            Self::Other(what) => what,
        }
    }

    fn is_not(&self, wanted: &str, example: &str) -> Problem {
        let what = match self {
            Self::Raw(_) => format!("is not {wanted}"),
            other => format!("is {}, not {wanted}", other.describe()),
        };
        Problem::new(what, format!("write it like {example}"))
    }
}

/// A string that is not empty. Control characters and byte order marks are refused: these texts become queue names,
/// headers and log lines.
pub(super) fn text() -> Kind<String> {
    Kind::new(Form::Text, |value| {
        let text = string(value)?;
        match Stray::of(text).filter(|stray| stray.is_wrong()) {
            Some(stray) => Err(Problem::new(stray.to_string(), "remove it")),
            None => Ok(text.to_owned()),
        }
    })
}

/// A string that is not empty.
pub(super) fn string(value: &ConfigValue) -> Result<&str, Problem> {
    match value.word() {
        Some("") => Err(Problem::new("is empty", "give it a value or leave it out")),
        Some(text) => Ok(text),
        None => Err(value.is_not("a string", "\"text\", in quotes")),
    }
}

/// Refuses a URL with characters that are there by mistake.
pub(super) fn without_strays(url: &str) -> Result<(), Problem> {
    match Stray::of(url) {
        // The URL parsers report these more precisely.
        None | Some(Stray::Blank | Stray::LineBreak | Stray::Control) => Ok(()),
        Some(stray) => Err(Problem::new(stray.to_string(), "remove it")),
    }
}

/// A path; relative ones start at the working directory.
pub(super) fn path() -> Kind<PathBuf> {
    Kind::new(Form::Path, |value| string(value).map(PathBuf::from))
}

/// `true` or `false`.
pub(super) fn flag() -> Kind<bool> {
    Kind::new(Form::Flag, |value| match value {
        ConfigValue::Flag(flag) => Ok(*flag),
        ConfigValue::Raw(text) if text == "true" => Ok(true),
        ConfigValue::Raw(text) if text == "false" => Ok(false),
        other => Err(other.is_not("a boolean", "true or false")),
    })
}

/// `false` or `true`, each with its meaning, or one word.
pub(super) fn flag_or<T: Copy + 'static>(
    [no, yes]: [T; 2],
    (word, other): (&'static str, T),
) -> Kind<T> {
    let flag = flag();
    Kind::new(Form::FlagOr(word), move |value| match flag.parse(value) {
        Ok(true) => Ok(yes),
        Ok(false) => Ok(no),
        Err(_) if value.word() == Some(word) => Ok(other),
        Err(_) => {
            let remedy = format!("choose true, false or \"{word}\"");
            Err(Problem::new("is not an allowed value", remedy))
        }
    })
}

/// A whole number within `bounds`.
pub(super) fn count<T>(bounds: RangeInclusive<T>) -> Kind<T>
where
    T: TryFrom<i64> + Copy + PartialOrd + Display + 'static,
    u64: TryFrom<T>,
{
    // The bounds of all settings are numbers of 64 bits.
    let bound = |bound: &T| u64::try_from(*bound).unwrap_or(u64::MAX);
    let form = Form::Count(bound(bounds.start())..=bound(bounds.end()));
    Kind::new(form, move |value| {
        let number = match value {
            ConfigValue::Integer(number) => Some(*number),
            ConfigValue::Raw(text) => text.parse::<i64>().ok(),
            _ => None,
        };
        let number = number.ok_or_else(|| value.is_not("a whole number", "100"))?;
        let number = T::try_from(number).ok().filter(|number| bounds.contains(number));
        number.ok_or_else(|| out_of_bounds(bounds.start(), bounds.end()))
    })
}

/// A number within `bounds`, with or without a fraction.
pub(super) fn number(bounds: RangeInclusive<f64>) -> Kind<f64> {
    Kind::new(Form::Number(bounds.clone()), move |value| {
        let number = match value {
            ConfigValue::Float(number) => Some(*number),
            // All bounds are within the exact range of a float.
            ConfigValue::Integer(number) => {
                i32::try_from(*number).map_or(Some(f64::INFINITY), |n| Some(n.into()))
            }
            ConfigValue::Raw(text) => text.parse().ok(),
            _ => None,
        };
        let number = number.ok_or_else(|| value.is_not("a number", "0.5"))?;
        // NaN is within no bounds.
        if bounds.contains(&number) {
            Ok(number)
        } else {
            Err(out_of_bounds(bounds.start(), bounds.end()))
        }
    })
}

/// A duration with its unit, within `bounds`.
pub(super) fn duration(bounds: RangeInclusive<Duration>) -> Kind<Duration> {
    Kind::new(Form::Duration(bounds.clone()), move |value| {
        let text = value.word();
        let duration = text.and_then(|text| humantime::parse_duration(text).ok());
        // No setting uses months (`M`), and `m` for minutes was probably meant.
        if duration.is_some() && text.is_some_and(|text| text.contains('M')) {
            return Err(Problem::new(
                "is in months, because M means months",
                "write m for minutes",
            ));
        }
        let duration = duration.ok_or_else(|| {
            Problem::new(
                "is not a duration",
                "write a number and its unit, like \"250ms\" or \"1h 30m\"",
            )
        })?;
        if !bounds.contains(&duration) {
            let shown = |duration: &Duration| humantime::format_duration(*duration).to_string();
            return Err(out_of_bounds(&shown(bounds.start()), &shown(bounds.end())));
        }
        Ok(duration)
    })
}

/// A number of bytes with its unit, within `bounds`.
pub(super) fn size(bounds: RangeInclusive<ByteSize>) -> Kind<ByteSize> {
    Kind::new(Form::Size(bounds.clone()), move |value| {
        let size = value.word().and_then(|text| text.parse::<ByteSize>().ok());
        let size = size.ok_or_else(|| {
            Problem::new("is not a number of bytes", "write a number and its unit, like \"64MiB\"")
        })?;
        if bounds.contains(&size) {
            Ok(size)
        } else {
            Err(out_of_bounds(bounds.start(), bounds.end()))
        }
    })
}

/// A list. In the environment, commas separate its items.
pub(super) fn list<T: 'static>(item: Kind<T>) -> Kind<Vec<T>> {
    let form = Form::List(Box::new(item.form().clone()));
    let numbered = move |(index, value): (usize, &ConfigValue)| {
        item.parse(value).map_err(|problem| Problem {
            what: format!("item {} {}", index + 1, problem.what),
            ..problem
        })
    };
    Kind::new(form, move |value| match value {
        ConfigValue::List(items) => items.iter().enumerate().map(&numbered).collect(),
        ConfigValue::Raw(text) => text
            .split(',')
            .map(|item| ConfigValue::Raw(item.trim().to_owned()))
            .enumerate()
            .map(|(index, value)| numbered((index, &value)))
            .collect(),
        other => Err(other.is_not("a list", "[\"first\", \"second\"]")),
    })
}

/// One of a few words.
pub(super) fn choice<T: Copy + 'static>(choices: &'static [(&'static str, T)]) -> Kind<T> {
    let words = choices.iter().map(|(word, _)| *word).collect();
    Kind::new(Form::Choice(words), move |value| {
        let word = value.word();
        let chosen = choices.iter().find(|(name, _)| word == Some(*name));
        chosen.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            Problem::new("is not an allowed value", format!("choose {}", names.join(", ")))
        })
    })
}

/// An address and port to listen on.
pub(super) fn address() -> Kind<SocketAddr> {
    Kind::new(Form::Address, |value| {
        string(value)?.parse().map_err(|_| {
            Problem::new(
                "is not an IP address with a port",
                "write it like \"127.0.0.1:9464\" or \"[::1]:9464\"; host names are not looked up",
            )
        })
    })
}

fn out_of_bounds(least: &(impl Display + ?Sized), most: &(impl Display + ?Sized)) -> Problem {
    Problem::new("is out of bounds", format!("choose a value from {least} to {most}"))
}
