//! The images that a cluster of ours needs.

use std::path::Path;

use crate::image::{File, Image};

/// Our own: what `cargo xtask dist` makes. The plugin lies where `allot install-cni` looks for it.
pub fn allotment(bin: &Path) -> Image {
    Image {
        name: "registry.local/allotment:dev".to_owned(),
        entrypoint: vec!["/bin/allot".to_owned()],
        files: vec![
            File::program("/bin/allot", bin.join("allot")),
            File::program("/opt/allotment/allotment", bin.join("allotment")),
        ],
    }
}
