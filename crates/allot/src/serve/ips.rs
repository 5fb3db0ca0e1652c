//! `GET /v1/ips`: addresses, streamed as they are read.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use allotment_core::{Allocation, BlockId, Family, IpRange, State};
use allotment_engine::{EngineError, Handle, Pages};
use allotment_wire::IpRow;
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream::try_unfold;

use super::atlas::Atlas;
use super::owners::OwnerPattern;
use super::reply::Trouble;
use super::rows;

/// Which addresses are wanted; what is empty filters nothing.
#[derive(Default)]
pub(crate) struct Filter {
    addresses: BTreeSet<IpAddr>,
    states: BTreeSet<String>,
    vrf: Option<String>,
    subnet: Option<String>,
    pool: Option<String>,
    owner: Option<OwnerPattern>,
    node: Option<String>,
    network: Option<String>,
}

impl Filter {
    /// Reads the query; `address` and `state` may repeat.
    pub(crate) fn parse(query: Vec<(String, String)>) -> Result<Filter, Trouble> {
        let mut filter = Filter::default();
        for (key, value) in query {
            match key.as_str() {
                "address" => {
                    let address: IpAddr =
                        value.parse().map_err(|_| Trouble::usage(format!("`{value}` is no address")))?;
                    filter.addresses.insert(address.to_canonical());
                }
                "state" => {
                    filter.states.insert(value);
                }
                "vrf" => filter.vrf = Some(value),
                "subnet" => filter.subnet = Some(value),
                "pool" => filter.pool = Some(value),
                "owner" => filter.owner = Some(Trouble::owner(&value)?),
                "node" => filter.node = Some(value),
                "network" => filter.network = Some(value),
                _ => return Err(Trouble::usage(format!("`{key}` filters nothing"))),
            }
        }
        if filter.states.is_empty() {
            filter.states = in_use();
        }
        Ok(filter)
    }

    /// What an owner has, keeps or gave back just now.
    pub(crate) fn of_owner(owner: OwnerPattern) -> Filter {
        Filter { owner: Some(owner), states: in_use(), ..Filter::default() }
    }

    /// Which blocks can have such addresses.
    fn blocks(&self, atlas: &Atlas) -> impl Fn(&State, BlockId) -> bool + Send + Sync + 'static {
        let vrf = self.vrf.clone();
        let within: Option<Vec<IpRange>> = self.subnet.as_ref().map(|name| {
            let cidrs = atlas.region(name).map(|region| region.subnet.cidrs.clone()).unwrap_or_default();
            cidrs.into_iter().map(IpRange::from).collect()
        });
        let addresses = self.addresses.clone();
        move |state, block| {
            vrf.as_ref().is_none_or(|vrf| state.vrf_name(block) == vrf)
                && within.as_ref().is_none_or(|within| within.iter().any(|range| meets(block, *range)))
                && (addresses.is_empty() || addresses.iter().any(|&address| meets_address(block, address)))
        }
    }

    /// What can be said without making a row of it: most of a million allocations end here.
    fn may_want(&self, allocation: &Allocation) -> bool {
        let holder = allocation.attachments.first();
        (self.addresses.is_empty() || self.addresses.contains(&allocation.address))
            && is(self.vrf.as_ref(), Some(&allocation.vrf))
            && is(self.node.as_ref(), holder.map(|holder| holder.node.as_str()))
            && is(self.network.as_ref(), holder.map(|holder| holder.network.as_str()))
            && self.owner.as_ref().is_none_or(|owner| owner.matches(allocation))
    }

    fn wants(&self, row: &IpRow) -> bool {
        self.states.contains(&row.state)
            && is(self.subnet.as_ref(), row.subnet.as_deref())
            && is(self.pool.as_ref(), row.pool.as_deref())
    }
}

fn is(wanted: Option<&String>, known: Option<&str>) -> bool {
    wanted.as_ref().is_none_or(|wanted| Some(wanted.as_str()) == known)
}

/// The states of addresses that not everybody can get.
fn in_use() -> BTreeSet<String> {
    ["active", "reserved", "cooling"].map(str::to_owned).into()
}

/// Whether a block of 256 addresses and a range have one in common.
pub(crate) fn meets(block: BlockId, range: IpRange) -> bool {
    let first = block.base();
    Family::of(first) == range.family() && first <= range.last() && last(first) >= range.first()
}

fn meets_address(block: BlockId, address: IpAddr) -> bool {
    let first = block.base();
    Family::of(first) == Family::of(address) && (first..=last(first)).contains(&address)
}

/// The last address of the block that begins at `first`.
fn last(first: IpAddr) -> IpAddr {
    match first {
        IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() | 0xff).into()),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() | 0xff).into()),
    }
}

/// Every allocation that the filter wants, with its row.
pub(crate) struct Walk {
    pages: Pages<Allocation>,
    atlas: Arc<Atlas>,
    filter: Filter,
}

impl Walk {
    pub(crate) fn new(handle: &Handle, atlas: Arc<Atlas>, filter: Filter) -> Walk {
        Walk { pages: Pages::new(handle, filter.blocks(&atlas), State::at), atlas, filter }
    }

    /// The next rows, perhaps none yet; `Ok(None)` after the last ones.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<(Allocation, IpRow)>>, EngineError> {
        let Some(page) = self.pages.next().await? else { return Ok(None) };
        let wanted = page.items.into_iter().filter(|allocation| self.filter.may_want(allocation));
        let rows = wanted.filter_map(|allocation| {
            let row = rows::ip_row(&allocation, &self.atlas, page.now);
            self.filter.wants(&row).then_some((allocation, row))
        });
        Ok(Some(rows.collect()))
    }
}

/// A JSON array, one row a line. An engine that stops half-way breaks the connection off: a cut list must not look whole.
pub(crate) async fn list(handle: &Handle, filter: Filter) -> Result<Response, Trouble> {
    let atlas = Arc::new(Atlas::read(handle).await?);
    let walk = Walk::new(handle, atlas, filter);
    let chunks = try_unfold(Part::First(walk), |part| async move {
        let (mut walk, mut first) = match part {
            Part::First(walk) => (walk, true),
            Part::Later(walk) => (walk, false),
            Part::End => return Ok(None),
        };
        let mut text = Vec::new();
        while text.is_empty() {
            let Some(rows) = walk.next().await? else {
                text.extend_from_slice(if first { b"[]\n" } else { b"\n]\n" });
                return Ok(Some((Bytes::from(text), Part::End)));
            };
            for (_, row) in rows {
                text.extend_from_slice(if std::mem::take(&mut first) { b"[\n" } else { b",\n" });
                serde_json::to_writer(&mut text, &row).expect("a row is plain data");
            }
        }
        Ok::<_, EngineError>(Some((Bytes::from(text), Part::Later(walk))))
    });
    Ok(([(CONTENT_TYPE, "application/json")], Body::from_stream(chunks)).into_response())
}

enum Part {
    First(Walk),
    Later(Walk),
    End,
}
