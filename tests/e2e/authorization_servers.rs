//! Three real authorization servers: node-oidc-provider, django-oauth-toolkit and Authlib.
//!
//! They come from package registries, so the tests are ignored by default. `scripts/authorization-servers` installs the servers,
//! and `scripts/test` runs the tests where it can.

mod answers;
mod leaking;
mod refusing;
mod revoking;
mod surviving;
mod verifying;
