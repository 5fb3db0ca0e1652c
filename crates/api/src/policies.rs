//! Who may write what in a cluster, as admission policies.

/// The policies and their bindings, and what they are for.
const POLICIES: &str = include_str!("policies.yaml");

/// The controller's service account, where it is installed as the documentation says.
pub const CONTROLLER: &str = "system:serviceaccount:allotment-system:allotment-controller";
/// The agents' service account.
pub const AGENTS: &str = "system:serviceaccount:allotment-system:allotment-agent";

/// Somebody whom the API server knows: a user's or a group's name, such as `system:serviceaccount:allotment-system:allotment-agent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal(String);

/// The text cannot be the name of a user or group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is no name of a user or group; write it as the API server has it, such as `{AGENTS}`",
    .0.escape_debug()
)]
pub struct ParsePrincipalError(String);

impl std::str::FromStr for Principal {
    type Err = ParsePrincipalError;

    fn from_str(text: &str) -> Result<Self, ParsePrincipalError> {
        // It goes between quotes in CEL, which goes into YAML.
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:@/+=".contains(c);
        if text.is_empty() || !text.chars().all(plain) {
            return Err(ParsePrincipalError(text.to_owned()));
        }
        Ok(Principal(text.to_owned()))
    }
}

/// The policies as YAML, as `kubectl apply` takes it: for a controller that is this user, and agents that are this user or
/// in this group.
pub fn policies_yaml(controller: &Principal, agents: &Principal) -> String {
    POLICIES.replace("CONTROLLER", &controller.0).replace("AGENTS", &agents.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_within_its_quotes() {
        for good in [CONTROLLER, AGENTS, "system:nodes", "ops@example.com", "CN=controller"] {
            assert_eq!(good.parse(), Ok(Principal(good.to_owned())));
        }
        for bad in ["", "a'b", "a\\", "a b", "a\nb", "\"", "${x}"] {
            assert!(bad.parse::<Principal>().is_err(), "{bad}");
        }
    }

    #[test]
    fn everybody_is_named() {
        let (controller, agents): (Principal, Principal) =
            ("ops:controller".parse().unwrap(), "ops:agents".parse().unwrap());
        let yaml = policies_yaml(&controller, &agents);
        assert!(yaml.contains("request.userInfo.username == 'ops:controller'"));
        assert!(yaml.contains("'ops:agents' in request.userInfo"));
        assert!(!yaml.contains("CONTROLLER") && !yaml.contains("AGENTS"));
    }
}
