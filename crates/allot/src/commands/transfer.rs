//! `allot export` and `allot import`

use std::fs;
use std::io::{self, BufWriter, Read};
use std::path::Path;

use allotment_wire::ImportRow;

use crate::client::Client;
use crate::failure::{Failure, Verdict};
use crate::output;

/// Writes everything as JSON lines to standard output.
pub(crate) async fn export(client: &Client) -> Result<Verdict, Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    client.copy("/v1/export", &[], &mut out).await?;
    Ok(Verdict::Done)
}

/// Takes over what `export` wrote: all of it, or nothing.
pub(crate) async fn import(client: &Client, file: &Path) -> Result<Verdict, Failure> {
    let read = if file == Path::new("-") {
        let mut lines = Vec::new();
        io::stdin().read_to_end(&mut lines).map(|_| lines)
    } else {
        fs::read(file)
    };
    let lines =
        read.map_err(|error| Failure::unable(format!("{} cannot be read: {error}", file.display()), ""))?;
    let row: ImportRow = client.post("/v1/import", "application/x-ndjson", lines).await?;
    let text = format!(
        "imported {} objects and {} addresses; {} were there already",
        row.objects, row.addresses, row.unchanged
    );
    output::note(&text);
    Ok(Verdict::Done)
}
