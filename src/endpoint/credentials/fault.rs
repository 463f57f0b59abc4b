//! What can be wrong with a secret. No text repeats one.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::domain::MAX_TEXT_CHARS;

/// One secret, or one folder of them, that cannot be used.
#[derive(Debug)]
pub struct CredentialFault {
    /// The client whose secret it is; `None` for a folder, or a file in it that names nobody.
    pub client_id: Option<String>,
    /// The file or folder; `None` for a secret that stands in the configuration.
    pub path: Option<PathBuf>,
    /// What is wrong.
    pub kind: FaultKind,
}

impl CredentialFault {
    pub(super) fn of_path(path: &Path, kind: FaultKind) -> Self {
        Self { client_id: None, path: Some(path.to_owned()), kind }
    }
}

impl fmt::Display for CredentialFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.client_id {
            Some(client_id) => write!(f, "the secret of client {client_id:?}")?,
            None => f.write_str("the client secrets")?,
        }
        if let Some(path) = &self.path {
            write!(f, " in {}", path.display())?;
        }
        write!(f, ": {}", self.kind)
    }
}

impl std::error::Error for CredentialFault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.kind)
    }
}

/// What is wrong with a secret or a folder of them.
#[derive(Debug, Error)]
pub enum FaultKind {
    /// It cannot be read.
    #[error("cannot be read ({})", .0.kind())]
    Unreadable(#[source] io::Error),
    /// It is not text.
    #[error("is not UTF-8")]
    NotUtf8,
    /// Nothing is in it.
    #[error("is empty")]
    Empty,
    /// Longer than the endpoint takes.
    #[error("has more than {MAX_TEXT_CHARS} characters, the endpoint's limit")]
    TooLong,
    /// A file whose name can be no client id.
    #[error("a file's name is not UTF-8; it must be a client id")]
    NameNotUtf8,
}
