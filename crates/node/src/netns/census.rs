//! Every namespace that something on this machine still leads to.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use allotment_core::Netns;

use super::identity::{Open, boot_id, cookie};
use super::interfaces::{Interface, here};

/// Device and inode.
pub(super) type Id = (u64, u64);

/// Which of `recorded`, in their order, are gone for good as far as one look can tell: neither at their path, nor a
/// process's, nor mounted anywhere. Nobody can enter such a namespace again, and the kernel takes its interfaces down;
/// one that somebody keeps by an open file alone is not seen (R1).
///
/// An error, when something could not be looked at, proves nothing about any of them.
pub async fn gone(recorded: Vec<Netns>) -> io::Result<Vec<bool>> {
    aside(move || {
        let census = Census::take()?;
        let mut cookies = HashMap::new();
        recorded.iter().map(|netns| census.is_gone(netns, &mut cookies)).collect()
    })
    .await
}

/// What is on the interfaces of every namespace of this machine but the daemon's own. One that ends meanwhile is left
/// out.
pub async fn contents() -> io::Result<Vec<(Netns, Vec<Interface>)>> {
    aside(|| {
        let census = Census::take()?;
        let own = fs::metadata("/proc/self/ns/net")?;
        let others = census.found.iter().filter(|(id, _)| **id != (own.dev(), own.ino()));
        others.filter_map(|(_, path)| unless_absent(look_into(path)).transpose()).collect()
    })
    .await
}

/// Some thousand system calls are no work for a thread that serves calls.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn look_into(path: &Path) -> io::Result<(Netns, Vec<Interface>)> {
    let open = Open::at(path)?;
    let (cookie, interfaces) = open.visit(|| (cookie(), here()))?;
    Ok((open.netns(path.display().to_string(), cookie), interfaces?))
}

/// Where the live namespaces could be found at one moment.
pub(super) struct Census {
    pub(super) found: HashMap<Id, PathBuf>,
}

impl Census {
    pub(super) fn take() -> io::Result<Census> {
        let mut found = HashMap::new();
        let mut hidden = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let process = entry?.path();
            if !process.file_name().is_some_and(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit))
            {
                continue;
            }
            let path = process.join("ns/net");
            match unless_absent(fs::metadata(&path)) {
                Ok(Some(data)) => _ = found.entry((data.dev(), data.ino())).or_insert(path),
                Ok(None) => {}
                Err(error) => hidden.push((process, error)),
            }
        }
        let seen: HashSet<u64> = if hidden.is_empty() {
            HashSet::new()
        } else {
            found.values().filter_map(|path| files_of(path.ancestors().nth(2)?)).collect()
        };
        for (process, error) in hidden {
            if files_of(&process).is_some_and(|files| !seen.contains(&files)) {
                return Err(error);
            }
        }
        // Mounts outlive processes, so they are the better way in.
        found.extend(mounted(&fs::read_to_string("/proc/self/mountinfo")?));
        Ok(Census { found })
    }

    fn is_gone(&self, netns: &Netns, cookies: &mut HashMap<Id, Option<u64>>) -> io::Result<bool> {
        if netns.boot != boot_id() {
            return Ok(true);
        }
        let id = (netns.device, netns.inode);
        for path in
            [Some(Path::new(&netns.path)), self.found.get(&id).map(PathBuf::as_path)].into_iter().flatten()
        {
            let Some(open) = unless_absent(Open::at(path))? else { continue };
            if (open.device, open.inode) != id {
                continue;
            }
            let Some(recorded) = netns.cookie else { return Ok(false) };
            if let Entry::Vacant(unseen) = cookies.entry(id) {
                unseen.insert(open.visit(cookie)?);
            }
            // The number is the recorded one; the namespace is another one only if its cookie says so.
            return Ok(cookies[&id].is_some_and(|seen| seen != recorded));
        }
        Ok(true)
    }
}

/// A number of the namespace that a process is in. The files under `net` belong to the namespace, and can be compared even
/// where its identity is kept from us: of a process with more capabilities than ours, such as an init.
fn files_of(process: &Path) -> Option<u64> {
    fs::metadata(process.join("net/dev")).map(|data| data.ino()).ok()
}

/// Tells "nothing is there", which is an answer, from "it could not be looked at", which is none: with all file
/// descriptors in use no namespace could be opened, and none would be gone.
pub(super) fn unless_absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) => match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOENT | Errno::ENOTDIR | Errno::ESRCH) => Ok(None),
            None if error.kind() == io::ErrorKind::InvalidInput => Ok(None),
            _ => Err(error),
        },
    }
}

/// The network namespaces among the lines of `mountinfo`, which have their inode number where a mount has its root:
/// `1024 31 0:4 net:[4026532177] /run/netns/a rw shared:5 - nsfs nsfs rw`.
fn mounted(mountinfo: &str) -> impl Iterator<Item = (Id, PathBuf)> {
    mountinfo.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(2);
        let (major, minor) = fields.next()?.split_once(':')?;
        let device = nix::sys::stat::makedev(major.parse().ok()?, minor.parse().ok()?);
        let inode = fields.next()?.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()?;
        Some(((device, inode), PathBuf::from(unescape(fields.next()?))))
    })
}

/// Blanks in a mount point are written as `\040`.
fn unescape(field: &str) -> String {
    let mut text = field.to_owned();
    for (escaped, plain) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        text = text.replace(escaped, plain);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_found_among_the_mounts() {
        let text = "31 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
                    90 31 0:4 net:[4026532177] /run/netns/a\\040b rw shared:5 - nsfs nsfs rw\n\
                    91 31 0:4 mnt:[4026532178] /run/snapd/ns/x.mnt rw - nsfs nsfs rw\n\
                    92 31 0:4 net:[x] /run/netns/y rw - nsfs nsfs rw\nnonsense\n";
        let found: Vec<_> = mounted(text).collect();
        assert_eq!(found, [((4, 4_026_532_177), PathBuf::from("/run/netns/a b"))]);
    }

    #[test]
    fn what_could_not_be_looked_at_is_not_absent() {
        let error = |errno: Errno| unless_absent::<()>(Err(errno.into()));
        assert_eq!(error(Errno::ENOENT).unwrap(), None);
        assert_eq!(error(Errno::ESRCH).unwrap(), None);
        assert!(error(Errno::EMFILE).is_err());
        assert!(error(Errno::EACCES).is_err());
    }

    #[tokio::test]
    async fn a_namespace_of_an_earlier_boot_is_gone_whatever_its_number() {
        let own =
            Open::at(Path::new("/proc/self/ns/net")).unwrap().netns("/proc/self/ns/net".to_owned(), None);
        let earlier = Netns { boot: "an earlier one".to_owned(), ..own.clone() };
        assert_eq!(gone(vec![own, earlier]).await.unwrap(), [false, true]);
    }
}
