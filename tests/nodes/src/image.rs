//! OCI images, made of files at hand: one layer, no registry, the same bytes from the same files.
//!
//! The layout is that of the OCI image specification 1.1, "Image Layout", in one tar: `ctr images import`, `podman load` and
//! `skopeo copy oci-archive:` take it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Folders that programs expect to be there; runtimes mount on some of them.
const FOLDERS: [&str; 6] = ["bin", "dev", "etc", "proc", "sys", "tmp"];

/// What an image has.
#[derive(Clone, Debug)]
pub struct Image {
    /// As a pod names it, with its tag: `registry.local/busybox:1`.
    pub name: String,
    /// What a container runs unless its pod says otherwise with `command`.
    pub entrypoint: Vec<String>,
    /// What comes after that, unless its pod says otherwise with `args`.
    pub command: Vec<String>,
    pub files: Vec<File>,
}

/// A file of an image.
#[derive(Clone, Debug)]
pub struct File {
    /// In the image: `/bin/allot`.
    path: String,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    /// A copy of this file, for everybody to read and run.
    Program(PathBuf),
    /// A file for everybody to read.
    Text(String),
    /// A symbolic link that leads there.
    Link(String),
}

impl File {
    /// A program: it has to be static, since the image has no libraries.
    pub fn program(path: &str, from: impl Into<PathBuf>) -> File {
        File { path: path.to_owned(), content: Content::Program(from.into()) }
    }

    pub fn text(path: &str, text: &str) -> File {
        File { path: path.to_owned(), content: Content::Text(text.to_owned()) }
    }

    pub fn link(path: &str, to: &str) -> File {
        File { path: path.to_owned(), content: Content::Link(to.to_owned()) }
    }
}

impl Image {
    /// Writes the image's tar, at once and whole.
    pub fn write(&self, path: &Path) -> Result<()> {
        let (_, tag) = self.name.rsplit_once(':').with_context(|| format!("`{}` has no tag", self.name))?;
        let layer = Blob::new("application/vnd.oci.image.layer.v1.tar", self.layer()?);
        let config = Blob::json("application/vnd.oci.image.config.v1+json", &self.config(&layer)?);
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": config.descriptor(),
            "layers": [layer.descriptor()],
        });
        let manifest = Blob::json(media_type, &manifest);
        let mut entry = manifest.descriptor();
        entry["platform"] = json!({"architecture": architecture()?, "os": "linux"});
        entry["annotations"] = json!({
            // The first is what the specification has; containerd takes a full name from the second.
            "org.opencontainers.image.ref.name": tag,
            "io.containerd.image.name": self.name,
        });
        let index = json!({"schemaVersion": 2, "manifests": [entry]});
        let mut archive = tar::Builder::new(Vec::new());
        append(&mut archive, "oci-layout", json!({"imageLayoutVersion": "1.0.0"}).to_string().as_bytes())?;
        append(&mut archive, "index.json", index.to_string().as_bytes())?;
        for blob in [manifest, config, layer] {
            append(&mut archive, &format!("blobs/sha256/{}", blob.hash), &blob.bytes)?;
        }
        place(path, &archive.into_inner()?).with_context(|| path.display().to_string())
    }

    fn layer(&self) -> Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        let mut folders: BTreeSet<&Path> = FOLDERS.iter().map(Path::new).collect();
        for file in &self.files {
            let parents = Path::new(file.inside()?).ancestors().skip(1);
            folders.extend(parents.filter(|folder| !folder.as_os_str().is_empty()));
        }
        for folder in folders {
            let mut header = header(tar::EntryType::Directory, if folder == "tmp" { 0o1777 } else { 0o755 });
            archive.append_data(&mut header, folder, &[][..])?;
        }
        for file in &self.files {
            let inside = file.inside()?;
            match &file.content {
                Content::Program(from) => {
                    let bytes = fs::read(from).with_context(|| from.display().to_string())?;
                    append_program(&mut archive, inside, &bytes)?;
                }
                Content::Text(text) => append(&mut archive, inside, text.as_bytes())?,
                Content::Link(to) => {
                    archive.append_link(&mut header(tar::EntryType::Symlink, 0o777), inside, to)?;
                }
            }
        }
        Ok(archive.into_inner()?)
    }

    fn config(&self, layer: &Blob) -> Result<Value> {
        Ok(json!({
            "architecture": architecture()?,
            "os": "linux",
            "config": {
                "Entrypoint": self.entrypoint,
                "Cmd": self.command,
                "Env": ["PATH=/bin:/sbin:/usr/bin:/usr/sbin"],
            },
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", layer.hash)]},
        }))
    }
}

impl File {
    /// The path without its slash, as a layer has it.
    fn inside(&self) -> Result<&str> {
        match self.path.strip_prefix('/') {
            Some(path) if !path.is_empty() => Ok(path),
            _ => bail!("`{}` is no absolute path of a file in an image", self.path),
        }
    }
}

/// What a descriptor points to.
struct Blob {
    media_type: &'static str,
    hash: String,
    bytes: Vec<u8>,
}

impl Blob {
    fn new(media_type: &'static str, bytes: Vec<u8>) -> Blob {
        let mut hash = String::new();
        for byte in Sha256::digest(&bytes) {
            write!(hash, "{byte:02x}").expect("a string takes all");
        }
        Blob { media_type, hash, bytes }
    }

    fn json(media_type: &'static str, value: &Value) -> Blob {
        Blob::new(media_type, value.to_string().into_bytes())
    }

    fn descriptor(&self) -> Value {
        json!({
            "mediaType": self.media_type,
            "digest": format!("sha256:{}", self.hash),
            "size": self.bytes.len(),
        })
    }
}

/// This machine's, in the words of Go, which the specification takes.
fn architecture() -> Result<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        other => bail!("images are made on x86_64 and aarch64; this is {other}"),
    }
}

/// No owner, no time: the same files give the same image.
fn header(kind: tar::EntryType, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    header
}

type Archive = tar::Builder<Vec<u8>>;

fn append(archive: &mut Archive, path: &str, bytes: &[u8]) -> Result<()> {
    append_file(archive, path, bytes, 0o644)
}

fn append_program(archive: &mut Archive, path: &str, bytes: &[u8]) -> Result<()> {
    ensure!(!bytes.is_empty(), "`/{path}` would be empty");
    append_file(archive, path, bytes, 0o755)
}

fn append_file(archive: &mut Archive, path: &str, bytes: &[u8], mode: u32) -> Result<()> {
    let mut header = header(tar::EntryType::Regular, mode);
    header.set_size(u64::try_from(bytes.len())?);
    Ok(archive.append_data(&mut header, path, bytes)?)
}

/// Beside its place first: whoever reads while this writes sees the old file or the new one.
fn place(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut new = tempfile::Builder::new();
    let mut file = new.permissions(fs::Permissions::from_mode(0o644)).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read;

    use super::*;

    fn image(program: &Path) -> Image {
        Image {
            name: "registry.local/thing:1".to_owned(),
            entrypoint: vec!["/bin/thing".to_owned()],
            command: Vec::new(),
            files: vec![File::program("/opt/a/thing", program), File::link("/bin/thing", "/opt/a/thing")],
        }
    }

    fn entries(tar: &[u8]) -> BTreeMap<String, (u32, Vec<u8>)> {
        let mut archive = tar::Archive::new(tar);
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            let path = entry.path().unwrap().display().to_string();
            (path, (entry.header().mode().unwrap(), bytes))
        });
        entries.collect()
    }

    fn blob<'a>(files: &'a BTreeMap<String, (u32, Vec<u8>)>, descriptor: &Value) -> &'a [u8] {
        let hash = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        let bytes = &files[&format!("blobs/sha256/{hash}")].1;
        assert_eq!(descriptor["size"], bytes.len());
        assert_eq!(Blob::new("", bytes.clone()).hash, hash);
        bytes
    }

    #[test]
    fn a_reader_follows_the_digests_from_the_index_to_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("thing");
        fs::write(&program, "program").unwrap();
        let out = folder.path().join("new/image.tar");
        image(&program).write(&out).unwrap();
        let files = entries(&fs::read(&out).unwrap());
        let index: Value = serde_json::from_slice(&files["index.json"].1).unwrap();
        let entry = &index["manifests"][0];
        assert_eq!(entry["annotations"]["io.containerd.image.name"], "registry.local/thing:1");
        let manifest: Value = serde_json::from_slice(blob(&files, entry)).unwrap();
        let config: Value = serde_json::from_slice(blob(&files, &manifest["config"])).unwrap();
        assert_eq!(config["config"]["Entrypoint"], json!(["/bin/thing"]));
        assert_eq!(config["rootfs"]["diff_ids"][0], manifest["layers"][0]["digest"]);
        let layer = entries(blob(&files, &manifest["layers"][0]));
        assert_eq!(layer["opt/a/thing"], (0o755, b"program".to_vec()));
        for folder in ["opt", "opt/a", "bin", "proc"] {
            assert!(layer.keys().any(|path| path.trim_end_matches('/') == folder), "{folder} in {layer:?}");
        }
    }

    #[test]
    fn the_same_files_give_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("thing");
        fs::write(&program, "program").unwrap();
        let written = [1, 2].map(|number| {
            let out = folder.path().join(format!("{number}.tar"));
            image(&program).write(&out).unwrap();
            fs::read(out).unwrap()
        });
        assert_eq!(written[0], written[1]);
    }

    #[test]
    fn what_cannot_be_an_image_is_refused_and_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let (program, out) = (folder.path().join("thing"), folder.path().join("image.tar"));
        let refusal = |image: &Image| image.write(&out).unwrap_err().to_string();
        assert!(refusal(&image(&program)).contains("thing"), "a program that is not there");
        fs::write(&program, "program").unwrap();
        let mut relative = image(&program);
        relative.files[0] = File::program("opt/thing", &program);
        assert!(refusal(&relative).contains("`opt/thing` is no absolute path"));
        let untagged = Image { name: "thing".to_owned(), ..image(&program) };
        assert!(refusal(&untagged).contains("`thing` has no tag"));
        assert!(!out.exists());
    }
}
