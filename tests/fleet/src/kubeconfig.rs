//! Kubeconfig files.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// Who a file says one is.
pub(crate) struct Identity<'a> {
    pub(crate) token: &'a str,
    /// Somebody that the token's owner speaks for, with groups and extra fields.
    pub(crate) speaks_for: Option<Value>,
    /// Where one is when nothing else is said.
    pub(crate) namespace: &'a str,
}

impl<'a> Identity<'a> {
    pub(crate) fn token(token: &'a str) -> Identity<'a> {
        Identity { token, speaks_for: None, namespace: "default" }
    }

    pub(crate) fn speaking_for(token: &'a str, user: &str, groups: &[&str]) -> Identity<'a> {
        Identity { speaks_for: Some(json!({"as": user, "as-groups": groups})), ..Identity::token(token) }
    }

    fn user(&self) -> Value {
        let mut user = self.speaks_for.clone().unwrap_or_else(|| json!({}));
        user["token"] = json!(self.token);
        user
    }
}

/// Writes a file for one server. It is JSON, which YAML takes in.
pub(crate) fn write(path: &Path, server: &str, authority: &Path, identity: &Identity) -> Result<()> {
    let text = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "fleet", "cluster": {"server": server, "certificate-authority": authority}}],
        "users": [{"name": "user", "user": identity.user()}],
        "contexts": [{"name": "fleet", "context": {"cluster": "fleet", "user": "user", "namespace": identity.namespace}}],
        "current-context": "fleet",
    });
    fs::write(path, text.to_string()).with_context(|| format!("{} cannot be written", path.display()))
}

/// Writes a copy of a file with another server.
pub(crate) fn redirect(file: &Path, server: &str, path: &Path) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let mut config: Value = serde_json::from_str(&text).with_context(|| file.display().to_string())?;
    config["clusters"][0]["cluster"]["server"] = json!(server);
    fs::write(path, config.to_string()).with_context(|| format!("{} cannot be written", path.display()))
}
