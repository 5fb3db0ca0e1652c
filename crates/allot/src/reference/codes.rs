//! Every code that a person may meet, and what to do about it.

use allotment_core::Code;
use allotment_node::cni_code;
use allotment_wire::Severity;
use allotment_wire::cni::code::CODES;

use super::table;
use crate::doctor;
use crate::failure::EXIT_CODES;
use crate::serve::audit;
use crate::serve::audit::code::FindingCode;

pub(super) fn page() -> String {
    let mut page = "# Codes\n\n## CNI errors\n\n\
                    What the plugin `allotment` answers a container runtime with: a JSON object on standard output, with \
                    `code`, `msg` (what was asked and what stood in the way) and `details` (what to do next), and exit \
                    code 1. Codes below 100 are those of the CNI specification; from 100 on they are Allotment's.\n\n"
        .to_owned();
    let rows = CODES.iter().map(|doc| {
        [
            doc.code.to_string(),
            doc.name.to_lowercase().replace('_', " "),
            doc.meaning.to_owned(),
            doc.remedy.to_owned(),
        ]
    });
    table(&mut page, ["code", "name", "meaning", "what to do"], rows);
    page.push_str(
        "\n## Refusals\n\nWhy a request was not granted. Nothing was changed by it. The word is the `code` of the metric \
         `allotment_refusals_total` and of the log; the container runtime sees the CNI code.\n\n",
    );
    let rows = Code::ALL.map(|code| {
        let name = format!("`{}`", code.as_str());
        [name, cni_code(code).to_string(), code.meaning().to_owned(), code.remedy().to_owned()]
    });
    table(&mut page, ["refusal", "CNI code", "meaning", "what to do"], rows);
    page.push_str("\n## Exit codes of `allot`\n\n");
    let rows =
        EXIT_CODES.map(|(code, meaning, remedy)| [code.to_string(), meaning.to_owned(), remedy.to_owned()]);
    table(&mut page, ["exit code", "meaning", "what to do"], rows);
    page.push_str(
        "\nAn error goes to standard error as `error: …`, details below it, and `hint: …` with what to do next. The plugin \
         exits with 0 on success and 1 on an error.\n\n## Findings of `allot audit`\n\n\
         What is found has to be there in two looks, one second apart: a container that starts or ends meanwhile is no \
         finding. An error makes the exit code 1, a warning alone does not.\n\n",
    );
    findings(&mut page, audit::code::ALL);
    page.push_str(
        "\n## Findings of `allot doctor`\n\nWhat is wrong with an installation in a cluster. An error makes the exit code 1, a \
         warning alone does not.\n\n",
    );
    findings(&mut page, doctor::code::ALL);
    page
}

fn findings(page: &mut String, codes: &[FindingCode]) {
    let rows = codes.iter().map(|code| {
        let severity = match code.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        // A bar ends a cell, even in code.
        let remedy = code.remedy.replace('|', r"\|");
        [format!("`{}`", code.name), severity.to_owned(), code.meaning.to_owned(), remedy]
    });
    table(page, ["finding", "severity", "meaning", "what to do"], rows);
}
