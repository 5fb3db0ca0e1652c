//! Tells when the folder of objects may have changed. Only a hint: what is there is always read anew, and now and then
//! without a hint.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt;
use inotify::{EventOwned, EventStream, Inotify, WatchDescriptor, WatchMask};
use tokio::time::{Instant, timeout_at};

/// An editor or a copy changes a folder in many small steps: they count as one once it has been quiet for this long.
const QUIET: Duration = Duration::from_millis(50);

/// A folder that never falls quiet is read nevertheless.
const BUSY: Duration = Duration::from_millis(500);

/// Bytes of events read at once: a few dozen with long names.
const BUFFER: usize = 4096;

/// Names that come, go or change hands.
const NAMES: WatchMask = WatchMask::CREATE
    .union(WatchMask::DELETE)
    .union(WatchMask::MOVED_FROM)
    .union(WatchMask::MOVED_TO)
    .union(WatchMask::DELETE_SELF)
    .union(WatchMask::MOVE_SELF)
    .union(WatchMask::ONLYDIR);

/// And what is written into the files behind them.
const CONTENT: WatchMask =
    NAMES.union(WatchMask::MODIFY).union(WatchMask::CLOSE_WRITE).union(WatchMask::ATTRIB);

/// Watches a folder that may be missing, a link, or replaced as a whole.
pub(crate) struct Watcher {
    folder: PathBuf,
    armed: Option<Armed>,
    /// Whether it was said that the kernel gives us no watch.
    complained: bool,
}

struct Armed {
    marks: Vec<Mark>,
    /// What the kernel calls each of them.
    numbers: Vec<WatchDescriptor>,
    events: EventStream<Vec<u8>>,
}

/// A watched folder, by name and by what is behind the name.
#[derive(Debug, PartialEq)]
struct Mark {
    path: PathBuf,
    device: u64,
    inode: u64,
    /// Of the folder itself everything counts; of one above it, this name.
    only: Option<OsString>,
}

impl Watcher {
    pub(crate) fn new(folder: &Path) -> Watcher {
        Watcher { folder: folder.to_owned(), armed: None, complained: false }
    }

    /// Watches what stands behind the folder's name now. To be called before each reading: what changes from then on is
    /// told.
    pub(crate) fn arm(&mut self) {
        // Looked at once more after it is watched: what came in between is told by nobody.
        loop {
            let marks = marks(&self.folder);
            if self.armed.as_ref().is_some_and(|armed| armed.marks == marks) {
                return;
            }
            match Armed::watch(marks) {
                Ok(armed) => self.armed = Some(armed),
                Err(error) => return self.complain(&error),
            }
            self.complained = false;
        }
    }

    fn complain(&mut self, error: &io::Error) {
        self.armed = None;
        if !self.complained {
            tracing::warn!(folder = %self.folder.display(), %error, "the objects folder cannot be watched; it is read now and then");
            self.complained = true;
        }
    }

    /// Waits for a hint that something changed. Never, where there is no watch. Nothing is lost when this is dropped.
    pub(crate) async fn hinted(&mut self) {
        let Some(armed) = &mut self.armed else { return std::future::pending().await };
        if armed.hint().await.is_err() {
            // The watch has died: the next `arm` makes another one.
            self.armed = None;
        }
    }

    /// Waits until whoever writes has come to rest. To be awaited to its end: it uses hints up.
    pub(crate) async fn quiet(&mut self) {
        let Some(armed) = &mut self.armed else { return };
        let latest = Instant::now() + BUSY;
        while let Ok(Ok(())) = timeout_at(latest.min(Instant::now() + QUIET), armed.hint()).await {}
    }
}

impl Armed {
    fn watch(marks: Vec<Mark>) -> io::Result<Armed> {
        let inotify = Inotify::init()?;
        let watch = |mark: &Mark| {
            let mask = if mark.only.is_some() { NAMES } else { CONTENT };
            inotify.watches().add(&mark.path, mask)
        };
        let numbers = marks.iter().map(watch).collect::<io::Result<_>>()?;
        Ok(Armed { marks, numbers, events: inotify.into_event_stream(vec![0; BUFFER])? })
    }

    /// The next event that matters; an error when there will be none.
    async fn hint(&mut self) -> io::Result<()> {
        loop {
            let event = self.events.next().await.ok_or(io::ErrorKind::UnexpectedEof)??;
            if self.matters(&event) {
                return Ok(());
            }
        }
    }

    /// An event of no mark says that there were too many.
    fn matters(&self, event: &EventOwned) -> bool {
        let mark = self.numbers.iter().position(|number| *number == event.wd).map(|at| &self.marks[at]);
        let only = mark.and_then(|mark| mark.only.as_ref());
        only.is_none_or(|only| event.name.as_ref().is_none_or(|name| name == only))
    }
}

/// The folder. Where it is a link, which is replaced where it stands, or missing, also the nearest folder above it that
/// exists: there the name changes.
fn marks(folder: &Path) -> Vec<Mark> {
    let mark = |path: &Path, only: Option<&OsStr>| {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let is = fs::metadata(path).ok().filter(fs::Metadata::is_dir)?;
        let only = only.map(OsStr::to_owned);
        Some(Mark { path: path.to_owned(), device: is.dev(), inode: is.ino(), only })
    };
    let itself = mark(folder, None);
    let is_link = fs::symlink_metadata(folder).is_ok_and(|data| data.is_symlink());
    let above = || {
        let pairs = folder.ancestors().zip(folder.ancestors().skip(1));
        pairs.into_iter().find_map(|(below, above)| mark(above, below.file_name()))
    };
    let above = if itself.is_none() || is_link { above() } else { None };
    itself.into_iter().chain(above).collect()
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
    fn no_more_is_watched_than_has_to_be() {
        let root = tempfile::tempdir().unwrap();
        let (folder, link) = (root.path().join("etc/objects"), root.path().join("link"));
        let names = |folder: &Path| {
            let marks = marks(folder).into_iter();
            let name = |path: PathBuf| path.strip_prefix(root.path()).unwrap().display().to_string();
            marks
                .map(|mark| (name(mark.path), mark.only.map(|only| only.into_string().unwrap())))
                .collect::<Vec<_>>()
        };
        let row = |path: &str, only: Option<&str>| (path.to_owned(), only.map(str::to_owned));
        assert_eq!(names(&folder), [row("", Some("etc"))], "where it will appear");
        fs::create_dir_all(&folder).unwrap();
        assert_eq!(names(&folder), [row("etc/objects", None)], "nothing above it");
        symlink(&folder, &link).unwrap();
        assert_eq!(names(&link), [row("link", None), row("", Some("link"))], "where the link is swapped");
        fs::remove_dir(&folder).unwrap();
        assert_eq!(names(&link), [row("", Some("link"))], "a link to nowhere");
    }

    #[tokio::test]
    async fn what_happens_beside_a_link_is_no_hint() {
        let root = tempfile::tempdir().unwrap();
        let (folder, link) = (root.path().join("folder"), root.path().join("link"));
        fs::create_dir(&folder).unwrap();
        symlink(&folder, &link).unwrap();
        let mut watcher = Watcher::new(&link);
        watcher.arm();
        fs::write(root.path().join("beside"), "x").unwrap();
        fs::read_dir(&link).unwrap().for_each(drop);
        fs::write(folder.join("a.yaml"), "x").unwrap();
        let armed = watcher.armed.as_mut().unwrap();
        let event = armed.events.next().await.unwrap().unwrap();
        assert_eq!(event.name.as_deref(), Some(OsStr::new("beside")));
        assert!(!armed.matters(&event));
        armed.hint().await.unwrap();
    }
}
