//! The names and the delimiter of the columns of a CSV file.

use std::str::FromStr;

use super::{error::InputOpenError, fields::JobField};
use crate::domain::named;

named! {
    /// The character between the columns of a CSV file.
    #[derive(Default)]
    pub enum Delimiter {
        /// The delimiter of spreadsheets in countries with a decimal comma.
        Semicolon = "semicolon",
        /// The delimiter of `.tsv` files.
        Tab = "tab",
        /// The delimiter of some databases.
        Bar = "bar",
        /// The delimiter of RFC 4180. It is last, because it also occurs in the text of other files.
        #[default]
        Comma = "comma",
    }
}

impl Delimiter {
    pub(super) const fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
            Self::Bar => b'|',
        }
    }
}

impl FromStr for Delimiter {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, &'static str> {
        let by_byte = |delimiter: &Self| name.as_bytes() == [delimiter.byte()].as_slice();
        // A shell may pass a tab like this.
        let escaped = (name == r"\t").then_some(Self::Tab);
        let known = Self::from_name(name).or_else(|| Self::ALL.into_iter().find(by_byte));
        known.or(escaped).ok_or(
            "expected a comma, a semicolon, a tab or a bar, as the character or by that name",
        )
    }
}

/// The name that a field's column has in a file, written `refresh_token=token`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub(super) field: JobField,
    /// Trimmed, in lower case.
    name: String,
}

const COLUMN_FORM: &str = "expected FIELD=COLUMN, like refresh_token=token";

impl FromStr for Column {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (field, name) = text.split_once('=').ok_or(COLUMN_FORM)?;
        let name = normal(name.as_bytes());
        if name.is_empty() {
            return Err(COLUMN_FORM.to_owned());
        }
        let known = JobField::from_name(field.trim());
        let field = known.ok_or_else(|| {
            format!(
                "a job has no field {field}; its fields are refresh_token, audience, username, \
                 client_id, expires_at and action"
            )
        })?;
        Ok(Self { field, name })
    }
}

/// The columns whose names differ from those of their fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns(Vec<Column>);

impl From<Vec<Column>> for Columns {
    fn from(columns: Vec<Column>) -> Self {
        Self(columns)
    }
}

impl Columns {
    /// Fails if a field or a column occurs twice.
    pub(super) fn check(&self) -> Result<(), InputOpenError> {
        for (n, Column { field, name }) in self.0.iter().enumerate() {
            let clash = |other: &Column| other.field == *field || other.name == *name;
            if self.0[..n].iter().any(clash) {
                return Err(InputOpenError::Columns(field.as_str()));
            }
        }
        Ok(())
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the columns in a normal form, for comparing journals; `None` if no column differs.
    pub fn meaning(&self) -> Option<String> {
        let changed = self.0.iter().filter(|column| column.name != column.field.as_str());
        let mut changed: Vec<_> =
            changed.map(|Column { field, name }| format!("{}={name}", field.as_str())).collect();
        changed.sort_unstable();
        (!changed.is_empty()).then(|| changed.join(","))
    }

    /// Returns the field that a column of this name holds. A given column replaces the one with the field's own name.
    pub(super) fn field(&self, cell: &[u8]) -> Option<JobField> {
        let name = normal(cell);
        match self.0.iter().find(|column| column.name == name) {
            Some(column) => Some(column.field),
            None => JobField::from_name(&name)
                .filter(|field| !self.0.iter().any(|column| column.field == *field)),
        }
    }

    /// Returns the fields whose columns were given.
    pub(super) fn fields(&self) -> impl Iterator<Item = JobField> + '_ {
        self.0.iter().map(|column| column.field)
    }

    /// Whether a cell holds the name of a job's column, so it cannot be content.
    pub(super) fn is_name(&self, cell: &[u8]) -> bool {
        // The length check avoids an allocation for most cells.
        let longest = self.0.iter().map(|column| column.name.len()).max().unwrap_or_default();
        cell.len() <= longest.max(LONGEST_NAME) + SLACK && {
            let name = normal(cell);
            JobField::from_name(&name).is_some() || self.0.iter().any(|column| column.name == name)
        }
    }
}

const LONGEST_NAME: usize = JobField::RefreshToken.as_str().len();

/// Bytes of spaces and quotes around a name.
const SLACK: usize = 16;

/// Returns a name in lower case, without spaces, quotes and invisible characters around it.
fn normal(cell: &[u8]) -> String {
    let around = |c: char| c.is_whitespace() || c == '"' || super::token::invisible(c).is_some();
    String::from_utf8_lossy(cell).trim_matches(around).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(texts: &[&str]) -> Columns {
        Columns(texts.iter().map(|text| text.parse().unwrap()).collect())
    }

    #[test]
    fn a_delimiter_is_read_as_it_is_written() {
        for delimiter in Delimiter::ALL {
            assert_eq!(delimiter.to_string().parse(), Ok(delimiter));
            assert_eq!(char::from(delimiter.byte()).to_string().parse(), Ok(delimiter));
        }
        assert_eq!(r"\t".parse(), Ok(Delimiter::Tab));
        for text in ["", ";;", "x", "Tab", "\""] {
            assert!(
                text.parse::<Delimiter>().unwrap_err().starts_with("expected a comma"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_column_is_a_field_and_a_name() {
        let column: Column = "refresh_token= Leaked = Token ".parse().unwrap();
        assert_eq!(
            (column.field, column.name.as_str()),
            (JobField::RefreshToken, "leaked = token")
        );
        for text in ["", "refresh_token", "refresh_token=", "refresh_token= "] {
            assert_eq!(text.parse::<Column>(), Err(COLUMN_FORM.to_owned()), "{text}");
        }
        let fault = "token=refresh_token".parse::<Column>().unwrap_err();
        assert!(fault.starts_with("a job has no field token; "), "{fault}");
    }

    #[test]
    fn a_given_column_replaces_the_fields_own_name() {
        let columns = columns(&["refresh_token=token", "username=client_id"]);
        assert_eq!(columns.field(b" TOKEN\xc2\xa0"), Some(JobField::RefreshToken));
        assert_eq!(columns.field(b"refresh_token"), None);
        assert_eq!(columns.field(b"client_id"), Some(JobField::Username));
        assert_eq!(columns.field(b"username"), None);
        assert_eq!(columns.field(b"\"Audience\""), Some(JobField::Audience));
        for name in ["token", "Refresh_Token", " username "] {
            assert!(columns.is_name(name.as_bytes()), "{name}");
        }
        assert!(!columns.is_name(b"tokens"));
        assert!(!columns.is_name(&[b'x'; 100]));
    }

    #[test]
    fn a_field_or_column_given_twice_is_refused() {
        assert!(columns(&["refresh_token=a", "refresh_token=b"]).check().is_err());
        assert!(columns(&["username=a", "client_id=A"]).check().is_err());
        assert!(columns(&["username=a", "client_id=b"]).check().is_ok());
    }

    #[test]
    fn the_meaning_contains_only_changed_columns() {
        assert_eq!(columns(&[]).meaning(), None);
        assert_eq!(columns(&["refresh_token=Refresh_Token"]).meaning(), None);
        let (one, other) =
            (["username=Mail", "refresh_token=T"], ["refresh_token=t", "username=mail"]);
        let meaning = columns(&one).meaning();
        assert_eq!(meaning.as_deref(), Some("refresh_token=t,username=mail"));
        assert_eq!(columns(&other).meaning(), meaning);
    }
}
