//! Tells when the folder of objects may have changed. Only a hint: what is there is always read anew, and now and then
//! without a hint.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// An editor or a copy changes a folder in many small steps: they count as one once it has been quiet for this long.
const QUIET: Duration = Duration::from_millis(50);

/// A folder that never falls quiet is read nevertheless.
const BUSY: Duration = Duration::from_millis(500);

/// Watches a folder that may be missing, a link, or replaced as a whole.
pub(crate) struct Watcher {
    folder: PathBuf,
    armed: Option<Armed>,
    /// Whether it was said that the kernel gives us no watch.
    complained: bool,
}

struct Armed {
    marks: Vec<Mark>,
    hints: mpsc::Receiver<()>,
    _inotify: RecommendedWatcher,
}

/// A watched folder, by name and by what is behind the name.
#[derive(PartialEq)]
struct Mark {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Watcher {
    pub(crate) fn new(folder: &Path) -> Watcher {
        Watcher { folder: folder.to_owned(), armed: None, complained: false }
    }

    /// Watches what stands behind the folder's name now. To be called before each reading: what changes from then on is
    /// told.
    pub(crate) fn arm(&mut self) {
        let marks = marks(&self.folder);
        if self.armed.as_ref().is_some_and(|armed| armed.marks == marks) {
            return;
        }
        self.armed = None;
        match watch(&self.folder, &marks) {
            Ok((inotify, hints)) => {
                self.armed = Some(Armed { marks, hints, _inotify: inotify });
                self.complained = false;
            }
            Err(error) if !self.complained => {
                tracing::warn!(folder = %self.folder.display(), %error, "the objects folder cannot be watched; it is read now and then");
                self.complained = true;
            }
            Err(_) => {}
        }
    }

    /// Waits for a hint that something changed. Never, where there is no watch. Nothing is lost when this is dropped.
    pub(crate) async fn hinted(&mut self) {
        let Some(armed) = &mut self.armed else { return std::future::pending().await };
        if armed.hints.recv().await.is_none() {
            // The watch has died: the next `arm` makes another one.
            self.armed = None;
        }
    }

    /// Waits until whoever writes has come to rest. To be awaited to its end: it uses hints up.
    pub(crate) async fn quiet(&mut self) {
        let Some(armed) = &mut self.armed else { return };
        let latest = Instant::now() + BUSY;
        while let Ok(Some(())) = timeout_at(latest.min(Instant::now() + QUIET), armed.hints.recv()).await {}
    }
}

/// The folder, and the nearest folder above it that exists: there a missing one appears, and a linked one is replaced.
fn marks(folder: &Path) -> Vec<Mark> {
    let mark = |path: &Path| {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let is = fs::metadata(path).ok().filter(fs::Metadata::is_dir)?;
        Some(Mark { path: path.to_owned(), device: is.dev(), inode: is.ino() })
    };
    let above = folder.ancestors().skip(1).find_map(mark);
    mark(folder).into_iter().chain(above).collect()
}

fn watch(folder: &Path, marks: &[Mark]) -> notify::Result<(RecommendedWatcher, mpsc::Receiver<()>)> {
    // One hint in the queue is enough: reading comes after it.
    let (hint, hints) = mpsc::channel(1);
    let folder = folder.to_owned();
    let mut inotify = notify::recommended_watcher(move |event: notify::Result<Event>| {
        if event.map_or(true, |event| matters(&event, &folder)) {
            let _ = hint.try_send(());
        }
    })?;
    for mark in marks {
        inotify.watch(&mark.path, RecursiveMode::NonRecursive)?;
    }
    Ok((inotify, hints))
}

/// Reading alone changes nothing, and neither does what happens beside the folder.
fn matters(event: &Event, folder: &Path) -> bool {
    let changes = match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        _ => true,
    };
    let near = |path: &PathBuf| path.starts_with(folder) || folder.starts_with(path);
    changes && (event.paths.is_empty() || event.paths.iter().any(near))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    async fn told(watcher: &mut Watcher, what: &str) {
        let told = tokio::time::timeout(Duration::from_secs(20), watcher.hinted()).await;
        assert!(told.is_ok(), "not told: {what}");
        watcher.arm();
    }

    #[tokio::test]
    async fn every_way_in_which_a_folder_changes() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("etc/objects");
        let mut watcher = Watcher::new(&folder);
        watcher.arm();

        fs::create_dir(root.path().join("etc")).unwrap();
        told(&mut watcher, "the folder above appears").await;
        fs::create_dir(&folder).unwrap();
        told(&mut watcher, "the folder appears").await;
        fs::write(folder.join("a.yaml"), "x").unwrap();
        told(&mut watcher, "a file appears").await;
        fs::write(folder.join("a.yaml"), "y").unwrap();
        told(&mut watcher, "a file is written").await;
        fs::rename(folder.join("a.yaml"), folder.join("b.yaml")).unwrap();
        told(&mut watcher, "a file is moved").await;
        fs::remove_file(folder.join("b.yaml")).unwrap();
        told(&mut watcher, "a file goes").await;
        fs::remove_dir(&folder).unwrap();
        told(&mut watcher, "the folder goes").await;
        assert!(watcher.armed.is_some());
    }

    #[tokio::test]
    async fn a_link_that_is_swapped_as_a_whole() {
        let root = tempfile::tempdir().unwrap();
        let (folder, fresh) = (root.path().join("objects"), root.path().join("fresh"));
        for name in ["v1", "v2"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        symlink("v1", &folder).unwrap();
        let mut watcher = Watcher::new(&folder);
        watcher.arm();
        symlink("v2", &fresh).unwrap();
        fs::rename(&fresh, &folder).unwrap();
        told(&mut watcher, "the link points elsewhere").await;
        fs::write(root.path().join("v2/a.yaml"), "x").unwrap();
        told(&mut watcher, "a file appears behind the new link").await;
    }

    #[test]
    fn reading_and_the_neighbours_do_not_matter() {
        let folder = Path::new("/etc/allotment/objects");
        let event = |kind, path: &str| Event::new(kind).add_path(path.into());
        let create = EventKind::Create(notify::event::CreateKind::Any);
        let open = EventKind::Access(AccessKind::Open(AccessMode::Any));
        assert!(matters(&event(create, "/etc/allotment/objects/a.yaml"), folder));
        assert!(matters(&event(create, "/etc/allotment"), folder));
        assert!(!matters(&event(create, "/etc/passwd"), folder));
        assert!(!matters(&event(open, "/etc/allotment/objects/a.yaml"), folder));
    }
}
