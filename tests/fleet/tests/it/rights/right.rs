//! What RBAC allows, one right at a time; and what was asked of an API server, from its audit log.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// One verb on one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Right {
    pub(crate) group: String,
    /// With its subresource: `subnets/status`.
    pub(crate) resource: String,
    pub(crate) verb: String,
    /// The only object that it is for.
    pub(crate) name: Option<String>,
}

/// A request that the API server has answered.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) user: String,
    pub(crate) uri: String,
    pub(crate) code: u64,
    group: String,
    resource: String,
    verb: String,
    name: String,
}

impl Right {
    /// Every right that these rules give, one by one.
    pub(crate) fn all(rules: &Value) -> Vec<Right> {
        let mut rights = Vec::new();
        for rule in rules.as_array().into_iter().flatten() {
            let names = texts(&rule["resourceNames"]);
            let names: Vec<_> =
                if names.is_empty() { vec![None] } else { names.into_iter().map(Some).collect() };
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    for verb in texts(&rule["verbs"]) {
                        rights.extend(names.iter().map(|name| Right {
                            group: group.clone(),
                            resource: resource.clone(),
                            verb: verb.clone(),
                            name: name.clone(),
                        }));
                    }
                }
            }
        }
        rights
    }

    /// The rule that gives this right alone.
    pub(crate) fn rule(&self) -> Value {
        let mut rule = json!({"apiGroups": [self.group], "resources": [self.resource], "verbs": [self.verb]});
        if let Some(name) = &self.name {
            rule["resourceNames"] = json!([name]);
        }
        rule
    }

    /// Whether this request needed it.
    pub(crate) fn allows(&self, asked: &Asked) -> bool {
        (&self.group, &self.resource, &self.verb) == (&asked.group, &asked.resource, &asked.verb)
            && self.name.as_ref().is_none_or(|name| *name == asked.name)
    }
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|text| Some(text.as_str()?.to_owned())).collect()
}

impl Asked {
    /// All requests so far. What is being written at this moment is left for the next time.
    pub(crate) fn all(log: &Path) -> Result<Vec<Asked>> {
        let text = fs::read_to_string(log).with_context(|| log.display().to_string())?;
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| Ok(Asked::of(&serde_json::from_str(line)?))).collect()
    }

    fn of(event: &Value) -> Asked {
        let object = &event["objectRef"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let subresource = object["subresource"].as_str().map(|name| format!("/{name}")).unwrap_or_default();
        Asked {
            user: text(&event["user"]["username"]),
            uri: text(&event["requestURI"]),
            code: event["responseStatus"]["code"].as_u64().unwrap_or_default(),
            group: text(&object["apiGroup"]),
            resource: text(&object["resource"]) + &subresource,
            verb: text(&event["verb"]),
            name: text(&object["name"]),
        }
    }

    pub(crate) fn verb(&self) -> &str {
        &self.verb
    }
}
