//! Kubernetes in, Kubernetes out: pods become requests, grants become patches; the ledger on `AddressBlock` objects.

mod kubernetes;
mod leader;
pub mod ledger;
mod patch;
mod pods;
pub mod request;
mod surroundings;
mod waiting;
