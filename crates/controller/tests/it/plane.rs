//! The API server that all of these tests share, one at a time.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use allotment_api::v1alpha1::AddressBlock;
use allotment_fleet::{ControlPlane, objects};
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client};
use tokio::runtime::{Builder, Runtime};

/// A turn on the API server: nobody else writes while it lasts, and the ledger was empty when it began.
pub(crate) struct Turn {
    pub(crate) plane: &'static ControlPlane,
    pub(crate) runtime: Runtime,
    _alone: MutexGuard<'static, ()>,
}

/// Waits for a turn.
pub(crate) fn turn() -> Turn {
    static PLANE: OnceLock<ControlPlane> = OnceLock::new();
    static TURN: Mutex<()> = Mutex::new(());
    // A test that failed before leaves nothing that the next one could trip over.
    let guard = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let plane = PLANE.get_or_init(|| ControlPlane::start().unwrap());
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let turn = Turn { plane, runtime, _alone: guard };
    turn.define();
    turn.empty();
    turn
}

impl Turn {
    pub(crate) fn client(&self) -> Client {
        let _entered = self.runtime.enter();
        self.plane.client().unwrap()
    }

    pub(crate) fn blocks(&self) -> Api<AddressBlock> {
        Api::all(self.client())
    }

    /// Makes the ledger's kind.
    pub(crate) fn define(&self) {
        self.runtime.block_on(objects::apply(&self.client(), &allotment_api::crds_yaml())).unwrap();
    }

    /// Deletes whatever the ledger has, as somebody would who does not know better.
    pub(crate) fn empty_once(&self) {
        let (parameters, all) = (DeleteParams::default(), ListParams::default());
        self.runtime.block_on(self.blocks().delete_collection(&parameters, &all)).unwrap();
    }

    /// Deletes whatever the ledger has; nobody may be there who writes it again.
    pub(crate) fn empty(&self) {
        let blocks = self.blocks();
        self.runtime.block_on(async {
            blocks.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
            while !blocks.list(&ListParams::default()).await.unwrap().items.is_empty() {
                tokio::task::yield_now().await;
            }
        });
    }
}
