//! The endpoints behind the tool; their table is in `allotment_wire`.
//!
//! Whatever may be long is read a page at a time ([`allotment_engine::Pages`]) and put together outside of the engine, with a copy of the
//! objects ([`atlas`]).

pub(crate) mod atlas;
pub(crate) mod audit;
pub(crate) mod check;
mod copy;
mod history;
mod ips;
mod objects;
pub(crate) mod owners;
mod refusals;
mod reply;
pub(crate) mod rows;
mod transfer;
mod who_has;
pub(crate) mod why;

pub(crate) use self::copy::copy;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use allotment_core::Timestamp;
use allotment_engine::Handle;
use allotment_wire::{
    CheckFile, CheckRow, Finding, HistoryRow, ImportRow, PoolRow, ReservationRow, SubnetRow, WhoHasRow,
    WhyRow,
};
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;

use self::ips::Filter;
pub(crate) use self::objects::subnet_usage;
pub(crate) use self::refusals::Refusals;
pub(crate) use self::reply::Trouble;
pub(crate) use self::transfer::import as take_over;
use crate::objects::{Problems, Sources, row};

/// Bytes of the files that are to be checked: a hundred thousand objects. An import is read as it comes, whatever its length.
const MAX_BODY: usize = 64 << 20;

/// What the endpoints need.
pub(crate) struct Daemon {
    pub(crate) handle: Handle,
    pub(crate) problems: Problems,
    pub(crate) sources: Sources,
    pub(crate) refusals: Arc<Refusals>,
    /// Whether requests are served: from the first full reading of the objects to the beginning of the end.
    pub(crate) serving: AtomicBool,
}

impl Daemon {
    pub(crate) fn serves(&self) -> bool {
        self.serving.load(Ordering::Acquire)
    }
}

/// The machine's clock.
pub(crate) fn clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

type Answer<T> = Result<Json<T>, Trouble>;

/// All that one machine's daemon answers.
pub(crate) fn router(daemon: Arc<Daemon>) -> Router {
    let own = Router::new()
        .route("/v1/ready", get(ready))
        .route("/v1/why", get(why))
        .route("/v1/history", get(history))
        .route("/v1/audit", get(audit))
        .route("/v1/import", post(import))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Arc::clone(&daemon));
    questions(daemon).merge(own)
}

/// What is answered from ledger and objects alone.
pub(crate) fn questions(daemon: Arc<Daemon>) -> Router {
    Router::new()
        .route("/v1/ips", get(list_ips))
        .route("/v1/subnets", get(list_subnets))
        .route("/v1/pools", get(list_pools))
        .route("/v1/reservations", get(list_reservations))
        .route("/v1/problems", get(list_problems))
        .route("/v1/who-has", get(who_has))
        .route("/v1/check", post(check))
        .route("/v1/export", get(export))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(daemon)
}

async fn ready(State(daemon): State<Arc<Daemon>>) -> StatusCode {
    if daemon.serves() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn list_ips(
    State(daemon): State<Arc<Daemon>>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Trouble> {
    ips::list(&daemon.handle, Filter::parse(query)?).await
}

async fn list_subnets(State(daemon): State<Arc<Daemon>>) -> Answer<Vec<SubnetRow>> {
    Ok(Json(objects::subnets(&daemon).await?))
}

async fn list_pools(State(daemon): State<Arc<Daemon>>) -> Answer<Vec<PoolRow>> {
    Ok(Json(objects::pools(&daemon).await?))
}

async fn list_reservations(State(daemon): State<Arc<Daemon>>) -> Answer<Vec<ReservationRow>> {
    Ok(Json(objects::reservations(&daemon).await?))
}

async fn list_problems(State(daemon): State<Arc<Daemon>>) -> Json<Vec<CheckRow>> {
    Json(daemon.problems.borrow().iter().map(row).collect())
}

#[derive(Deserialize)]
struct WhoHas {
    address: IpAddr,
    vrf: Option<String>,
}

async fn who_has(State(daemon): State<Arc<Daemon>>, Query(asked): Query<WhoHas>) -> Answer<Vec<WhoHasRow>> {
    Ok(Json(who_has::who_has(&daemon.handle, asked.address, asked.vrf).await?))
}

#[derive(Deserialize)]
struct Why {
    owner: String,
}

async fn why(State(daemon): State<Arc<Daemon>>, Query(asked): Query<Why>) -> Answer<Vec<WhyRow>> {
    let owner = Trouble::owner(&asked.owner)?;
    Ok(Json(why::why(&daemon.handle, &daemon.refusals, owner).await?))
}

#[derive(Deserialize)]
struct History {
    of: String,
    vrf: Option<String>,
}

async fn history(State(daemon): State<Arc<Daemon>>, Query(asked): Query<History>) -> Answer<Vec<HistoryRow>> {
    Ok(Json(history::history(&daemon.handle, &asked.of, asked.vrf).await?))
}

async fn audit(State(daemon): State<Arc<Daemon>>) -> Answer<Vec<Finding>> {
    Ok(Json(audit::audit(&daemon.handle).await?))
}

/// `folder` may come several times: files of these are all that there are in them.
async fn check(
    State(daemon): State<Arc<Daemon>>,
    Query(query): Query<Vec<(String, PathBuf)>>,
    Json(files): Json<Vec<CheckFile>>,
) -> Answer<Vec<CheckRow>> {
    let mut folders = query.into_iter().filter(|(key, _)| key == "folder").map(|(_, folder)| folder);
    let is_own = folders.any(|folder| daemon.sources.is_folder(&folder));
    let from_files = if is_own { daemon.sources.files() } else { Arc::default() };
    Ok(Json(check::check(&daemon.handle, &files, from_files).await?))
}

async fn export(State(daemon): State<Arc<Daemon>>) -> Result<Response, Trouble> {
    transfer::export(&daemon.handle).await
}

async fn import(State(daemon): State<Arc<Daemon>>, lines: Body) -> Answer<ImportRow> {
    Ok(Json(transfer::import(&daemon.handle, lines).await?))
}
