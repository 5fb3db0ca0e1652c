//! `allot install-cni`

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::args::InstallCniArgs;
use crate::failure::{Failure, Verdict};
use crate::output;

/// What the plugin is called, as configurations name it in `ipam.type`.
const PLUGIN: &str = "allotment";

/// What a runtime takes for a configuration; it leaves everything else in its folder alone.
const ENDINGS: [&str; 3] = ["conf", "conflist", "json"];

/// Installs or removes, as the arguments say.
pub(crate) fn install_cni(args: &InstallCniArgs) -> Result<Verdict, Failure> {
    let config = match (&args.config, &args.config_dir) {
        (Some(file), Some(folder)) => Some((file, folder.join(config_name(file)?))),
        _ => None,
    };
    let plugin = args.bin_dir.join(PLUGIN);
    if args.remove {
        if let Some((_, place)) = &config {
            remove(place)?;
        }
        remove(&plugin)?;
        return Ok(Verdict::Done);
    }
    // Whatever can be wrong with what is given, before anything is changed.
    let program = read(&args.plugin, "name the plugin's file with --plugin")?;
    ensure_runs(&args.plugin)?;
    let text = config.as_ref().map(|(file, _)| configuration(file)).transpose()?;
    put(&plugin, &program, 0o755)?;
    if let (Some((_, place)), Some(text)) = (config, text) {
        put(&place, text.as_bytes(), 0o644)?;
    }
    Ok(Verdict::Done)
}

fn config_name(file: &Path) -> Result<&OsStr, Failure> {
    let is_seen = file.extension().and_then(OsStr::to_str).is_some_and(|ending| ENDINGS.contains(&ending));
    file.file_name().filter(|_| is_seen).ok_or_else(|| {
        let text = format!("no runtime takes {} for a configuration", file.display());
        Failure::unable(text, format!("let its name end in .{}", ENDINGS.join(", .")))
    })
}

/// A configuration that a runtime can read. One that it cannot may keep the node from starting any pod.
fn configuration(file: &Path) -> Result<String, Failure> {
    let hint = "name a network's configuration, as the CNI specification has it, with --config";
    let wrong = |why: &str| Failure::unable(format!("{} is no configuration: {why}", file.display()), hint);
    let text = String::from_utf8(read(file, hint)?).map_err(|_| wrong("it is no text"))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| wrong(&error.to_string()))?;
    if value["name"].as_str().is_none_or(str::is_empty) {
        return Err(wrong("it has no `name`"));
    }
    let is_list = value["plugins"].as_array().is_some_and(|plugins| !plugins.is_empty());
    if !is_list && !value["type"].is_string() {
        return Err(wrong("it has neither `plugins` nor a `type`"));
    }
    Ok(text)
}

/// A program for another kind of machine must not take the place of one that works.
fn ensure_runs(plugin: &Path) -> Result<(), Failure> {
    let unable = |why: String| {
        let text = format!("{} does not run on this machine: {why}", plugin.display());
        Failure::unable(text, "name a plugin that was built for this machine with --plugin")
    };
    let output = Command::new(plugin)
        .env_clear()
        .env("CNI_COMMAND", "VERSION")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| unable(error.to_string()))?;
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    if answer["supportedVersions"].is_array() {
        return Ok(());
    }
    Err(unable(format!("it does not answer VERSION as a CNI plugin ({})", output.status)))
}

fn read(file: &Path, hint: &str) -> Result<Vec<u8>, Failure> {
    fs::read(file)
        .map_err(|error| Failure::unable(format!("{} cannot be read: {error}", file.display()), hint))
}

/// Puts a file in place at once and whole, while others may be reading or running what was there.
fn put(place: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    if is_in_place(place, bytes, mode) {
        output::note(&format!("{} is as it should be", place.display()));
        return Ok(());
    }
    replace(place, bytes, mode).map_err(|error| {
        let text = format!("{} cannot be put in place: {error}", place.display());
        Failure::unable(text, "see that its folder can be written, as root")
    })?;
    output::note(&format!("{} was put in place", place.display()));
    Ok(())
}

fn is_in_place(place: &Path, bytes: &[u8], mode: u32) -> bool {
    let has_mode = fs::symlink_metadata(place)
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o7777 == mode);
    has_mode && fs::read(place).is_ok_and(|present| present == bytes)
}

fn replace(place: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = place.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    remove_drafts(place);
    // In the same folder, so that the rename is one step; under a name of its own, so that two runs never write one file;
    // without an ending that a runtime looks for.
    let (start, end) = draft_of(place);
    let mut draft = tempfile::Builder::new().prefix(&start).suffix(end).tempfile_in(folder)?;
    draft.write_all(bytes)?;
    draft.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    draft.as_file().sync_all()?;
    // Nothing that is open for writing can be run: it is closed before it has its name.
    draft.into_temp_path().persist(place)?;
    // The name is as durable as the file.
    File::open(folder)?.sync_all()
}

/// How a draft's name begins and ends.
fn draft_of(place: &Path) -> (String, &'static str) {
    (format!(".{}.", place.file_name().unwrap_or_default().to_string_lossy()), ".new")
}

/// What killed runs have left. Another run whose draft goes has to begin again, and no more.
fn remove_drafts(place: &Path) {
    let (start, end) = draft_of(place);
    let entries = place.parent().and_then(|folder| fs::read_dir(folder).ok());
    for entry in entries.into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(&start) && name.ends_with(end)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Takes away a file that [`install_cni`] has put there, and drafts of it.
pub(crate) fn remove(place: &Path) -> Result<(), Failure> {
    match fs::remove_file(place) {
        Ok(()) => output::note(&format!("{} was removed", place.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            output::note(&format!("{} is not there", place.display()));
        }
        Err(error) => {
            let text = format!("{} cannot be removed: {error}", place.display());
            return Err(Failure::unable(text, "see that its folder can be written, as root"));
        }
    }
    remove_drafts(place);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("bin/allotment");
        fs::create_dir(folder.path().join("bin")).unwrap();
        fs::write(folder.path().join("bin/.allotment.x.new"), "left by a killed run").unwrap();
        put(&place, b"one", 0o755).unwrap();
        let old = File::open(&place).unwrap();
        put(&place, b"two", 0o755).unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"two");
        assert_eq!(io::read_to_string(old).unwrap(), "one", "who has it open keeps it");
        assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o7777, 0o755);
        assert_eq!(names(&folder.path().join("bin")), ["allotment"]);
    }

    #[test]
    fn what_is_in_place_is_left_alone() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("allotment");
        put(&place, b"one", 0o755).unwrap();
        let inode = || fs::metadata(&place).unwrap().ino();
        let before = inode();
        put(&place, b"one", 0o755).unwrap();
        assert_eq!(inode(), before);
        fs::set_permissions(&place, fs::Permissions::from_mode(0o600)).unwrap();
        put(&place, b"one", 0o755).unwrap();
        assert_ne!(inode(), before, "another mode is not as it should be");
    }

    #[test]
    fn a_link_is_replaced_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (place, other) = (folder.path().join("allotment"), folder.path().join("other"));
        fs::write(&other, "another plugin").unwrap();
        std::os::unix::fs::symlink(&other, &place).unwrap();
        put(&place, b"one", 0o755).unwrap();
        assert_eq!(fs::read(&other).unwrap(), b"another plugin");
        assert_eq!(fs::read(&place).unwrap(), b"one");
    }

    #[test]
    fn configurations_that_a_runtime_could_not_use() {
        let folder = tempfile::tempdir().unwrap();
        let says = |name: &str, text: &str| {
            let file = folder.path().join(name);
            fs::write(&file, text).unwrap();
            config_name(&file).and_then(|_| configuration(&file)).map_err(|failure| failure.to_string())
        };
        assert!(says("a.conflist", r#"{"name": "lan", "plugins": [{"type": "bridge"}]}"#).is_ok());
        assert!(says("a.conf", r#"{"name": "lan", "type": "bridge"}"#).is_ok());
        for (name, text, why) in [
            ("a.txt", "{}", "no runtime takes"),
            ("a", "{}", "no runtime takes"),
            ("a.conf", "{", "is no configuration: EOF"),
            ("a.conf", "[]", "it has no `name`"),
            ("a.conf", r#"{"name": "", "type": "bridge"}"#, "it has no `name`"),
            ("a.conflist", r#"{"name": "lan", "plugins": []}"#, "neither `plugins` nor a `type`"),
        ] {
            let said = says(name, text).unwrap_err();
            assert!(said.contains(why), "{name} {text}: {said}");
        }
    }
}
