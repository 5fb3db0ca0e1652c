//! Which namespace it is.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::LazyLock;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, getsockopt, socket};
use nix::sys::statfs::{NSFS_MAGIC, fstatfs};
use nix::{getsockopt_impl, sockopt_impl};

use allotment_core::{Mac, Netns};

use super::interfaces::mac_of;
use super::visit::visit;

sockopt_impl!(NetnsCookie, GetOnly, libc::SOL_SOCKET, libc::SO_NETNS_COOKIE, u64);

/// The id of this boot; device, inode and cookie say nothing about a namespace of another one.
pub fn boot_id() -> &'static str {
    static ID: LazyLock<String> = LazyLock::new(|| {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        id.trim().to_owned()
    });
    &ID
}

/// A namespace that is open, and so cannot become another one.
pub(super) struct Open {
    file: File,
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl Open {
    /// An error when there is nothing at `path`, or something that is no namespace: an empty file is what a runtime leaves
    /// of an unmounted one.
    pub(super) fn at(path: &Path) -> io::Result<Open> {
        let file = File::open(path)?;
        if fstatfs(&file)?.filesystem_type() != NSFS_MAGIC {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no network namespace"));
        }
        let data = file.metadata()?;
        Ok(Open { device: data.dev(), inode: data.ino(), file })
    }

    pub(super) fn netns(&self, path: String, cookie: Option<u64>) -> Netns {
        Netns { boot: boot_id().to_owned(), device: self.device, inode: self.inode, cookie, path }
    }

    /// Does `look` in the namespace.
    pub(super) fn visit<T>(&self, look: impl FnOnce() -> T) -> io::Result<T> {
        visit(&self.file, look)
    }
}

/// The cookie of the namespace the calling thread is in; nothing on kernels that have none.
pub(super) fn cookie() -> Option<u64> {
    let any = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).ok()?;
    getsockopt(&any, NetnsCookie).ok()
}

/// What an ADD sees of its namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Nothing when the path leads to no namespace.
    pub netns: Option<Netns>,
    /// Nothing when the interface is not there yet (`ptp`), has no MAC, or may not be looked at.
    pub mac: Option<Mac>,
}

/// Which namespace is at `path`: nothing where it leads to none. For whoever need not know what is in it.
pub fn identify(path: &str) -> Option<Netns> {
    look_at(path, cookie).map(|(open, cookie)| open.netns(path.to_owned(), cookie.flatten()))
}

/// Looks at the namespace at `path` and at `interface` in it: some ten system calls. What cannot be seen is left out: the
/// main plugin opens the namespace itself and reports better than we could what is wrong with it.
pub fn observe(path: &str, interface: &str) -> Seen {
    let Some((open, seen)) = look_at(path, || (cookie(), mac_of(interface))) else { return Seen::default() };
    let (cookie, mac) = seen.unwrap_or_default();
    Seen { netns: Some(open.netns(path.to_owned(), cookie)), mac }
}

/// The namespace at `path`, and what `look` sees in it if it can be entered.
fn look_at<T>(path: &str, look: impl FnOnce() -> T) -> Option<(Open, Option<T>)> {
    if path.is_empty() {
        return None;
    }
    let open = Open::at(Path::new(path))
        .inspect_err(|error| tracing::debug!(netns = path, %error, "the namespace cannot be looked at"))
        .ok()?;
    let seen = open
        .visit(look)
        .inspect_err(|error| tracing::debug!(netns = path, %error, "the namespace cannot be entered"))
        .ok();
    Some((open, seen))
}
