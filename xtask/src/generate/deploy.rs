//! What is applied to a cluster: two templates of the chart, and the manifests made from all of it.

use std::process::Command;

use allotment_lab::helm;
use anyhow::{Context, Result};

use super::{Document, printed};
use crate::tree;

const WRITTEN: &str = "Written by `cargo xtask gen`.";

/// Where the manifests put everything; the chart goes into the namespace of its release.
const NAMESPACE: &str = "allotment-system";

/// Not there before Kubernetes 1.36.
const MUTATING: &str = "kind: MutatingAdmissionPolicy";

/// The webhook's service.
const WEBHOOK: &str = "allotment-system/allotment-webhook";

/// What goes into the chart as `allot` says it.
pub(super) fn documents() -> Result<[Document; 4]> {
    let policies = printed(&["policies"])?;
    let both = printed(&["policies", "--webhook", WEBHOOK])?;
    let webhook = both.strip_prefix(policies.as_str()).context("the webhook comes after the policies")?;
    Ok(templates(&printed(&["crds"])?, &policies, webhook))
}

/// The definitions: for people as they are. All: as templates of the chart.
fn templates(crds: &str, policies: &str, webhook: &str) -> [Document; 4] {
    [
        // So that a change of what an API server takes is seen as such.
        ("deploy/crds.yaml".into(), format!("# {WRITTEN}\n{crds}")),
        ("deploy/chart/templates/crds.yaml".into(), definitions(crds)),
        ("deploy/chart/templates/policies.yaml".into(), guarded(policies)),
        ("deploy/chart/templates/_webhook.tpl".into(), configuration(webhook)),
    ]
}

/// A definition takes all its objects with it, the ledger too: uninstalling leaves them.
fn definitions(crds: &str) -> String {
    const NAME: &str = "\nmetadata:\n";
    let kept = crds.replace(NAME, &format!("{NAME}  annotations:\n    helm.sh/resource-policy: keep\n"));
    format!("{{{{- /* {WRITTEN} */}}}}\n{{{{- if .Values.crds.install }}}}\n{kept}{{{{- end }}}}\n")
}

/// The accounts are those of the release's namespace.
fn guarded(policies: &str) -> String {
    let account = |namespace: &str| format!("system:serviceaccount:{namespace}:");
    let policies = policies.replace(&account(NAMESPACE), &account("{{ .Release.Namespace }}"));
    let documents = policies.split("---\n").map(|document| {
        if document.contains(MUTATING) {
            const SINCE: &str = "{{- if semverCompare \">=1.36.0-0\" .Capabilities.KubeVersion.Version }}";
            format!("{SINCE}\n---\n{document}{{{{- end }}}}\n")
        } else {
            format!("---\n{document}")
        }
    });
    let documents: String = documents.collect();
    format!("{{{{- /* {WRITTEN} */}}}}\n{{{{- if .Values.policies.install }}}}\n{documents}{{{{- end }}}}\n")
}

/// Where the webhook is, and who signed its certificate, is decided where this is included.
fn configuration(webhook: &str) -> String {
    let lines = webhook.trim_start_matches("---\n").split_inclusive('\n').map(|line| {
        if line.starts_with("  clientConfig: ") { "  clientConfig: {{ toJson . }}\n" } else { line }
    });
    let body: String = lines.collect();
    format!("{{{{- /* {WRITTEN} */}}}}\n{{{{- define \"allotment.webhook\" -}}}}\n{body}{{{{- end }}}}\n")
}

/// The chart with its own values, for `kubectl apply`; and its agents as they are when Allotment is to go.
pub(super) fn manifests() -> Result<[Document; 2]> {
    let helm = helm::program(tree::root()).context("the manifests are made by helm")?;
    let chart = tree::root().join("deploy/chart");
    allotment_lab::run(Command::new(&helm).args(["lint", "--strict"]).arg(&chart))?;
    let render = |args: &[&str]| -> Result<String> {
        let mut render = Command::new(&helm);
        render.args(["template", "allotment"]).arg(&chart).args(["--namespace", NAMESPACE]).args(args);
        let rendered = allotment_lab::run(&mut render)?;
        // Nobody who applies them has helm.
        let lines = rendered.lines().filter(|line| !line.starts_with("# Source: "));
        let text = lines.collect::<Vec<_>>().join("\n");
        let head =
            "# Written by `cargo xtask gen` from deploy/chart; `kubectl apply --server-side` takes it.\n";
        Ok(format!("{head}{text}\n"))
    };
    Ok([
        ("deploy/manifests/allotment.yaml".into(), render(&["--set", "namespace.create=true"])?),
        (
            "deploy/manifests/retire.yaml".into(),
            render(&["--set", "agent.retire=true", "--show-only", "templates/agent.yaml"])?,
        ),
    ])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn definitions_outlive_the_release() {
        let text = definitions("---\nkind: A\nmetadata:\n  name: a\n---\nkind: B\nmetadata:\n  name: b\n");
        assert_eq!(text.matches("\n  annotations:\n    helm.sh/resource-policy: keep\n  name: ").count(), 2);
        assert!(text.ends_with("name: b\n{{- end }}\n"));
    }

    #[test]
    fn policies_name_the_accounts_of_the_release() {
        let text = guarded(
            "# Words.\n---\nkind: A\nuser: system:serviceaccount:allotment-system:x\n---\nkind: MutatingAdmissionPolicy\n",
        );
        assert!(text.contains("user: system:serviceaccount:{{ .Release.Namespace }}:x\n"));
        assert!(
            text.ends_with(".Version }}\n---\nkind: MutatingAdmissionPolicy\n{{- end }}\n{{- end }}\n"),
            "{text}"
        );
    }

    #[test]
    fn alerts_and_dashboard_ask_for_metrics_that_there_are() {
        let known = tree::read(Path::new("docs/reference/metrics.md")).unwrap();
        for file in ["deploy/chart/files/alerts.yaml", "deploy/chart/files/dashboard.json"] {
            let text = tree::read(Path::new(file)).unwrap();
            let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            let asked: Vec<&str> = words.filter(|word| word.starts_with("allotment_")).collect();
            assert!(asked.len() > 5, "{file}");
            for metric in asked {
                let name = metric.strip_suffix("_bucket").unwrap_or(metric);
                assert!(known.contains(&format!("| `{name}` |")), "{file}: {metric}");
            }
        }
    }
}
