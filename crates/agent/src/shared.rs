//! The desk, and word of its changes for all who wait for one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::desk::Desk;

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Shared {
    desk: Arc<Mutex<Desk>>,
    changed: watch::Sender<()>,
}

impl Shared {
    pub(crate) fn new(desk: Desk) -> Shared {
        Shared { desk: Arc::new(Mutex::new(desk)), changed: watch::Sender::new(()) }
    }

    /// Changes something, and tells.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Desk) -> T) -> T {
        let outcome = change(&mut self.lock());
        self.changed.send_replace(());
        outcome
    }

    /// Does what is mostly nobody's matter, and tells if it is.
    pub(crate) fn with<T>(&self, read: impl FnOnce(&mut Desk) -> T) -> T {
        let mut desk = self.lock();
        let outcome = read(&mut desk);
        if desk.take_news() {
            self.changed.send_replace(());
        }
        outcome
    }

    /// Resolves at every change from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Waits until something is so.
    pub(crate) async fn until<T>(&self, mut what: impl FnMut(&mut Desk) -> Option<T>) -> T {
        let mut changes = self.changes();
        loop {
            if let Some(found) = self.with(&mut what) {
                return found;
            }
            changes.changed().await.expect("the sender is ours");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Desk> {
        // After a panic under the lock the rules' state cannot be relied upon: whoever comes next panics, too.
        self.desk.lock().unwrap_or_else(|_: PoisonError<_>| panic!("the desk was left in disorder"))
    }
}
