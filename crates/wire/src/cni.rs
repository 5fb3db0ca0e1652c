//! CNI's own types, for the daemon: network configuration, arguments, results, errors (CNI SPEC 0.3.0 to 1.1.0).
//!
//! * [`NetConf`] and [`CniArgs`]: what a call brings along; [`NetConf::asked`] puts together who asks for what where.
//! * [`Definition`]: a network configuration before anybody has called a plugin with it.
//! * [`AddResult`]: what ADD answers, in the form of the version that was asked for.
//! * [`Error`] with the codes of [`code`].
//! * [`keys`]: every key that is read, for the reference.
//!
//! What is absent and must stay so: nothing here knows subnets, owners or allocations.

mod args;
pub mod code;
mod conf;
mod definition;
mod error;
mod field;
mod ip;
mod ipam;
pub mod keys;
mod result;
mod version;

pub use args::CniArgs;
pub use conf::{Asked, NetConf, RuntimeConfig, ValidAttachment};
pub use definition::{Definition, Network};
pub use error::Error;
pub use field::{Field, LIST_MAX};
pub use ip::{AskedIp, Family, Net, ParseIpError};
pub use ipam::{FamilyWish, HostLocal, Ipam, Range, Section, Static, StaticAddress, Wish};
pub use result::{AddResult, Dns, ResultIp, Route};
pub use version::Version;
