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
    /// What an endpoint answers to the second revocation of a token.
    Repeat {
        /// The same as to the first.
        Revoked = "revoked",
        /// That the token does not exist any more.
        Gone = "gone",
        /// A rejection.
        Rejected = "rejected",
        /// That it will happen later.
        Accepted = "accepted",
    }

    /// What a success of an endpoint is worth.
    Proof {
        /// The answer speaks of this token.
        Said = "said",
        /// It does not.
        Acknowledged = "acknowledged",
        /// It happens later.
        Accepted = "accepted",
    }

    /// What dies with a token.
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
        /// Nobody knows.
        Unknown = "unknown",
    }

    /// How a client proves itself to an endpoint.
    AuthMethod {
        /// By fields of the profile.
        Fields = "fields",
        /// By the header of RFC 7617.
        Basic = "basic",
        /// By the fields `client_id` and `client_secret`.
        Post = "post",
        /// Not at all.
        None = "none",
        /// By the token itself, as a bearer.
        SelfBearer = "self",
        /// By an access token, got with the client's credentials.
        Bearer = "bearer",
        /// By a signed JWT: RFC 7523.
        PrivateKeyJwt = "private_key_jwt",
        /// By the certificate of the connection: RFC 8705.
        Mtls = "mtls",
    }

    /// What follows from an answer.
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

/// What the body of an answer is.
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
