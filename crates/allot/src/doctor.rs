//! `allot doctor`: what is wrong with an installation in a cluster.
//!
//! ```text
//!   API server ──look──▶ Seen ──examine──▶ findings, each with a code and what to do
//! ```
//!
//! * [`look`]: reads everything once; what may not be read is a finding, too.
//! * [`examine`]: pure, so that a test plants each.
//! * [`rights`]: what controllers and agents have to be allowed.
//! * [`code`]: everything that can be found.
//!
//! It asks the API server alone, and changes nothing.

pub(crate) mod code;
mod examine;
mod look;
mod rights;

use std::path::Path;

use allotment_wire::Severity;
use serde::Serialize;

use crate::args::{DoctorArgs, Format};
use crate::failure::{Failure, Verdict};
use crate::output::{self, Tabular};
use crate::serve::audit::code::FindingCode;
use crate::words::counted;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Ailment {
    severity: Severity,
    code: &'static str,
    /// Its kind and name: `Subnet rack-a`.
    object: String,
    text: String,
    hint: &'static str,
}

impl Ailment {
    fn new(code: &FindingCode, object: impl Into<String>, text: impl Into<String>) -> Ailment {
        let FindingCode { name, severity, remedy, .. } = code;
        Ailment { severity: *severity, code: name, object: object.into(), text: text.into(), hint: remedy }
    }
}

impl Tabular for Ailment {
    const HEAD: &'static [&'static str] = &["SEVERITY", "CODE", "OBJECT", "WHAT", "WHAT TO DO"];

    fn cells(&self) -> Vec<String> {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        [severity, self.code, &self.object, &self.text, self.hint].map(str::to_owned).to_vec()
    }
}

/// Says what is wrong; `Found` when anything is that is no mere warning.
pub(crate) async fn run(kubeconfig: Option<&Path>, args: &DoctorArgs) -> Result<Verdict, Failure> {
    let hint = "name the cluster with --kubeconfig or KUBECONFIG";
    let client = allotment_cluster::connect(kubeconfig)
        .await
        .map_err(|error| Failure::unable(error.to_string(), hint))?;
    let seen = look::look(&client, &args.namespace).await?;
    let mut ailments = examine::examine(&seen);
    ailments.sort_by_key(|ailment| ailment.severity == Severity::Warning);
    let errors = ailments.iter().filter(|ailment| ailment.severity == Severity::Error).count();
    if args.output.format == Format::Table {
        for Ailment { object, text, hint, code, .. } in &ailments {
            output::line(&format!("{object}: {text} [{code}]\n  hint: {hint}"))?;
        }
        let warnings = counted((ailments.len() - errors) as u64, "warning");
        output::note(&format!("{}, {warnings}", counted(errors as u64, "error")));
    } else {
        output::print(&ailments, args.output.format)?;
    }
    Ok(if errors > 0 { Verdict::Found } else { Verdict::Done })
}
