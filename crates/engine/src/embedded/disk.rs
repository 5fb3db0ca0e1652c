//! Where the ledger's bytes are.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

/// The file that the ledger is in; a simulator brings one that fails.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Bytes.
    fn len(&self) -> io::Result<u64>;

    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|length| length == 0)
    }

    /// Fills `out` from `offset` on; an error when the file ends before that.
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Cuts the file, or lengthens it with zeros.
    fn set_len(&self, length: u64) -> io::Result<()>;

    /// Returns when everything written is durable.
    fn sync(&self) -> io::Result<()>;

    /// Makes later reads see what is really stored. After a failed sync the kernel shows pages that never reached the
    /// disk as if they had; a ledger that trusted them would build on sand.
    fn drop_cache(&self) -> io::Result<()>;
}

/// A real file.
#[derive(Debug)]
pub struct FileDisk(File);

impl FileDisk {
    pub fn new(file: File) -> FileDisk {
        FileDisk(file)
    }
}

impl Disk for FileDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn drop_cache(&self) -> io::Result<()> {
        posix_fadvise(&self.0, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).map_err(io::Error::from)
    }
}
