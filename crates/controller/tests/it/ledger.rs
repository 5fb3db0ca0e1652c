//! The ledger on a real API server.

use allotment_controller::ledger::KubeLedger;
use allotment_engine::conformance::{self, Subject};

use crate::plane::{Turn, turn};

struct OnApiServer<'a>(&'a Turn);

impl Subject for OnApiServer<'_> {
    type Ledger = KubeLedger;

    fn open(&self) -> KubeLedger {
        KubeLedger::new(self.0.client(), self.0.runtime.handle().clone())
    }

    fn is_shared(&self) -> bool {
        true
    }
}

#[test]
fn it_does_what_every_ledger_does() {
    let turn = turn();
    conformance::run(|| {
        turn.empty();
        OnApiServer(&turn)
    });
}
