//! `allot agent --retire`: an agent that takes Allotment off its node, once nothing there needs it any more.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use allotment_agent::Agent;
use allotment_wire::PENDING_DEL;

use crate::commands::remove;
use crate::failure::Failure;

/// What is to go, and whether it has gone.
#[derive(Default)]
pub(crate) struct Retirement {
    /// In this order: nobody is to be sent to a plugin that is gone.
    files: Vec<PathBuf>,
    is_over: AtomicBool,
}

impl Retirement {
    pub(crate) fn of(files: Vec<PathBuf>) -> Retirement {
        Retirement { files, is_over: AtomicBool::new(false) }
    }

    /// Removes the files once nothing on the node has an address of ours. It ends with a failure only.
    pub(crate) async fn follow(&self, agent: &Agent) -> Failure {
        if self.files.is_empty() {
            return std::future::pending().await;
        }
        agent.retire().await;
        for file in &self.files {
            if let Err(failure) = remove(file) {
                return failure;
            }
        }
        self.is_over.store(true, Ordering::Relaxed);
        tracing::info!(
            "nothing on this node has an address of ours, and its runtime no longer knows Allotment"
        );
        std::future::pending().await
    }

    /// Whether something on the node has to end first.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.files.is_empty() && !self.is_over()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

/// Deletes what the agent has beside these files: the journal, which has nothing to remember any more, the socket's lock, and
/// the folder of waiting releases, unless one came meanwhile.
pub(crate) fn forget(state: &Path, socket: &Path) -> Result<(), Failure> {
    let gone = |place: &Path, removed: io::Result<()>| match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let text = format!("{} cannot be deleted: {error}", place.display());
            Err(Failure::unable(text, "delete it by hand: nothing needs it"))
        }
        _ => Ok(()),
    };
    gone(state, fs::remove_dir_all(state))?;
    let pending = socket.with_file_name(PENDING_DEL);
    gone(&pending, fs::remove_dir(&pending))?;
    let lock = allotment_node::lock_of(socket);
    gone(&lock, fs::remove_file(&lock))
}
