//! The binary `revoker`.

fn main() {}
