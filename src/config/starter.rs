//! A small file to start from.

use std::fmt::{self, Write as _};

use crate::endpoint::{AuthMethod, Profile};

/// A commented file with the settings that a worker with this profile needs. A blank is `""`, which a load refuses by
/// its line.
#[must_use]
pub fn starter(profile: &Profile) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut text, profile);
    text
}

fn write(text: &mut String, profile: &Profile) -> fmt::Result {
    let name = &profile.name;
    write!(
        text,
        "\
# Settings of a worker for the profile {name}. Fill in each \"\". `revoker --config FILE check` names the rest.
# `revoker config print --effective` prints every setting. The file config/default.toml documents them.

[broker]
# User, password, host and virtual host. Use amqps:// for any host but this one. `url_file` names a file with it.
url = \"amqp://guest:guest@127.0.0.1:5672/%2f\"

# The queue of logouts. The names of the other queues derive from it.
queue = \"revocations\"

# false, if the queues are provisioned elsewhere; \"missing\" declares only those that are absent.
# `revoker topology print` prints what to provision.
declare = true

[endpoint]
profile = \"{name}\"
"
    )?;
    endpoint(text, profile)?;
    if profile.auth().needs_secret() {
        text.write_str(
            "
# More clients: [credentials.clients.ID] or a folder with a file for each, `directory`.
[credentials]
# The client of jobs that name none.
client_id = \"\"
# A file that holds its secret. `client_secret` instead is the secret itself.
client_secret_file = \"\"
",
        )?;
    } else if profile.names_client(profile.auth()) {
        text.write_str(
            "
[credentials]
# The client that every call names. It has no secret.
client_id = \"\"
",
        )?;
    }
    text.write_str(
        "
# Calls per second at most. Without it, only the concurrency limits the calls.
# [flow]
# rate = 50.0

# Metrics and probes. Containers use \"0.0.0.0:9464\".
[admin]
listen = \"127.0.0.1:9464\"
",
    )
}

fn endpoint(text: &mut String, profile: &Profile) -> fmt::Result {
    if profile.is_alignet() {
        return text.write_str(
            "
# \"development\", \"pre-production\" or \"production\".
environment = \"development\"
",
        );
    }
    if profile.url().is_none() {
        text.write_str(
            "
# The URL of the server's revocation endpoint.
url = \"\"
",
        )?;
    }
    if profile.auth() == AuthMethod::Bearer {
        text.write_str(
            "
[endpoint.auth]
# Where the worker gets access tokens by the client credentials grant.
token_url = \"\"
",
        )?;
    }
    Ok(())
}
