//! `allot who-has`, `why` and `audit`

use std::net::IpAddr;

use allotment_wire::{Finding, Severity, WhoHasRow, WhyRow};

use crate::args::Format;
use crate::client::Client;
use crate::failure::{Failure, Verdict};
use crate::words::counted;
use crate::{output, tables};

/// Says who has an address; `Found` when nobody does.
pub(crate) async fn who_has(
    client: &Client,
    address: IpAddr,
    vrf: Option<String>,
    format: Format,
) -> Result<Verdict, Failure> {
    let mut query = vec![("address", address.to_string())];
    query.extend(vrf.map(|vrf| ("vrf", vrf)));
    let rows: Vec<WhoHasRow> = client.get("/v1/who-has", &query).await?;
    if format == Format::Table {
        // One VRF's answer is one or two sentences; a table would only hide them.
        for row in &rows {
            output::line(&row.text)?;
        }
    } else {
        output::print(&rows, format)?;
    }
    let has = |row: &WhoHasRow| row.allocation.as_ref().is_some_and(|held| held.state != "cooling");
    let found = rows.iter().any(has);
    Ok(if found { Verdict::Done } else { Verdict::Found })
}

/// Says why an owner has what it has; `Found` when something stands in its way.
pub(crate) async fn why(client: &Client, owner: String, format: Format) -> Result<Verdict, Failure> {
    let rows: Vec<WhyRow> = client.get("/v1/why", &[("owner", owner.clone())]).await?;
    if format == Format::Table {
        for row in &rows {
            output::line(&format!("{}: {}", tables::owner(&row.owner), row.why))?;
            if let Some(hint) = &row.hint {
                output::line(&format!("  hint: {hint}"))?;
            }
        }
    } else {
        output::print(&rows, format)?;
    }
    if rows.is_empty() {
        return Err(Failure::refused(
            format!(
                "nothing is known of an owner `{owner}`: it has no address, and nothing was refused to it lately"
            ),
            "`allot ip` lists the owners; `Kind/namespace/name`, `namespace/name`, a name, a UID and a container id will do",
        ));
    }
    let refused = rows.iter().any(|row| row.code.is_some());
    Ok(if refused { Verdict::Found } else { Verdict::Done })
}

/// Compares the ledger with itself and with what is live; `Found` when something is wrong.
pub(crate) async fn audit(client: &Client, format: Format) -> Result<Verdict, Failure> {
    let findings: Vec<Finding> = client.get("/v1/audit", &[]).await?;
    output::print(&findings, format)?;
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    if format == Format::Table {
        let warnings = counted((findings.len() - errors) as u64, "warning");
        output::note(&format!("{}, {warnings}", counted(errors as u64, "error")));
    }
    Ok(if errors > 0 { Verdict::Found } else { Verdict::Done })
}
