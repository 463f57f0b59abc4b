//! A client as the flow knows it.

/// The number of a client with a configured secret, for as long as the process runs. It is never given to another
/// client, so what is known of a client stays its own when secrets are read again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientKey(pub u32);
