//! The node against the real thing: network namespaces, a Unix socket, an engine with its ledger in a file.

mod namespaces;
