//! The faults of secrets. No text repeats a secret.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::domain::Stray;

/// A fault or a warning about one secret, or about one folder of secrets.
#[derive(Debug)]
pub struct CredentialFault {
    /// The client of the secret; `None` for a folder, or for a file whose name is no client id.
    pub client_id: Option<String>,
    /// The file or folder; `None` for a secret in the configuration.
    pub path: Option<PathBuf>,
    /// The kind of fault.
    pub kind: FaultKind,
}

impl CredentialFault {
    /// Whether the secret cannot be used. A secret with a warning is used.
    #[must_use]
    pub const fn is_wrong(&self) -> bool {
        match &self.kind {
            FaultKind::Stray(stray) | FaultKind::Name(stray) => stray.is_wrong(),
            _ => true,
        }
    }

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
            write!(f, " in {}", path.to_string_lossy().escape_debug())?;
        }
        write!(f, ": {}", self.kind)
    }
}

impl std::error::Error for CredentialFault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.kind)
    }
}

/// The faults of a secret or of a folder of secrets.
#[derive(Debug, Error)]
pub enum FaultKind {
    /// It cannot be read.
    #[error("cannot be read ({})", .0.kind())]
    Unreadable(#[source] io::Error),
    /// It is not text.
    #[error("is not UTF-8")]
    NotUtf8,
    /// It is empty.
    #[error("is empty")]
    Empty,
    /// It is longer than the endpoint's limit.
    #[error("has more than {0} characters, the endpoint's limit")]
    TooLong(usize),
    /// It has characters that are there by mistake.
    #[error("{0}; {remedy}", remedy = .0.remedy())]
    Stray(Stray),
    /// The same in the name of a file, which is a client id.
    #[error("its file's name {0}; {remedy}", remedy = .0.remedy())]
    Name(Stray),
    /// A file whose name can be no client id.
    #[error("a file's name is not UTF-8; it must be a client id")]
    NameNotUtf8,
}
