//! What a request asks of the API server.

use std::fmt;

use hyper::http::{Method, Uri};

/// Verb and resource, as kube-apiserver's own metrics name them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: &'static str,
    /// Plural, with the subresource: `pods`, `pods/status`. For what is no resource, the path: `/readyz`.
    pub resource: String,
    /// Empty for a list.
    pub name: String,
}

impl Request {
    pub(super) fn of(method: &Method, uri: &Uri) -> Request {
        let parts: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
        let rest = match parts.as_slice() {
            ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
            _ => &[],
        };
        let rest = match rest {
            ["namespaces", _, resource, rest @ ..] => [&[*resource], rest].concat(),
            other => other.to_vec(),
        };
        let (resource, name) = match rest.as_slice() {
            [] => (uri.path().to_owned(), ""),
            [resource] => ((*resource).to_owned(), ""),
            [resource, name] => ((*resource).to_owned(), *name),
            [resource, name, subresource, ..] => (format!("{resource}/{subresource}"), *name),
        };
        let watches = uri.query().is_some_and(|query| {
            query.split('&').any(|pair| matches!(pair, "watch=true" | "watch=1" | "watch"))
        });
        Request { verb: verb(method, watches, !name.is_empty()), resource, name: name.to_owned() }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if self.name.is_empty() { Ok(()) } else { write!(f, " {}", self.name) }
    }
}

fn verb(method: &Method, watches: bool, named: bool) -> &'static str {
    match (method.as_str(), named) {
        ("GET", _) if watches => "watch",
        ("GET", true) => "get",
        ("GET", false) => "list",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", true) => "delete",
        ("DELETE", false) => "deletecollection",
        _ => "other",
    }
}

/// Which requests something is about; what is not said, is any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Which {
    verb: Option<String>,
    resource: Option<String>,
    name: Option<String>,
}

impl Which {
    pub fn any() -> Which {
        Which::default()
    }

    #[must_use]
    pub fn verb(mut self, verb: &str) -> Which {
        self.verb = Some(verb.to_owned());
        self
    }

    /// With the subresource, if it is one.
    #[must_use]
    pub fn resource(mut self, resource: &str) -> Which {
        self.resource = Some(resource.to_owned());
        self
    }

    #[must_use]
    pub fn name(mut self, name: &str) -> Which {
        self.name = Some(name.to_owned());
        self
    }

    pub fn matches(&self, request: &Request) -> bool {
        let fits = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        fits(&self.verb, request.verb)
            && fits(&self.resource, &request.resource)
            && fits(&self.name, &request.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &str, uri: &str, expect: &str) {
        let request = Request::of(&method.parse().unwrap(), &uri.parse().unwrap());
        assert_eq!(request.to_string(), expect);
    }

    #[test]
    fn requests_are_told_apart() {
        check("GET", "/api/v1/pods?fieldSelector=spec.nodeName!%3D", "list pods");
        check("GET", "/api/v1/pods?watch=true&timeoutSeconds=290", "watch pods");
        check("GET", "/api/v1/namespaces/shop", "get namespaces shop");
        check("GET", "/api/v1/namespaces/shop/pods/cart-1", "get pods cart-1");
        check("PATCH", "/api/v1/namespaces/shop/pods/cart-1/status", "patch pods/status cart-1");
        check("POST", "/api/v1/namespaces/shop/pods", "create pods");
        check(
            "PUT",
            "/apis/allotment.dev/v1alpha1/addressblocks/default.10-0-0-0",
            "update addressblocks default.10-0-0-0",
        );
        check("DELETE", "/apis/allotment.dev/v1alpha1/addressblocks", "deletecollection addressblocks");
        check("GET", "/readyz", "list /readyz");
    }

    #[test]
    fn what_is_not_said_is_any() {
        let request = Request::of(&Method::GET, &"/api/v1/namespaces/shop/pods/cart-1".parse().unwrap());
        assert!(Which::any().matches(&request));
        assert!(Which::any().verb("get").resource("pods").name("cart-1").matches(&request));
        assert!(!Which::any().verb("list").matches(&request));
        assert!(!Which::any().resource("pods/status").matches(&request));
    }
}
