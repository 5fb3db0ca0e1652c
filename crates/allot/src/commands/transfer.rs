//! `allot export` and `allot import`

use std::fs;
use std::io::{self, BufWriter, Read};
use std::path::Path;

use allotment_wire::ImportRow;

use crate::client::Client;
use crate::failure::{Failure, Verdict};
use crate::output;
use crate::words::counted;

/// Writes everything as JSON lines to standard output.
pub(crate) async fn export(client: &Client) -> Result<Verdict, Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    client.copy("/v1/export", &[], &mut out).await?;
    Ok(Verdict::Done)
}

/// Takes over what `export` wrote: all of it, or nothing.
pub(crate) async fn import(client: &Client, file: &Path) -> Result<Verdict, Failure> {
    let row: ImportRow = client.post("/v1/import", &[], "application/x-ndjson", exported(file)?).await?;
    output::note(&imported(&row));
    Ok(Verdict::Done)
}

/// What `export` wrote.
pub(crate) fn exported(file: &Path) -> Result<Vec<u8>, Failure> {
    let (name, lines) = if file == Path::new("-") {
        let mut lines = Vec::new();
        ("standard input".to_owned(), io::stdin().read_to_end(&mut lines).map(|_| lines))
    } else {
        (file.display().to_string(), fs::read(file))
    };
    lines.map_err(|error| {
        Failure::unable(format!("{name} cannot be read: {error}"), "name a file that `allot export` wrote")
    })
}

/// What became of it, for people.
pub(crate) fn imported(row: &ImportRow) -> String {
    let (objects, addresses) = (counted(row.objects, "object"), counted(row.addresses, "address"));
    let verb = if row.unchanged == 1 { "was" } else { "were" };
    format!("imported {objects} and {addresses}; {} {verb} there already", row.unchanged)
}
