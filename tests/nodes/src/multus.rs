//! Multus as a daemon on the node ("thick"), as `tests/multus` pins it. The nodes themselves come with the other one, that the
//! runtime starts for each call.

use std::path::Path;

use allotment_fleet::programs::root;
use allotment_lab::go::{self, Module};
use anyhow::{Context, Result};

use crate::image::{File, Image};
use crate::programs;

/// The image of its pods, as a `DaemonSet` names it.
pub const IMAGE: &str = "registry.local/multus-thick:4";

/// Writes that image; what is in it is built if it is not there yet.
pub fn write_image(path: &Path) -> Result<()> {
    let module = Module::new(root().canonicalize()?.join("tests/multus"));
    let folder = module.build(&go::tools(&module.manifest()?)).context("Multus cannot be built")?;
    let image = Image {
        name: IMAGE.to_owned(),
        entrypoint: vec!["/bin/multus-daemon".to_owned()],
        command: Vec::new(),
        files: vec![
            File::program("/bin/multus-daemon", folder.join("multus-daemon")),
            File::program("/bin/multus-shim", folder.join("multus-shim")),
            File::program("/bin/busybox", programs::found("busybox")?),
            File::link("/bin/cp", "/bin/busybox"),
            File::link("/var/run", "/run"),
            // It has to find out that it is root.
            File::text("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
        ],
    };
    image.write(path)
}
