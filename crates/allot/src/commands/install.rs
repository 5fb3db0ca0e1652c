//! What is put into a cluster before anything runs there.

use crate::failure::{Failure, Verdict};
use crate::output;

pub(crate) fn crds() -> Result<Verdict, Failure> {
    output::line(allotment_api::crds_yaml().trim_end())?;
    Ok(Verdict::Done)
}
