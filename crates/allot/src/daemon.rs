//! What the daemons' starts and ends have in common.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinError;

use crate::failure::Failure;

/// Binds the metrics' address.
pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let text = format!("metrics cannot be served at {address}: {error}");
        Failure::unable(text, "give another address with --metrics")
    })
}

/// Returns when the end was asked for.
pub(crate) async fn told(mut stopping: watch::Receiver<bool>) {
    // Without a sender nobody will tell any more, which is an end, too.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// What is said of a socket that is no longer served: it must not end by itself.
pub(crate) fn unserved(result: Result<io::Result<()>, JoinError>) -> String {
    let why = match result {
        Ok(Ok(())) => "nobody told it to".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    format!("the socket is no longer served: {why}")
}
