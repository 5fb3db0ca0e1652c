//! `allot ready`

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::client::Client;
use crate::failure::{Failure, Verdict};

/// Between two questions: the daemon has to answer them, too.
const PAUSE: Duration = Duration::from_millis(50);

/// Waits until the daemon serves, `timeout` at the most.
pub(crate) async fn ready(client: &Client, timeout: Duration) -> Result<Verdict, Failure> {
    let deadline = Instant::now() + timeout;
    let mut last = None;
    loop {
        match timeout_at(deadline, client.ready()).await {
            Ok(Ok(())) => return Ok(Verdict::Done),
            Ok(Err(failure)) => last = Some(failure),
            Err(_) => {}
        }
        if Instant::now() + PAUSE >= deadline {
            let why =
                last.map_or_else(|| "the daemon does not answer".to_owned(), |failure| failure.to_string());
            return Err(Failure::unable(
                format!("not ready within {timeout:?}: {why}"),
                "see the daemon's log",
            ));
        }
        sleep(PAUSE).await;
    }
}
