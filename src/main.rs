//! The binary `revoker`.

use std::process::ExitCode;

fn main() -> ExitCode {
    revoker::cli::main()
}
