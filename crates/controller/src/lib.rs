//! Kubernetes in, Kubernetes out: pods become requests, grants become patches; the ledger on `AddressBlock` objects.

pub mod ledger;
