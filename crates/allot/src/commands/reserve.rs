//! `allot reserve` and `allot unreserve`: one file of a Reservation in the objects folder (O6).

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use allotment_core::{Object, Owner, ReservationSpec};
use allotment_wire::{CheckFile, ReservationRow};
use tokio::time::{Instant, sleep};

use super::check;
use crate::args::{ReserveArgs, UnreserveArgs};
use crate::client::Client;
use crate::failure::{Failure, Verdict};
use crate::output;

/// How long a daemon may take to follow the folder before we say that it has not.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two looks at what is in force.
const PAUSE: Duration = Duration::from_millis(50);

/// Sets addresses aside. Refused while a file of that name is there, or when the reservation would be wrong.
pub(crate) async fn reserve(client: &Client, args: ReserveArgs) -> Result<Verdict, Failure> {
    let file = file_of(&args.objects, &args.name);
    let owner = args.purpose.owner.as_deref().map(owner).transpose()?;
    let reason = args.purpose.reason.unwrap_or_default();
    let spec = ReservationSpec {
        name: args.name.clone(),
        subnet: args.subnet,
        addresses: args.addresses,
        owner,
        reason,
    };
    let text = allotment_api::to_yaml(&Object::Reservation(spec));
    let daemon = client.answers().await.is_ok();
    let draft = CheckFile { name: file.display().to_string(), text: text.clone() };
    // Without the daemon the subnet it names is not known here.
    if daemon {
        let wrong = check::ask(client, &[], &[draft]).await?;
        if !wrong.is_empty() {
            let details = wrong.iter().map(check::line).collect();
            let text = "nothing was reserved".to_owned();
            return Err(Failure::Refused { text, details, hint: "correct what is named".to_owned() });
        }
    }
    write(&file, &text).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::refused(
            format!("{} is there already", file.display()),
            format!("take it back with `allot unreserve {}`, or give another name", args.name),
        ),
        _ => Failure::unable(
            format!("{} cannot be written: {error}", file.display()),
            "name the folder with --objects",
        ),
    })?;
    output::note(&format!("{} was written", file.display()));
    if daemon {
        settle(client, &args.name, true).await?;
    } else {
        output::note("note: no daemon answers; it will be checked when one does");
    }
    Ok(Verdict::Done)
}

/// Takes back what `reserve` has written, and nothing else.
pub(crate) async fn unreserve(client: &Client, args: UnreserveArgs) -> Result<Verdict, Failure> {
    let file = file_of(&args.objects, &args.name);
    fs::remove_file(&file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::refused(
            format!("there is no {}", file.display()),
            "only what `allot reserve` has written is taken back; others edit their own files",
        ),
        _ => Failure::unable(
            format!("{} cannot be removed: {error}", file.display()),
            "name the folder with --objects",
        ),
    })?;
    output::note(&format!("{} was removed", file.display()));
    if client.answers().await.is_ok() {
        settle(client, &args.name, false).await?;
    }
    Ok(Verdict::Done)
}

/// The name says who wrote it.
fn file_of(objects: &Path, name: &str) -> PathBuf {
    objects.join(format!("allot-reserve-{name}.yaml"))
}

/// A new file, whole or not at all; never over another one.
fn write(file: &Path, text: &str) -> io::Result<()> {
    let draft = file.with_extension("draft");
    let mut draft_file = File::options().write(true).create(true).truncate(true).mode(0o644).open(&draft)?;
    let linked = draft_file
        .write_all(text.as_bytes())
        .and_then(|()| draft_file.sync_all())
        .and_then(|()| fs::hard_link(&draft, file));
    fs::remove_file(&draft)?;
    linked
}

fn owner(text: &str) -> Result<Owner, Failure> {
    let parts: Vec<&str> = text.split('/').collect();
    match parts[..] {
        [kind, namespace, name] if !kind.is_empty() && !name.is_empty() => Ok(Owner {
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: String::new(),
        }),
        _ => Err(Failure::unable(
            format!("`{text}` names no owner"),
            "write `Kind/namespace/name`; the namespace may be empty: `VirtualMachine//db`",
        )),
    }
}

/// Waits until the daemon has followed.
async fn settle(client: &Client, name: &str, wanted: bool) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let rows: Vec<ReservationRow> = client.get("/v1/reservations", &[]).await?;
        if rows.iter().any(|row| row.name == name) == wanted {
            return Ok(());
        }
        if Instant::now() > deadline {
            let text = format!("the daemon has not followed within {} s", PATIENCE.as_secs());
            return Err(Failure::unable(
                text,
                "see that its --objects is this folder, and what `allot reservation` says",
            ));
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_never_written_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let file = file_of(folder.path(), "printer");
        write(&file, "one").unwrap();
        assert_eq!(write(&file, "two").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&file).unwrap(), "one");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn owners_are_written_in_full() {
        assert_eq!(owner("VirtualMachine/prod/db").unwrap().namespace, "prod");
        assert_eq!(owner("VirtualMachine//db").unwrap().namespace, "");
        for text in ["db", "prod/db", "/prod/db", "VirtualMachine/prod/", "a/b/c/d"] {
            assert!(owner(text).is_err(), "{text}");
        }
    }
}
