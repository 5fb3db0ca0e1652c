//! The rules of Allotment: who may have which address, and which one it gets.
//!
//! ```text
//!   Request ──▶ State::plan(&self, now) ──▶ Plan | Refusal        pure: nothing changes
//!                                             │
//!               State::apply(&mut self) ◀─────┘                   memory only; the engine makes it durable
//!                                             └──▶ Grant          what the caller is told
//! ```
//!
//! * [`SubnetSpec`], [`PoolSpec`], [`ReservationSpec`]: what people declare.
//! * [`Request`], [`Grant`], [`Refusal`], [`Release`]: what consumers ask and are told.
//! * [`State`]: everything the rules know; [`Allocation`] is one address of it, in full.
//!
//! What is absent and must stay so: no clock (time comes in as [`Timestamp`]), no randomness, no I/O, no lock, and no
//! dependency on another crate of ours.

mod address;
mod allocation;
mod mac;
mod owner;
mod refusal;
mod request;
mod selector;
mod spec;
mod state;
mod time;
mod validate;

pub use address::{Cidr, Family, IpRange, ParseAddressError};
pub use allocation::{Allocation, AllocationState, Choice, Pick, Rule};
pub use mac::{Mac, ParseMacError};
pub use owner::{Attachment, Netns, Owner, OwnerKey};
pub use refusal::{Code, Count, Refusal};
pub use request::{
    Asked, FamilyWant, Grant, GrantEntry, GrantedIp, MacWant, Release, ReleaseMode, Request, Target, Want,
};
pub use selector::{Labels, Operator, Requirement, Selector};
pub use spec::{
    DEFAULT_COOLING_MS, DEFAULT_VRF, Dns, Object, ObjectError, ObjectKey, ObjectKind, Obstacle, Order,
    PoolSpec, ReservationSpec, Route, SubnetSpec,
};
pub use state::{BlockId, Columns, LoadError, Located, Place, Plan, State, Usage};
pub use time::Timestamp;
