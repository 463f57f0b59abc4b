//! The header row of a CSV file: which column holds which field.

use thiserror::Error;

use super::{
    cells::Field,
    columns::{Columns, Delimiter},
};

/// What is wrong with a header row. It is not repeated: in a file without one, its place is taken by
/// the first token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HeaderFault {
    /// What spreadsheets write in some countries.
    #[error(
        "its columns are divided by {by}s, not {not}s; say so with --delimiter {by}, or save it as \
         {not}-separated CSV"
    )]
    Divided {
        /// What stands there.
        by: Delimiter,
        /// What is to stand there.
        not: Delimiter,
    },
    /// No field of a job is named.
    #[error(
        "its first row names no column of a job; it must be a header row with refresh_token and \
         perhaps audience, username, client_id, expires_at; say which column is which with --column \
         refresh_token=NAME; for one token a line, say --format text"
    )]
    NoColumn,
    /// There are columns of a job, but not the one that matters.
    #[error(
        "its header row has no column refresh_token; say which one it is with --column refresh_token=NAME"
    )]
    NoToken,
    /// A column that was given is not there.
    #[error("its header row has no column of the name that --column gives for {0}")]
    NotThere(&'static str),
    /// Nobody can say which is meant.
    #[error("its header row has the column {0} twice")]
    Twice(&'static str),
    /// The first row does not end.
    #[error("its first row is no header row: it is too long; is a closing quote missing?")]
    TooLong,
    /// A quote swallows what follows.
    #[error("its first row is no header row: a quote in it is not closed")]
    OpenQuote,
}

/// What a header row says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Which field each column holds; `None` for one that is ignored.
    columns: Vec<Option<Field>>,
    given: Columns,
}

/// What a row below the header may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Row {
    /// A job.
    Job,
    /// The header again, as where two files were joined.
    Header,
    /// Another header: the rows below it are not what this one says.
    OtherHeader,
}

impl Header {
    /// Reads a header row.
    pub(super) fn read(
        cells: &[&[u8]],
        given: &Columns,
        delimiter: Delimiter,
    ) -> Result<Self, HeaderFault> {
        let columns = columns(cells, given)?;
        if columns.contains(&Some(Field::RefreshToken)) {
            let missing = given.fields().find(|field| !columns.contains(&Some(*field)));
            return match missing {
                Some(field) => Err(HeaderFault::NotThere(field.name())),
                None => Ok(Self { columns, given: given.clone() }),
            };
        }
        let stands = |other: &Delimiter| cells.iter().any(|cell| cell.contains(&other.byte()));
        match Delimiter::ALL.into_iter().find(stands) {
            Some(by) => Err(HeaderFault::Divided { by, not: delimiter }),
            None if given.fields().any(|field| field == Field::RefreshToken) => {
                Err(HeaderFault::NotThere(Field::RefreshToken.name()))
            }
            None if columns.iter().any(Option::is_some) => Err(HeaderFault::NoToken),
            None => Err(HeaderFault::NoColumn),
        }
    }

    /// The fields that the columns hold.
    pub(super) fn columns(&self) -> &[Option<Field>] {
        &self.columns
    }

    /// Tells whether a row, which is as wide as the header, is one itself: a name of a column stands
    /// where its token should.
    pub(super) fn tell<'a>(&self, cells: impl Iterator<Item = &'a [u8]> + Clone) -> Row {
        let mut at_token = self.columns.iter().zip(cells.clone());
        let token = at_token.find(|(column, _)| **column == Some(Field::RefreshToken));
        if !token.is_some_and(|(_, cell)| self.given.is_name(cell)) {
            return Row::Job;
        }
        match columns(&cells.collect::<Vec<_>>(), &self.given) {
            Ok(columns) if columns == self.columns => Row::Header,
            _ => Row::OtherHeader,
        }
    }
}

/// Which field each column holds.
fn columns(cells: &[&[u8]], given: &Columns) -> Result<Vec<Option<Field>>, HeaderFault> {
    let columns: Vec<Option<Field>> = cells.iter().map(|cell| given.field(cell)).collect();
    let repeated =
        |field: &Field| columns.iter().flatten().filter(|other| *other == field).count() > 1;
    match columns.iter().flatten().find(|field| repeated(field)) {
        Some(field) => Err(HeaderFault::Twice(field.name())),
        None => Ok(columns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(row: &str) -> Vec<&[u8]> {
        row.split(',').map(str::as_bytes).collect()
    }

    fn given(columns: &[&str]) -> Columns {
        Columns::from(columns.iter().map(|column| column.parse().unwrap()).collect::<Vec<_>>())
    }

    fn header(row: &str, columns: &[&str]) -> Result<Header, HeaderFault> {
        Header::read(&cells(row), &given(columns), Delimiter::Comma)
    }

    #[test]
    fn columns_are_known_by_their_names() {
        let columns = |row| header(row, &[]).unwrap().columns;
        assert_eq!(columns("refresh_token"), [Some(Field::RefreshToken)]);
        assert_eq!(
            columns(" Expires_At,note,client_secret,REFRESH_TOKEN ,username"),
            [Some(Field::ExpiresAt), None, None, Some(Field::RefreshToken), Some(Field::Username)]
        );
        for field in Field::ALL {
            assert_eq!(Columns::default().field(field.name().as_bytes()), Some(field));
        }
    }

    #[test]
    fn columns_are_known_by_the_names_that_are_given() {
        let header = header("refresh_token,Token,mail", &["refresh_token=token", "username=mail"]);
        assert_eq!(
            header.unwrap().columns,
            [None, Some(Field::RefreshToken), Some(Field::Username)],
            "the first column holds something else"
        );
    }

    #[test]
    fn every_fault_of_a_header_has_its_sentence() {
        let divided = |by| HeaderFault::Divided { by, not: Delimiter::Comma };
        let cases = [
            ("refresh_token;audience", divided(Delimiter::Semicolon)),
            ("sep=;", divided(Delimiter::Semicolon)),
            ("id;refresh_token, or so", divided(Delimiter::Semicolon)),
            ("refresh_token\taudience", divided(Delimiter::Tab)),
            ("id|refresh_token", divided(Delimiter::Bar)),
            ("a-token-and-no-header", HeaderFault::NoColumn),
            ("", HeaderFault::NoColumn),
            ("token,audience", HeaderFault::NoToken),
            ("refresh_token,username,Refresh_Token", HeaderFault::Twice("refresh_token")),
        ];
        for (row, fault) in cases {
            assert_eq!(header(row, &[]), Err(fault), "{row}");
        }
        let given = ["refresh_token=token", "username=mail"];
        let cases = [
            ("refresh_token,mail", HeaderFault::NotThere("refresh_token")),
            ("token,username", HeaderFault::NotThere("username")),
            ("token,mail,TOKEN", HeaderFault::Twice("refresh_token")),
        ];
        for (row, fault) in cases {
            assert_eq!(header(row, &given), Err(fault), "{row}");
        }
        let commas =
            Header::read(&[b"refresh_token,audience"], &Columns::default(), Delimiter::Semicolon);
        let fault = HeaderFault::Divided { by: Delimiter::Comma, not: Delimiter::Semicolon };
        assert_eq!(commas, Err(fault));
        assert!(fault.to_string().contains("--delimiter comma"), "{fault}");
    }

    #[test]
    fn a_header_row_is_known_again() {
        let plain = header("id,refresh_token,username", &[]).unwrap();
        let cases = [
            ("1,token,refresh_token", Row::Job),
            ("refresh_token,t,username", Row::Job),
            ("1,refresh_tokens,username", Row::Job),
            ("id,refresh_token,username", Row::Header),
            ("note, \"Refresh_Token\" ,USERNAME", Row::Header),
            ("id,refresh_token,client_id", Row::OtherHeader),
            ("refresh_token,username,id", Row::OtherHeader),
            ("refresh_token,refresh_token,refresh_token", Row::OtherHeader),
        ];
        for (row, expected) in cases {
            assert_eq!(plain.tell(cells(row).into_iter()), expected, "{row}");
        }
        let given = header("token,mail", &["refresh_token=token"]).unwrap();
        assert_eq!(given.tell(cells("Token,x").into_iter()), Row::Header);
        assert_eq!(given.tell(cells("refresh_token,x").into_iter()), Row::OtherHeader);
        assert_eq!(given.tell(cells("tokens,x").into_iter()), Row::Job);
    }
}
