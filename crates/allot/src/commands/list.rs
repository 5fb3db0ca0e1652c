//! `allot subnet`, `pool`, `reservation` and `ip`

use std::collections::BTreeSet;
use std::io::{self, BufWriter};
use std::net::IpAddr;

use allotment_wire::{CheckRow, IpRow, PoolRow, ReservationRow, SubnetRow};
use serde::de::DeserializeOwned;

use crate::args::{Format, IpArgs, NamedArgs};
use crate::client::Client;
use crate::failure::{Failure, Verdict};
use crate::output::{self, Tabular};

/// A row of a kind of object that has a name.
pub(crate) trait Named: Tabular + DeserializeOwned {
    const PATH: &'static str;
    /// As in "no subnet `x`".
    const WHAT: &'static str;

    fn name(&self) -> &str;
}

impl Named for SubnetRow {
    const PATH: &'static str = "/v1/subnets";
    const WHAT: &'static str = "subnet";

    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for PoolRow {
    const PATH: &'static str = "/v1/pools";
    const WHAT: &'static str = "pool";

    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for ReservationRow {
    const PATH: &'static str = "/v1/reservations";
    const WHAT: &'static str = "reservation";

    fn name(&self) -> &str {
        &self.name
    }
}

/// Lists objects of one kind: all, or those named.
pub(crate) async fn named<R: Named>(client: &Client, args: &NamedArgs) -> Result<Verdict, Failure> {
    let mut rows: Vec<R> = client.get(R::PATH, &[]).await?;
    let known: BTreeSet<String> = rows.iter().map(|row| row.name().to_owned()).collect();
    if !args.names.is_empty() {
        rows.retain(|row| args.names.iter().any(|name| name == row.name()));
    }
    output::print(&rows, args.output.format)?;
    if args.output.format == Format::Table {
        if known.is_empty() {
            output::note(&format!("no {} is declared", R::WHAT));
        }
        note_problems(client).await?;
    }
    let missing: Vec<_> = args.names.iter().filter(|&name| !known.contains(name)).collect();
    for name in &missing {
        output::note(&format!("error: there is no {} `{name}`; there are {}", R::WHAT, listed(&known)));
    }
    Ok(if missing.is_empty() { Verdict::Done } else { Verdict::Found })
}

/// Says on standard error what of the objects folder is not in force, lest the table be taken for it.
async fn note_problems(client: &Client) -> Result<(), Failure> {
    let problems: Vec<CheckRow> = client.get("/v1/problems", &[]).await?;
    for row in problems {
        output::note(&format!("not in force: {}", super::check::line(&row)));
    }
    Ok(())
}

/// At most ten names; nobody reads more.
fn listed(names: &BTreeSet<String>) -> String {
    const MOST: usize = 10;
    let text = names.iter().take(MOST).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => "none".to_owned(),
        count if count > MOST => format!("{text} and {} more", count - MOST),
        _ => text,
    }
}

/// The daemon's list without a row.
const NO_ROW: &str = "[]\n";

/// Lists addresses; `Found` where one that is named is not among them, or where nothing passes the filters.
pub(crate) async fn ips(client: &Client, args: &IpArgs) -> Result<Verdict, Failure> {
    let mut query = Vec::new();
    for address in &args.addresses {
        query.push(("address", address.to_string()));
    }
    for state in &args.state {
        query.push(("state", state.as_str().to_owned()));
    }
    let filters = [
        ("vrf", &args.vrf),
        ("subnet", &args.subnet),
        ("pool", &args.pool),
        ("owner", &args.owner),
        ("node", &args.node),
        ("network", &args.network),
    ];
    for (key, value) in filters {
        if let Some(value) = value {
            query.push((key, value.clone()));
        }
    }
    let asks_for_all = query.is_empty();
    let is_empty = if args.output.format == Format::Json && args.addresses.is_empty() {
        // A million rows pass through without being kept.
        let mut out = BufWriter::new(io::stdout().lock());
        client.copy("/v1/ips", &query, &mut out).await? <= NO_ROW.len()
    } else {
        let rows: Vec<IpRow> = client.get("/v1/ips", &query).await?;
        output::print(&rows, args.output.format)?;
        let known: BTreeSet<IpAddr> = rows.iter().filter_map(|row| row.address.parse().ok()).collect();
        let missing = args.addresses.iter().filter(|address| !known.contains(&address.to_canonical()));
        let missing: Vec<String> = missing.map(ToString::to_string).collect();
        if !missing.is_empty() {
            output::note(&format!(
                "not in use: {}; `allot who-has ADDRESS` says what it is",
                missing.join(", ")
            ));
            return Ok(Verdict::Found);
        }
        rows.is_empty()
    };
    if is_empty && args.output.format == Format::Table {
        output::note("no such address is in use");
    }
    Ok(if is_empty && !asks_for_all { Verdict::Found } else { Verdict::Done })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut() {
        let names = |count: usize| (0..count).map(|index| format!("n{index:02}")).collect::<BTreeSet<_>>();
        assert_eq!(listed(&names(0)), "none");
        assert_eq!(listed(&names(2)), "`n00`, `n01`");
        assert!(listed(&names(12)).ends_with("`n09` and 2 more"));
    }
}
