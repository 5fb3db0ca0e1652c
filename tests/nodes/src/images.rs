//! The images that a cluster of ours needs.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::image::{File, Image};
use crate::programs;

/// Our own: what `cargo xtask dist` makes, without the tables of lines, which are most of it. A panic still says its file and
/// line, and a backtrace the names of functions. The plugin lies where `allot install-cni` looks for it.
pub fn allotment(bin: &Path, file: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let lean = folder.path().join("allot");
    let mut strip = Command::new(programs::found("strip")?);
    allotment_lab::run(strip.arg("--strip-debug").arg("-o").arg(&lean).arg(bin.join("allot")))?;
    let image = Image {
        name: "registry.local/allotment:dev".to_owned(),
        entrypoint: vec!["/bin/allot".to_owned()],
        command: Vec::new(),
        files: vec![
            File::program("/bin/allot", lean),
            File::program("/opt/allotment/allotment", bin.join("allotment")),
        ],
    };
    image.write(file)
}

/// For anybody's pods: the distribution's busybox, under all its names.
fn busybox() -> Result<Image> {
    let program = programs::found("busybox")?;
    let applets = allotment_lab::run(Command::new(&program).arg("--list"))?;
    let link = |applet: &str| File::link(&format!("/bin/{applet}"), "/bin/busybox");
    let links = applets.lines().filter(|&applet| applet != "busybox").map(link);
    let mut files = vec![
        File::program("/bin/busybox", program),
        File::text(
            "/etc/passwd",
            "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
        ),
        File::text("/etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    ];
    files.extend(links);
    Ok(Image {
        name: "registry.local/busybox:1".to_owned(),
        entrypoint: Vec::new(),
        command: vec!["sh".to_owned()],
        files,
    })
}

/// What keeps a pod's namespaces: it does nothing, for ever.
fn pause() -> Result<Image> {
    Ok(Image {
        name: "registry.local/pause:1".to_owned(),
        entrypoint: ["/bin/busybox", "sleep", "infinity"].map(str::to_owned).to_vec(),
        command: Vec::new(),
        files: vec![File::program("/bin/busybox", programs::found("busybox")?)],
    })
}

/// Writes every image into the folder, for nodes to import.
pub(crate) fn write_all(folder: &Path, bin: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    pause()?.write(&folder.join("pause.tar"))?;
    busybox()?.write(&folder.join("busybox.tar"))?;
    allotment(bin, &folder.join("allotment.tar"))
}
