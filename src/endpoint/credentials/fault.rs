//! What can be wrong with a secret. No text repeats one.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::domain::Stray;

/// One secret, or one folder of them, that cannot be used, or is odd.
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
    /// Whether the secret cannot be used. One that is odd is in force all the same.
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
    #[error("has more than {0} characters, the endpoint's limit")]
    TooLong(usize),
    /// Characters in it that do not belong there.
    #[error("{0}; {remedy}", remedy = .0.remedy())]
    Stray(Stray),
    /// The same of the name of a file, which is a client id.
    #[error("its file's name {0}; {remedy}", remedy = .0.remedy())]
    Name(Stray),
    /// A file whose name can be no client id.
    #[error("a file's name is not UTF-8; it must be a client id")]
    NameNotUtf8,
}
