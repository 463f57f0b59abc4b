//! The forms of settings: how a value is written, as data.
//!
//! A [`Kind`] couples a form with the function that reads it, and both are made from the same bounds and words. So the
//! JSON Schema and the printed settings cannot differ from what a load accepts. A second list of all keys was turned
//! down: it would go stale.

use std::{ops::RangeInclusive, time::Duration};

use bytesize::ByteSize;

use super::{faults::Problem, value::ConfigValue};

/// How a value is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Form {
    /// `true` or `false`.
    Flag,
    /// `true`, `false` or this word.
    FlagOr(&'static str),
    /// One of these words.
    Choice(Vec<&'static str>),
    /// A whole number.
    Count(RangeInclusive<u64>),
    /// A number with or without a fraction.
    Number(RangeInclusive<f64>),
    /// A number with a unit of time, as a string.
    Duration(RangeInclusive<Duration>),
    /// A number with a unit of bytes, as a string.
    Size(RangeInclusive<ByteSize>),
    /// A string without control characters.
    Text,
    /// The path of a file or folder.
    Path,
    /// An `http://` or `https://` URL.
    Url,
    /// An IP address with a port.
    Address,
    /// A list, also of a single item.
    List(Box<Self>),
    /// A string that must not be shown.
    Secret(SecretForm),
    /// A table of known keys.
    Table,
    /// A table with an entry for each name that the operator chooses.
    Entries,
}

/// The part of a secret that may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SecretForm {
    /// Nothing.
    Hidden,
    /// URLs of brokers, separated by commas, without their passwords.
    BrokerUrls,
    /// A URL without its password.
    WebUrl,
}

/// A form, and the function that reads it.
pub(super) struct Kind<T> {
    form: Form,
    parse: Box<ParseValue<T>>,
}

type ParseValue<T> = dyn Fn(&ConfigValue) -> Result<T, Problem>;

impl<T: 'static> Kind<T> {
    pub(super) fn new(
        form: Form,
        parse: impl Fn(&ConfigValue) -> Result<T, Problem> + 'static,
    ) -> Self {
        Self { form, parse: Box::new(parse) }
    }

    pub(super) const fn form(&self) -> &Form {
        &self.form
    }

    pub(super) fn parse(&self, value: &ConfigValue) -> Result<T, Problem> {
        (self.parse)(value)
    }

    /// The same form with a further check, or a further step.
    pub(super) fn and<U: 'static>(
        self,
        then: impl Fn(T) -> Result<U, Problem> + 'static,
    ) -> Kind<U> {
        let parse = self.parse;
        Kind::new(self.form, move |value| parse(value).and_then(&then))
    }
}
