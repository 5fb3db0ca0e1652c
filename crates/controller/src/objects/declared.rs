//! An object as the API server has it.

use allotment_api::v1alpha1::{IPPool, ObjectStatus, Reservation, Subnet};
use allotment_core::{Object, ObjectKey, ObjectKind};
use jiff::Timestamp;
use kube::{Resource, ResourceExt};

/// Keeps an object until nothing holds it any more.
pub(crate) const FINALIZER: &str = "allotment.dev/in-use";

/// One of our three kinds.
pub(crate) trait Kind: Resource {
    const KIND: ObjectKind;

    /// What it declares, and the status that it shows.
    fn split(self) -> (Object, Option<ObjectStatus>);
}

impl Kind for Subnet {
    const KIND: ObjectKind = ObjectKind::Subnet;

    fn split(self) -> (Object, Option<ObjectStatus>) {
        let name = self.name_any();
        (Object::Subnet(self.spec.into_core(name)), self.status)
    }
}

impl Kind for IPPool {
    const KIND: ObjectKind = ObjectKind::IPPool;

    fn split(self) -> (Object, Option<ObjectStatus>) {
        let name = self.name_any();
        (Object::IPPool(self.spec.into_core(name)), self.status)
    }
}

impl Kind for Reservation {
    const KIND: ObjectKind = ObjectKind::Reservation;

    fn split(self) -> (Object, Option<ObjectStatus>) {
        let name = self.name_any();
        (Object::Reservation(self.spec.into_core(name)), self.status)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Declared {
    pub(crate) object: Object,
    pub(crate) uid: String,
    pub(crate) created: Timestamp,
    pub(crate) generation: Option<i64>,
    /// It has been deleted, and our finalizer may keep it.
    pub(crate) deleting: bool,
    /// Whether our finalizer is on it.
    pub(crate) finalizer: bool,
    pub(crate) status: ObjectStatus,
}

impl Declared {
    pub(crate) fn new<K: Kind>(object: K) -> (ObjectKey, Declared) {
        let meta = object.meta();
        let finalizers = meta.finalizers.iter().flatten();
        let created = meta.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
        let (uid, generation) = (meta.uid.clone().unwrap_or_default(), meta.generation);
        let deleting = meta.deletion_timestamp.is_some();
        let finalizer = finalizers.into_iter().any(|finalizer| finalizer == FINALIZER);
        let (object, status) = object.split();
        let status = status.unwrap_or_default();
        let declared = Declared { object, uid, created, generation, deleting, finalizer, status };
        (declared.object.key(), declared)
    }
}
