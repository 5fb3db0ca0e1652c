//! What the plugin, the tool and the node say to each other: HTTP/1.1 and JSON over a Unix socket.
//!
//! | endpoint | asks | answers |
//! |---|---|---|
//! | `POST /v1/cni` | [`CniCall`] | 200 and CNI's result (empty for DEL, CHECK, GC, STATUS), or 4xx/5xx and a [`cni::Error`] |
//! | `GET /v1/ready` | | 200 once requests are served, else 503 |
//! | `GET /v1/ips?vrf=&subnet=&pool=&owner=&state=&node=&network=&address=` | | a JSON array of [`IpRow`], streamed |
//! | `GET /v1/subnets`, `/v1/pools`, `/v1/reservations` | | arrays of [`SubnetRow`], [`PoolRow`], [`ReservationRow`] |
//! | `GET /v1/who-has?address=&vrf=` | | [`WhoHasRow`]s, one a VRF |
//! | `GET /v1/why?owner=` | | [`WhyRow`]s |
//! | `GET /v1/history?of=&vrf=` | | [`HistoryRow`]s, oldest first |
//! | `GET /v1/audit` | | [`Finding`]s |
//! | `GET /v1/export` | | JSON lines |
//! | `POST /v1/import` | JSON lines | an [`ImportRow`]; 409 with the conflicts when nothing was taken |
//! | `GET /v1/problems` | | [`CheckRow`]s: what in the objects folder is not in force |
//! | `POST /v1/check?folder=` | [`CheckFile`]s | [`CheckRow`]s |
//!
//! Every other failure is an HTTP status with an [`ErrorBody`]. Fields are only added, never renamed or removed (O11).

mod call;
pub mod cni;
mod rows;

pub use call::{CniCall, Command};
pub use rows::{
    AttachmentRow, CheckFile, CheckRow, CountRow, ErrorBody, Finding, HistoryRow, ImportRow, IpRow, OwnerRow,
    PoolRow, ReservationRow, Severity, SubnetRow, WhoHasRow, WhyRow,
};

/// Where the daemon listens when nobody says otherwise (O1).
pub const DEFAULT_SOCKET: &str = "/run/allotment/allotment.sock";

/// The environment variable that names another socket.
pub const SOCKET_ENV: &str = "ALLOTMENT_SOCKET";

/// The folder beside the socket in which the plugin leaves DELs while the daemon is away (O2).
pub const PENDING_DEL: &str = "pending-del";
