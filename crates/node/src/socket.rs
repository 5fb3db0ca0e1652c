//! The socket file: made with its final mode in one step, never two daemons behind one path, gone after a clean end.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use nix::sys::stat::{Mode, fchmod};

/// Calls that may wait in the kernel for `accept`: every container of a full node at once.
const BACKLOG: i32 = 1024;

/// The longest path that fits in the kernel's `sockaddr_un`, which ends in a zero byte.
const MAX_PATH: usize = 107;

/// Why the socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error(
        "another allotment daemon answers on {}; stop it, or give this one another socket with --socket",
        .0.display()
    )]
    Taken(PathBuf),
    #[error("{} is there and is no socket; move it away, or give another path with --socket", .0.display())]
    NotASocket(PathBuf),
    #[error("the path of the socket {} is {length} bytes long, the kernel takes {MAX_PATH}; give a shorter one with --socket", .path.display())]
    TooLong { path: PathBuf, length: usize },
    #[error("cannot {what} {}: {source}", .path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },
}

/// A bound, listening socket. Dropping it removes the file.
pub struct Socket {
    path: PathBuf,
    listener: Option<UnixListener>,
    /// Device and inode of the file, so that only our own is removed.
    id: (u64, u64),
    /// Held for as long as the daemon lives; the kernel lets go of it when the process ends, however it ends.
    _lock: File,
}

impl Socket {
    /// Binds and listens. Mode 0600 from the first moment on; a socket that a dead daemon left is replaced, a live one is
    /// an error. A missing folder is made, for its owner only.
    pub fn bind(path: &Path) -> Result<Socket, BindError> {
        let io = |what, path: &Path| {
            let path = path.to_owned();
            move |source| BindError::Io { what, path, source }
        };
        // The socket is bound under a name of its own and then moved, so that nobody finds one that does not answer yet.
        let fresh = beside(path, "new");
        let length = fresh.as_os_str().len();
        if length > MAX_PATH {
            return Err(BindError::TooLong { path: path.to_owned(), length });
        }
        let folder = folder_of(path);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(io("make the folder", folder))?;
        let lock = lock(path)?;
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(BindError::NotASocket(path.to_owned()));
            }
            Ok(_) if UnixStream::connect(path).is_ok() => return Err(BindError::Taken(path.to_owned())),
            _ => {}
        }
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io("remove", &fresh)(error)),
            _ => {}
        }
        let listener = listen_at(&fresh).map_err(io("listen on", &fresh))?;
        let file = fs::symlink_metadata(&fresh).map_err(io("read", &fresh))?;
        fs::rename(&fresh, path).map_err(io("put the socket in place at", path))?;
        Ok(Socket {
            path: path.to_owned(),
            listener: Some(listener),
            id: (file.dev(), file.ino()),
            _lock: lock,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The listening end, once.
    pub(crate) fn take_listener(&mut self) -> UnixListener {
        self.listener.take().expect("a socket is served once: `serve` takes it by value")
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|file| (file.dev(), file.ino()) == self.id);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(socket = %self.path.display(), %error, "the socket could not be removed");
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// The file that a daemon locks beside its socket; it stays when the daemon ends.
pub fn lock_of(socket: &Path) -> PathBuf {
    beside(socket, "lock")
}

/// The lock file decides between two daemons that start at the same moment; looking at the socket alone cannot.
fn lock(path: &Path) -> Result<File, BindError> {
    let name = lock_of(path);
    let io = |what, source| BindError::Io { what, path: name.clone(), source };
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&name)
        .map_err(|error| io("open the lock file", error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(BindError::Taken(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(io("lock", error)),
    }
}

/// Binds with mode 0600: Linux gives the file the mode that the socket has when it is bound.
fn listen_at(path: &Path) -> io::Result<UnixListener> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    fchmod(fd.as_fd(), Mode::S_IRUSR | Mode::S_IWUSR)?;
    bind(std::os::fd::AsRawFd::as_raw_fd(&fd), &UnixAddr::new(path)?)?;
    listen(&fd, Backlog::new(BACKLOG)?)?;
    Ok(UnixListener::from(fd))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn only_the_owner_may_use_the_socket_whatever_the_umask() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/allotment.sock");
        let socket = Socket::bind(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&folder.path().join("run")), 0o700);
        UnixStream::connect(&path).unwrap();
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_live_daemon_keeps_its_socket_and_a_dead_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("allotment.sock");
        let first = Socket::bind(&path).unwrap();
        let Err(error) = Socket::bind(&path) else { panic!("two daemons behind one path") };
        assert!(error.to_string().starts_with("another allotment daemon answers on "), "{error}");
        UnixStream::connect(&path).expect("the first one was not hurt");
        // What a killed daemon leaves: the files, without a lock and without anybody listening.
        let mut dead = first;
        drop(dead.take_listener());
        dead.id = (0, 0);
        drop(dead);
        assert!(path.exists());
        let _second = Socket::bind(&path).unwrap();
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_daemon_whose_lock_file_is_gone_still_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("allotment.sock");
        let _first = Socket::bind(&path).unwrap();
        fs::remove_file(beside(&path, "lock")).unwrap();
        assert!(matches!(Socket::bind(&path), Err(BindError::Taken(_))));
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("allotment.sock");
        fs::write(&path, "somebody's file").unwrap();
        assert!(matches!(Socket::bind(&path), Err(BindError::NotASocket(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "somebody's file");
        let long = folder.path().join("x".repeat(120));
        assert!(matches!(Socket::bind(&long), Err(BindError::TooLong { .. })));
    }
}
