//! The header row of a CSV file: which column holds which field.

use thiserror::Error;

use super::cells::Field;

/// What is wrong with a header row. It is not repeated: in a file without one, its place is taken by
/// the first token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HeaderFault {
    /// What spreadsheets write in some countries.
    #[error("its columns are divided by {0}, not commas; save it as comma-separated CSV")]
    Divided(&'static str),
    /// No field of a job is named.
    #[error(
        "its first row names no column of a job; it must be a header row with refresh_token and \
         perhaps audience, username, client_id, expires_at; for one token a line, say --format text"
    )]
    NoColumn,
    /// There are columns of a job, but not the one that matters.
    #[error("its header row has no column refresh_token")]
    NoToken,
    /// Nobody can say which is meant.
    #[error("its header row has the column {0} twice")]
    Twice(&'static str),
    /// The first row does not end.
    #[error("its first row is no header row: it is too long; is a closing quote missing?")]
    TooLong,
}

/// What people divide columns by, besides commas.
const DIVIDERS: [(u8, &str); 3] = [(b';', "semicolons"), (b'\t', "tabs"), (b'|', "bars")];

/// Which field each column holds; `None` for one that is ignored.
pub(super) fn read(cells: &[&[u8]]) -> Result<Vec<Option<Field>>, HeaderFault> {
    let columns: Vec<Option<Field>> = cells.iter().map(|cell| column(cell)).collect();
    let repeated =
        |field: &Field| columns.iter().flatten().filter(|other| *other == field).count() > 1;
    if let Some(field) = columns.iter().flatten().find(|field| repeated(field)) {
        return Err(HeaderFault::Twice(field.name()));
    }
    if columns.contains(&Some(Field::RefreshToken)) {
        return Ok(columns);
    }
    let divided_by = |divider: &u8| cells.iter().any(|cell| cell.contains(divider));
    match DIVIDERS.iter().find(|(divider, _)| divided_by(divider)) {
        Some((_, name)) => Err(HeaderFault::Divided(name)),
        None if columns.iter().any(Option::is_some) => Err(HeaderFault::NoToken),
        None => Err(HeaderFault::NoColumn),
    }
}

/// Spreadsheets and people differ in case and spaces, and mean the same.
fn column(cell: &[u8]) -> Option<Field> {
    let cell = cell.trim_ascii();
    Field::ALL.into_iter().find(|field| cell.eq_ignore_ascii_case(field.name().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(row: &str) -> Result<Vec<Option<Field>>, HeaderFault> {
        read(&row.split(',').map(str::as_bytes).collect::<Vec<_>>())
    }

    #[test]
    fn columns_are_known_by_their_names() {
        assert_eq!(header("refresh_token"), Ok(vec![Some(Field::RefreshToken)]));
        assert_eq!(
            header(" Expires_At,note,client_secret,REFRESH_TOKEN ,username"),
            Ok(vec![
                Some(Field::ExpiresAt),
                None,
                None,
                Some(Field::RefreshToken),
                Some(Field::Username)
            ])
        );
        for field in Field::ALL {
            assert_eq!(column(field.name().as_bytes()), Some(field));
        }
    }

    #[test]
    fn every_fault_of_a_header_has_its_sentence() {
        let cases = [
            ("refresh_token;audience", HeaderFault::Divided("semicolons")),
            ("sep=;", HeaderFault::Divided("semicolons")),
            ("id;refresh_token, or so", HeaderFault::Divided("semicolons")),
            ("refresh_token\taudience", HeaderFault::Divided("tabs")),
            ("id|refresh_token", HeaderFault::Divided("bars")),
            ("a-token-and-no-header", HeaderFault::NoColumn),
            ("", HeaderFault::NoColumn),
            ("token,audience", HeaderFault::NoToken),
            ("refresh_token,username,Refresh_Token", HeaderFault::Twice("refresh_token")),
        ];
        for (row, fault) in cases {
            assert_eq!(header(row), Err(fault), "{row}");
        }
    }
}
