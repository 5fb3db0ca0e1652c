//! What is put into a cluster before anything runs there.

use allotment_api::Principal;

use crate::failure::{Failure, Verdict};
use crate::output;

pub(crate) fn crds() -> Result<Verdict, Failure> {
    print(&allotment_api::crds_yaml())
}

pub(crate) fn policies(controller: &Principal, agents: &Principal) -> Result<Verdict, Failure> {
    print(&allotment_api::policies_yaml(controller, agents))
}

fn print(yaml: &str) -> Result<Verdict, Failure> {
    output::line(yaml.trim_end())?;
    Ok(Verdict::Done)
}
