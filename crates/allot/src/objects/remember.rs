//! Which objects came from files, kept beside the ledger: only they go when their file goes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use allotment_core::ObjectKey;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

const VERSION: u32 = 1;

/// Objects that came from files, each with the last file it came from.
pub(crate) type FromFiles = BTreeMap<ObjectKey, String>;

/// The list, and its file.
pub(crate) struct Remembered {
    path: PathBuf,
    files: watch::Sender<Arc<FromFiles>>,
}

/// The folder that is followed, and what came from it, for whoever asks.
#[derive(Clone)]
pub(crate) struct Sources {
    folder: PathBuf,
    files: watch::Receiver<Arc<FromFiles>>,
}

impl Sources {
    /// Where no folder is followed.
    pub(crate) fn none() -> Sources {
        Sources { folder: PathBuf::new(), files: watch::channel(Arc::default()).1 }
    }

    pub(crate) fn files(&self) -> Arc<FromFiles> {
        Arc::clone(&self.files.borrow())
    }

    /// Whether `path`, without links in it, is the folder.
    pub(crate) fn is_folder(&self, path: &Path) -> bool {
        self.folder.canonicalize().is_ok_and(|folder| folder == path)
    }
}

#[derive(Deserialize, Serialize)]
struct Stored {
    version: u32,
    objects: Vec<StoredObject>,
}

#[derive(Deserialize, Serialize)]
struct StoredObject {
    #[serde(flatten)]
    key: ObjectKey,
    file: String,
}

impl Remembered {
    /// Reads what was written last; nothing when there is no file yet.
    pub(crate) fn open(data: &Path) -> io::Result<Remembered> {
        let path = data.join("objects-from-files.json");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Remembered { path, files: watch::Sender::default() });
            }
            Err(error) => return Err(error),
        };
        let stored: Stored = serde_json::from_slice(&text)?;
        if stored.version != VERSION {
            let text = format!("it has version {}, this program knows {VERSION}", stored.version);
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let files: FromFiles = stored.objects.into_iter().map(|object| (object.key, object.file)).collect();
        Ok(Remembered { path, files: watch::Sender::new(Arc::new(files)) })
    }

    pub(crate) fn files(&self) -> Arc<FromFiles> {
        Arc::clone(&self.files.borrow())
    }

    /// For whoever asks what came from `folder`.
    pub(crate) fn sources(&self, folder: &Path) -> Sources {
        Sources { folder: folder.to_owned(), files: self.files.subscribe() }
    }

    /// Changes the list, durably; nothing is written when nothing changes.
    pub(crate) fn update(&mut self, change: impl FnOnce(&mut FromFiles)) -> io::Result<()> {
        let before = self.files();
        let mut files = FromFiles::clone(&before);
        change(&mut files);
        if files != *before {
            self.write(&files)?;
            self.files.send_replace(Arc::new(files));
        }
        Ok(())
    }

    /// A new file in place of the old one: after a crash it is one of the two.
    fn write(&self, files: &FromFiles) -> io::Result<()> {
        let objects =
            files.iter().map(|(key, file)| StoredObject { key: key.clone(), file: file.clone() }).collect();
        let text = serde_json::to_vec_pretty(&Stored { version: VERSION, objects })?;
        let fresh = self.path.with_extension("json.new");
        let mut file = File::create(&fresh)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&fresh, &self.path)?;
        let folder = self.path.parent().expect("the file lies in the data folder");
        File::open(folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use allotment_core::ObjectKind;

    use super::*;

    #[test]
    fn what_was_written_is_read_again() {
        let data = tempfile::tempdir().unwrap();
        let key = ObjectKey { kind: ObjectKind::Subnet, name: "rack-a".to_owned() };
        let mut remembered = Remembered::open(data.path()).unwrap();
        assert!(remembered.files().is_empty());
        remembered.update(|files| drop(files.insert(key.clone(), "a.yaml".to_owned()))).unwrap();
        let again = Remembered::open(data.path()).unwrap();
        assert_eq!(again.files()[&key], "a.yaml");
    }

    #[test]
    fn another_version_is_not_guessed_at() {
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join("objects-from-files.json"), r#"{"version": 2, "objects": []}"#).unwrap();
        let error = Remembered::open(data.path()).err().unwrap();
        assert!(error.to_string().contains("version 2"), "{error}");
    }
}
