//! The command line: one file per subcommand; wires the parts.

pub mod mock_endpoint;
