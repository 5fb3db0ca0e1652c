//! Looking around in another network namespace.

use std::fs::File;
use std::io;
use std::sync::LazyLock;

use nix::sched::{CloneFlags, setns};

/// The daemon's own namespace.
static HOME: LazyLock<io::Result<File>> = LazyLock::new(|| File::open("/proc/self/ns/net"));

/// Does `look` with the calling thread in the namespace `there`, and brings the thread home again. A thread of its own would
/// need none of that, but starting one takes longer than the look, and every ADD waits for it.
pub(super) fn visit<T>(there: &File, look: impl FnOnce() -> T) -> io::Result<T> {
    let home = HOME.as_ref().map_err(|error| io::Error::new(error.kind(), error.to_string()))?;
    setns(there, CloneFlags::CLONE_NEWNET)?;
    let _back = Back { home };
    Ok(look())
}

struct Back {
    home: &'static File,
}

impl Drop for Back {
    fn drop(&mut self) {
        if let Err(error) = setns(self.home, CloneFlags::CLONE_NEWNET) {
            // Whatever this thread did next, it would do in a container, and keep its namespace alive.
            tracing::error!(%error, "a thread cannot return to the daemon's network namespace: ending");
            std::process::abort();
        }
    }
}
