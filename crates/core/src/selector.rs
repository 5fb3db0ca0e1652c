//! Label selectors, as data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The labels of a pod, a namespace or a node.
pub type Labels = BTreeMap<String, String>;

/// A Kubernetes label selector: every line has to hold; an empty one selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    #[serde(default)]
    pub match_labels: Labels,
    #[serde(default)]
    pub match_expressions: Vec<Requirement>,
}

/// One line of `matchExpressions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Requirement {
    pub key: String,
    pub operator: Operator,
    #[serde(default)]
    pub values: Vec<String>,
}

/// How a [`Requirement`] compares; meanings as in Kubernetes' `LabelSelectorRequirement`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

impl Selector {
    pub fn matches(&self, labels: &Labels) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|line| line.matches(labels))
    }
}

impl Requirement {
    fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        match self.operator {
            Operator::In => value.is_some_and(|value| self.values.contains(value)),
            Operator::NotIn => value.is_none_or(|value| !self.values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_mean_what_they_mean_in_kubernetes() {
        let labels = Labels::from([("app".to_owned(), "db".to_owned())]);
        let line = |key: &str, operator, values: &[&str]| {
            let values = values.iter().map(|&v| v.to_owned()).collect();
            Requirement { key: key.to_owned(), operator, values }.matches(&labels)
        };
        assert!(line("app", Operator::In, &["web", "db"]));
        assert!(!line("tier", Operator::In, &["db"]));
        assert!(!line("app", Operator::NotIn, &["db"]));
        assert!(line("tier", Operator::NotIn, &["db"]), "an absent key is not in any list");
        assert!(line("app", Operator::Exists, &[]));
        assert!(line("tier", Operator::DoesNotExist, &[]));
        assert!(Selector::default().matches(&labels));
    }
}
