//! `revoker report verify`: checks the signature of a report.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    cli::{
        exit::{Exit, Failure},
        output::{self, OutputArgs},
        report_file::signature_of,
    },
    endpoint::read_file,
    report::{KeyId, PublicKey},
};

/// Check that a report is unchanged, and which key signed it
///
/// `openssl pkeyutl -verify -pubin -inkey PUBLIC.pem -rawin -in REPORT -sigfile REPORT.sig` checks the same.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  openssl genpkey -algorithm ed25519 -out key.pem
  openssl pkey -in key.pem -pubout -out public.pem
  revoker report verify report.json --key public.pem

Exit codes: 0 the report is unchanged, and this key signed it; 1 it is not so; 2 a file is missing, or is no key.")]
pub(super) struct VerifyArgs {
    /// The report, as JSON or as a page
    #[arg(value_name = "REPORT")]
    report: PathBuf,

    /// The public key of the signature (PEM)
    #[arg(long, value_name = "PUBLIC")]
    key: PathBuf,

    /// The file of the signature; by default REPORT.sig
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,

    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Serialize)]
struct Verified {
    report: String,
    valid: bool,
    key: KeyId,
    /// The key that the report names.
    signed_by: Option<KeyId>,
}

pub(super) fn run(args: &VerifyArgs) -> Result<Exit, Failure> {
    let signature_file = args.signature.clone().unwrap_or_else(|| signature_of(&args.report));
    let key = PublicKey::read(&read(&args.key, read_file)?);
    let key = key.map_err(|fault| Failure::usage(format!("{}: {fault}", args.key.display())))?;
    let report = read(&args.report, whole)?;
    let signature = read(&signature_file, read_file)?;
    let verified = Verified {
        report: args.report.display().to_string(),
        valid: key.verifies(&report, &signature),
        key: key.id(),
        signed_by: KeyId::find(&report),
    };
    if args.output.is_json() {
        output::print(&output::json(&verified))?;
    } else if verified.valid {
        output::print(&format!("{}: unchanged, signed by {}\n", verified.report, verified.key))?;
    }
    if verified.valid { Ok(Exit::Done) } else { Err(Failure::new(why(&verified))) }
}

/// Why a signature does not fit, as far as it can be told.
fn why(Verified { report, key, signed_by, .. }: &Verified) -> String {
    match signed_by {
        Some(other) if other != key => {
            format!("{report}: it names the key {other}, and the given one is {key}")
        }
        Some(_) => {
            format!("{report}: the report or its signature was changed after {key} signed it")
        }
        None => format!(
            "{report}: it names no key, and {key} did not sign it as it is: it was written without --sign-key-file, or \
             changed later"
        ),
    }
}

/// A report may be longer than a file of the configuration.
fn whole(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path)
}

fn read(path: &Path, read: impl FnOnce(&Path) -> io::Result<Vec<u8>>) -> Result<Vec<u8>, Failure> {
    read(path)
        .map_err(|error| Failure::usage(format!("{} cannot be read: {error}", path.display())))
}
