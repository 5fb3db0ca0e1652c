//! What the proxy does to requests, as plain data: nothing here waits or sends.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Request, Which};

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is answered with this status and never reaches the API server: 429, 410, 500, 503.
    Answer(u16),
    /// The connection is closed before the API server sees it.
    Lose,
    /// The API server does what is asked, and the connection is closed instead of an answer.
    LoseAnswer,
    /// It goes through, later.
    Delay(Duration),
}

/// A fault, the requests that it is about, and how many of them it meets.
#[derive(Clone, Debug)]
pub struct Rule {
    which: Which,
    fault: Fault,
    spare: u64,
    times: u64,
}

impl Rule {
    /// For every such request.
    pub fn new(which: Which, fault: Fault) -> Rule {
        Rule { which, fault, spare: 0, times: u64::MAX }
    }

    /// Lets the first ones go unharmed: `spare(2)` meets the third.
    #[must_use]
    pub fn spare(mut self, spare: u64) -> Rule {
        self.spare = spare;
        self
    }

    /// Only so many of them.
    #[must_use]
    pub fn times(mut self, times: u64) -> Rule {
        self.times = times;
        self
    }

    fn meets(&mut self, request: &Request) -> bool {
        if self.times == 0 || !self.which.matches(request) {
            return false;
        }
        if self.spare > 0 {
            self.spare -= 1;
            return false;
        }
        self.times -= 1;
        true
    }
}

/// All rules in force, and what was seen.
#[derive(Default)]
pub(super) struct Faults {
    pub(super) rules: Vec<Rule>,
    pub(super) latency: Duration,
    pub(super) held: Vec<Which>,
    pub(super) seen: BTreeMap<Request, u64>,
}

impl Faults {
    /// Counts a request and says what is to become of it: the first rule that meets it decides.
    pub(super) fn decide(&mut self, request: &Request) -> Option<Fault> {
        *self.seen.entry(request.clone()).or_default() += 1;
        self.rules.iter_mut().find_map(|rule| rule.meets(request).then(|| rule.fault.clone()))
    }

    pub(super) fn holds(&self, request: &Request) -> bool {
        self.held.iter().any(|which| which.matches(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(name: &str) -> Request {
        Request { verb: "patch", resource: "pods".to_owned(), name: name.to_owned() }
    }

    #[test]
    fn a_rule_spares_meets_and_is_used_up() {
        let mut faults = Faults::default();
        let which = Which::any().verb("patch").resource("pods");
        faults.rules.push(Rule::new(which, Fault::Answer(429)).spare(1).times(2));
        let fates: Vec<_> = ["a", "b", "c", "d"].map(|name| faults.decide(&patch(name))).into();
        assert_eq!(fates, [None, Some(Fault::Answer(429)), Some(Fault::Answer(429)), None]);
        assert_eq!(faults.seen.values().sum::<u64>(), 4);
    }

    #[test]
    fn the_first_rule_that_meets_decides() {
        let mut faults = Faults::default();
        faults.rules.push(Rule::new(Which::any().name("a"), Fault::Lose));
        faults.rules.push(Rule::new(Which::any(), Fault::LoseAnswer));
        assert_eq!(faults.decide(&patch("a")), Some(Fault::Lose));
        assert_eq!(faults.decide(&patch("b")), Some(Fault::LoseAnswer));
    }
}
