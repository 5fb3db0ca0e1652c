//! A thread that may change its network namespace, because nobody uses it afterwards.

use std::io;

use tokio::sync::oneshot;

/// What is done there needs little: a few system calls and a list of interfaces.
const STACK_BYTES: usize = 256 << 10;

/// Runs `work` on a thread of its own. A thread of the runtime that was left in a container's namespace would serve the
/// next caller from there, and would keep the namespace alive.
pub(crate) async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (done, result) = oneshot::channel();
    std::thread::Builder::new().name("netns".to_owned()).stack_size(STACK_BYTES).spawn(move || {
        let _ = done.send(work());
    })?;
    result.await.map_err(|_| io::Error::other("the thread that looked into the namespace panicked"))
}
