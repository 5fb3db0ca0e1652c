//! Whether the disk has room for another commit, told without writing.

use std::path::Path;

use nix::sys::statvfs::{FsFlags, Statvfs, statvfs};

use crate::LedgerError;

/// Bytes. A batch at its largest has some 300 KiB of journal, and the blocks that are folded with it as much.
const ROOM: u64 = 1024 * 1024;

/// An error where a commit into the ledger of a data folder would fail now: its file system has no room left, or may not be
/// written. A guess: what is left is shared with everybody else who writes there.
pub fn check_room(folder: &Path) -> Result<(), LedgerError> {
    let found = statvfs(folder).map_err(|error| error.to_string());
    let judged = found.and_then(|found| judge(left(&found), found.flags().contains(FsFlags::ST_RDONLY)));
    judged.map_err(|why| LedgerError::Write { place: folder.display().to_string(), why })
}

/// Bytes that root can still write; others are left less.
#[expect(clippy::useless_conversion, reason = "the fields are smaller on some targets")]
fn left(found: &Statvfs) -> u64 {
    let blocks =
        if nix::unistd::geteuid().is_root() { found.blocks_free() } else { found.blocks_available() };
    u64::from(blocks).saturating_mul(u64::from(found.fragment_size()))
}

fn judge(left: u64, read_only: bool) -> Result<(), String> {
    if read_only {
        return Err("its file system is mounted read-only".to_owned());
    }
    if left < ROOM {
        return Err(format!(
            "its file system has {} KiB left, and a commit may need {}",
            left / 1024,
            ROOM / 1024
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_commit_from_being_written() {
        assert_eq!(judge(ROOM, false), Ok(()));
        assert_eq!(
            judge(ROOM - 1, false).unwrap_err(),
            "its file system has 1023 KiB left, and a commit may need 1024"
        );
        assert!(judge(u64::MAX, true).unwrap_err().contains("read-only"));
    }

    #[test]
    fn a_folder_is_looked_at() {
        check_room(&std::env::temp_dir()).unwrap();
        let error = check_room(Path::new("/proc/none")).unwrap_err();
        assert!(error.to_string().starts_with("/proc/none cannot be written: "), "{error}");
        // A file system that has no room at all.
        assert!(check_room(Path::new("/proc")).is_err());
    }
}
