//! What is put into a cluster before anything runs there.

use std::fs;
use std::path::Path;

use allotment_api::{Principal, WebhookAddress};

use crate::failure::{Failure, Verdict};
use crate::output;

pub(crate) fn crds() -> Result<Verdict, Failure> {
    print(&allotment_api::crds_yaml())
}

pub(crate) fn policies(
    controller: &Principal,
    agents: &Principal,
    webhook: Option<&WebhookAddress>,
    webhook_ca: Option<&Path>,
) -> Result<Verdict, Failure> {
    let ca = webhook_ca.map(certificates).transpose()?;
    let mut yaml = allotment_api::policies_yaml(controller, agents);
    if let Some(at) = webhook {
        yaml += &allotment_api::webhook_yaml(at, ca.as_deref());
    }
    print(&yaml)
}

/// Certificates as PEM. The API server refuses what else is in the file, and says less.
fn certificates(file: &Path) -> Result<String, Failure> {
    let wrong = |why: String| {
        let text = format!("the webhook's authority {} cannot be used: {why}", file.display());
        Failure::unable(text, "name a file with certificates as PEM with --webhook-ca")
    };
    let text = fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    if text.contains("-----BEGIN CERTIFICATE-----") {
        Ok(text)
    } else {
        Err(wrong("it has no certificate".to_owned()))
    }
}

fn print(yaml: &str) -> Result<Verdict, Failure> {
    output::line(yaml.trim_end())?;
    Ok(Verdict::Done)
}
