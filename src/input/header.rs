//! The header row of a CSV file, which assigns fields to columns.

use thiserror::Error;

use super::{
    columns::{Columns, Delimiter},
    fields::JobField,
};

/// The error of a header row. No text repeats it: in a file without a header it is the first token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HeaderFault {
    /// A file of a spreadsheet with another delimiter.
    #[error(
        "its columns are divided by {by}s, not {not}s; say so with --delimiter {by}, or save it as \
         {not}-separated CSV"
    )]
    Divided { by: Delimiter, not: Delimiter },
    #[error(
        "its first row names no column of a job; it must be a header row with refresh_token and \
         perhaps audience, username, client_id, expires_at; say which column is which with --column \
         refresh_token=NAME; for one token a line, say --format text"
    )]
    NoColumn,
    #[error(
        "its header row has no column refresh_token; say which one it is with --column refresh_token=NAME"
    )]
    NoToken,
    #[error("its header row has no column of the name that --column gives for {0}")]
    NotThere(&'static str),
    #[error("its header row has the column {0} twice")]
    Twice(&'static str),
    #[error("its first row is no header row: it is too long; is a closing quote missing?")]
    TooLong,
    #[error("its first row is no header row: a quote in it is not closed")]
    OpenQuote,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct CsvHeader {
    /// The field of each column; `None` if the column is ignored.
    columns: Vec<Option<JobField>>,
    given: Columns,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CsvRow {
    Job,
    /// The same header again, for instance after joining two files.
    Header,
    /// A different header: the rows below it have other columns.
    OtherHeader,
}

impl CsvHeader {
    pub(super) fn read(
        cells: &[&[u8]],
        given: &Columns,
        delimiter: Delimiter,
    ) -> Result<Self, HeaderFault> {
        let columns = columns(cells, given)?;
        if columns.contains(&Some(JobField::RefreshToken)) {
            let missing = given.fields().find(|field| !columns.contains(&Some(*field)));
            return match missing {
                Some(field) => Err(HeaderFault::NotThere(field.as_str())),
                None => Ok(Self { columns, given: given.clone() }),
            };
        }
        let stands = |other: &Delimiter| cells.iter().any(|cell| cell.contains(&other.byte()));
        match Delimiter::ALL.into_iter().find(stands) {
            Some(by) => Err(HeaderFault::Divided { by, not: delimiter }),
            None if given.fields().any(|field| field == JobField::RefreshToken) => {
                Err(HeaderFault::NotThere(JobField::RefreshToken.as_str()))
            }
            None if columns.iter().any(Option::is_some) => Err(HeaderFault::NoToken),
            None => Err(HeaderFault::NoColumn),
        }
    }

    pub(super) fn columns(&self) -> &[Option<JobField>] {
        &self.columns
    }

    /// Returns the kind of a row with as many cells as the header. A header has a column's name in place of the token.
    pub(super) fn tell<'a>(&self, cells: impl Iterator<Item = &'a [u8]> + Clone) -> CsvRow {
        let mut at_token = self.columns.iter().zip(cells.clone());
        let token = at_token.find(|(column, _)| **column == Some(JobField::RefreshToken));
        if !token.is_some_and(|(_, cell)| self.given.is_name(cell)) {
            return CsvRow::Job;
        }
        match columns(&cells.collect::<Vec<_>>(), &self.given) {
            Ok(columns) if columns == self.columns => CsvRow::Header,
            _ => CsvRow::OtherHeader,
        }
    }
}

fn columns(cells: &[&[u8]], given: &Columns) -> Result<Vec<Option<JobField>>, HeaderFault> {
    let columns: Vec<Option<JobField>> = cells.iter().map(|cell| given.field(cell)).collect();
    let repeated =
        |field: &JobField| columns.iter().flatten().filter(|other| *other == field).count() > 1;
    match columns.iter().flatten().find(|field| repeated(field)) {
        Some(field) => Err(HeaderFault::Twice(field.as_str())),
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

    fn header(row: &str, columns: &[&str]) -> Result<CsvHeader, HeaderFault> {
        CsvHeader::read(&cells(row), &given(columns), Delimiter::Comma)
    }

    #[test]
    fn columns_are_known_by_their_names() {
        let columns = |row| header(row, &[]).unwrap().columns;
        assert_eq!(columns("refresh_token"), [Some(JobField::RefreshToken)]);
        assert_eq!(
            columns(" Expires_At,note,client_secret,REFRESH_TOKEN ,username"),
            [
                Some(JobField::ExpiresAt),
                None,
                None,
                Some(JobField::RefreshToken),
                Some(JobField::Username)
            ]
        );
        for field in JobField::ALL {
            assert_eq!(Columns::default().field(field.as_str().as_bytes()), Some(field));
        }
    }

    #[test]
    fn columns_are_known_by_the_names_that_are_given() {
        let header = header("refresh_token,Token,mail", &["refresh_token=token", "username=mail"]);
        assert_eq!(
            header.unwrap().columns,
            [None, Some(JobField::RefreshToken), Some(JobField::Username)],
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
        let commas = CsvHeader::read(
            &[b"refresh_token,audience"],
            &Columns::default(),
            Delimiter::Semicolon,
        );
        let fault = HeaderFault::Divided { by: Delimiter::Comma, not: Delimiter::Semicolon };
        assert_eq!(commas, Err(fault));
        assert!(fault.to_string().contains("--delimiter comma"), "{fault}");
    }

    #[test]
    fn a_header_row_is_known_again() {
        let plain = header("id,refresh_token,username", &[]).unwrap();
        let cases = [
            ("1,token,refresh_token", CsvRow::Job),
            ("refresh_token,t,username", CsvRow::Job),
            ("1,refresh_tokens,username", CsvRow::Job),
            ("id,refresh_token,username", CsvRow::Header),
            ("note, \"Refresh_Token\" ,USERNAME", CsvRow::Header),
            ("id,refresh_token,client_id", CsvRow::OtherHeader),
            ("refresh_token,username,id", CsvRow::OtherHeader),
            ("refresh_token,refresh_token,refresh_token", CsvRow::OtherHeader),
        ];
        for (row, expected) in cases {
            assert_eq!(plain.tell(cells(row).into_iter()), expected, "{row}");
        }
        let given = header("token,mail", &["refresh_token=token"]).unwrap();
        assert_eq!(given.tell(cells("Token,x").into_iter()), CsvRow::Header);
        assert_eq!(given.tell(cells("refresh_token,x").into_iter()), CsvRow::OtherHeader);
        assert_eq!(given.tell(cells("tokens,x").into_iter()), CsvRow::Job);
    }
}
