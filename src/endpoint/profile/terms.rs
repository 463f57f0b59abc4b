//! The words of a profile.

/// Declares an enum of words, each with its name in files.
macro_rules! words {
    ($(
        $(#[$about:meta])*
        $word:ident { $($(#[$of:meta])* $variant:ident = $name:literal,)+ }
    )+) => {$(
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $word {
            $($(#[$of])* $variant,)+
        }

        impl $word {
            /// Every word by its name.
            pub const ALL: &[(&str, Self)] = &[$(($name, Self::$variant),)+];

            /// The name in files and metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    )+};
}

words! {
    /// An endpoint's answer to the second revocation of a token.
    Repeat {
        /// The same answer as to the first.
        Revoked = "revoked",
        /// The answer that the token does not exist any more.
        Gone = "gone",
        /// A rejection.
        Rejected = "rejected",
        /// The answer that the token will be revoked later.
        Accepted = "accepted",
    }

    /// The proof that a success of an endpoint gives.
    Proof {
        /// The answer is about this token.
        Said = "said",
        /// The answer only acknowledges the request.
        Acknowledged = "acknowledged",
        /// The revocation happens later.
        Accepted = "accepted",
    }

    /// The tokens that are revoked with one token.
    Kills {
        /// The token alone.
        Token = "token",
        /// Every token of its grant.
        Grant = "grant",
        /// Every token of its session.
        Session = "session",
        /// Every token of its client and user.
        ClientUser = "client_user",
        /// Every token of its user.
        User = "user",
        /// Unknown.
        Unknown = "unknown",
    }

    /// The method of client authentication.
    AuthMethod {
        /// Fields of the profile.
        Fields = "fields",
        /// The header of RFC 7617.
        Basic = "basic",
        /// The fields `client_id` and `client_secret`.
        Post = "post",
        /// None.
        None = "none",
        /// The token itself, as a bearer token.
        SelfBearer = "self",
        /// An access token, fetched with the client's credentials.
        Bearer = "bearer",
        /// A signed JWT: RFC 7523.
        PrivateKeyJwt = "private_key_jwt",
        /// The certificate of the connection: RFC 8705.
        Mtls = "mtls",
    }

    /// The kinds of verdicts on an answer.
    AnswerKind {
        Revoked = "revoked",
        Acknowledged = "acknowledged",
        Accepted = "accepted",
        Gone = "gone",
        Rejected = "rejected",
        Misconfigured = "misconfigured",
        Transient = "transient",
    }
}

/// The form of a body that is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyForm {
    Form,
    Json,
    /// There is none.
    None,
}

impl BodyForm {
    pub const ALL: &[(&str, Self)] =
        &[("form", Self::Form), ("json", Self::Json), ("none", Self::None)];
}

/// The kind of an answer's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    Empty,
    JsonObject,
}

impl BodyKind {
    pub const ALL: &[(&str, Self)] = &[("empty", Self::Empty), ("json_object", Self::JsonObject)];
}

impl AuthMethod {
    /// Whether a client needs a secret.
    #[must_use]
    pub const fn needs_secret(self) -> bool {
        matches!(self, Self::Fields | Self::Basic | Self::Post | Self::Bearer)
    }
}
