//! What a stretch of time cost: requests, bytes, processors.

use std::collections::BTreeMap;
use std::time::Duration;

use allotment_fleet::{ControlPlane, Server, plain};
use anyhow::{Context, Result};
use kube::Client;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// This program, and what it has started and has ended: plugins, as long as no server ends.
pub(crate) const DRIVER: &str = "driver";
pub(crate) const PLUGINS: &str = "plugins";

/// All counters at one moment, or what they grew by between two.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    /// Verb and resource, with its subresource: `PATCH pods`, `PUT nodeattachments/status`.
    pub(crate) requests: BTreeMap<String, u64>,
    /// Bytes that etcd wrote to its log.
    pub(crate) written: u64,
    /// Seconds on a processor, by program.
    pub(crate) cpu: BTreeMap<String, f64>,
    /// Bytes of memory held, by program: not a difference but what is held at the end.
    pub(crate) resident: BTreeMap<String, u64>,
}

/// Reads the counters. Agents count as one program.
pub(crate) async fn read(plane: &ControlPlane, client: &Client, servers: &[&Server]) -> Result<Reading> {
    let request = hyper::http::Request::get("/metrics").body(Vec::new())?;
    let api_server = client.request_text(request).await.context("kube-apiserver's metrics")?;
    let etcd =
        plain::get(plane.etcd_url().trim_start_matches("http://"), "/metrics").context("etcd's metrics")?;
    let mut reading = Reading {
        requests: requests(&api_server),
        written: sum(&etcd, "etcd_disk_wal_write_bytes_total"),
        ..Reading::default()
    };
    for server in [plane.etcd(), plane.api_server()].into_iter().chain(servers.iter().copied()) {
        let usage = server.usage()?;
        let name = server.name().split("-node").next().unwrap_or_default().to_owned();
        *reading.cpu.entry(name.clone()).or_default() += usage.cpu.as_secs_f64();
        *reading.resident.entry(name).or_default() += usage.resident;
    }
    reading.cpu.insert(DRIVER.to_owned(), cpu(UsageWho::RUSAGE_SELF)?);
    reading.cpu.insert(PLUGINS.to_owned(), cpu(UsageWho::RUSAGE_CHILDREN)?);
    Ok(reading)
}

/// Seconds.
fn cpu(who: UsageWho) -> Result<f64> {
    let usage = getrusage(who)?;
    let time = usage.user_time() + usage.system_time();
    Ok(Duration::from_micros(time.num_microseconds().try_into()?).as_secs_f64())
}

impl Reading {
    /// What was added since an earlier one.
    pub(crate) fn since(mut self, earlier: &Reading) -> Reading {
        for (name, count) in &mut self.requests {
            *count -= earlier.requests.get(name).copied().unwrap_or(0);
        }
        self.requests.retain(|_, count| *count > 0);
        self.written -= earlier.written;
        for (name, seconds) in &mut self.cpu {
            *seconds -= earlier.cpu.get(name).copied().unwrap_or(0.0);
        }
        self
    }

    /// Seconds on a processor of all programs together.
    pub(crate) fn processors(&self) -> f64 {
        self.cpu.values().sum()
    }

    /// The same by program, the busiest first.
    pub(crate) fn by_program(&self) -> String {
        let mut programs: Vec<_> = self.cpu.iter().collect();
        programs.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        let programs = programs.into_iter().map(|(name, seconds)| format!("{name} {seconds:.2}"));
        programs.collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn count(&self, request: &str) -> u64 {
        self.requests.get(request).copied().unwrap_or(0)
    }

    /// Counts what came later as well.
    pub(crate) fn add(&mut self, later: Reading) {
        for (name, count) in later.requests {
            *self.requests.entry(name).or_default() += count;
        }
        self.written += later.written;
        for (name, seconds) in later.cpu {
            *self.cpu.entry(name).or_default() += seconds;
        }
        self.resident = later.resident;
    }

    /// How many requests, leases aside.
    #[expect(clippy::cast_precision_loss, reason = "some thousand")]
    pub(crate) fn without_leases(&self) -> f64 {
        let rest = self.requests.iter().filter(|(name, _)| !name.ends_with(" leases"));
        rest.map(|(_, count)| *count).sum::<u64>() as f64
    }

    /// Every kind of request with how often, the most frequent first; leases aside.
    pub(crate) fn summary(&self) -> String {
        let mut kinds: Vec<_> = self.requests.iter().filter(|(name, _)| !name.ends_with(" leases")).collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let kinds = kinds.into_iter().map(|(name, count)| format!("{count} {name}"));
        kinds.collect::<Vec<_>>().join(", ")
    }
}

/// `apiserver_request_total` by verb and resource. What is asked for no resource is our own question, or a health check.
fn requests(text: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("apiserver_request_total{")) {
        let Some((labels, value)) = line.rsplit_once("} ") else { continue };
        let label = |name: &str| {
            let (_, rest) = labels.split_once(&format!("{name}=\""))?;
            rest.split('"').next().filter(|value| !value.is_empty())
        };
        // `subresource` ends in `resource`: that one is asked for with what stands before it.
        let Some(resource) = labels.split(',').find_map(|pair| pair.strip_prefix("resource=\"")) else {
            continue;
        };
        let resource = resource.trim_end_matches('"');
        if resource.is_empty() {
            continue;
        }
        let verb = label("verb").unwrap_or_default();
        let name = match label("subresource") {
            Some(subresource) => format!("{verb} {resource}/{subresource}"),
            None => format!("{verb} {resource}"),
        };
        *counts.entry(name).or_default() += number(value);
    }
    counts
}

/// The sum over all labels of a counter.
fn sum(text: &str, name: &str) -> u64 {
    let lines = text.lines().filter_map(|line| line.strip_prefix(name));
    let values = lines.filter(|rest| rest.starts_with(['{', ' '])).filter_map(|rest| rest.rsplit(' ').next());
    values.map(number).sum()
}

/// Counters are written as floating point numbers: `1.2e+06`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "they are whole and not negative"
)]
fn number(text: &str) -> u64 {
    text.trim().parse::<f64>().map_or(0, |value| value.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# HELP apiserver_request_total Counter
apiserver_request_total{code=\"200\",dry_run=\"\",group=\"\",resource=\"pods\",scope=\"resource\",subresource=\"\",verb=\"PATCH\",version=\"v1\"} 3
apiserver_request_total{code=\"409\",dry_run=\"\",group=\"\",resource=\"pods\",scope=\"resource\",subresource=\"\",verb=\"PATCH\",version=\"v1\"} 1
apiserver_request_total{code=\"200\",group=\"allotment.dev\",resource=\"nodeattachments\",subresource=\"status\",verb=\"PUT\"} 1.2e+03
apiserver_request_total{code=\"200\",resource=\"\",subresource=\"/readyz\",verb=\"GET\"} 7
";

    #[test]
    fn requests_are_summed_by_verb_and_resource() {
        let counts = requests(TEXT);
        assert_eq!(counts.len(), 2, "{counts:?}");
        assert_eq!((counts["PATCH pods"], counts["PUT nodeattachments/status"]), (4, 1200));
    }

    #[test]
    fn a_counter_is_no_other_that_begins_alike() {
        assert_eq!(sum("bytes_total 5\nbytes_total_sum 7\nbytes_total{a=\"b\"} 2\n", "bytes_total"), 7);
    }

    #[test]
    fn only_what_grew_is_left() {
        let reading = |patches, gets| Reading {
            requests: [("PATCH pods".to_owned(), patches), ("GET pods".to_owned(), gets)].into(),
            ..Reading::default()
        };
        let grown = reading(5, 2).since(&reading(3, 2));
        assert_eq!(grown.requests, [("PATCH pods".to_owned(), 2)].into());
        assert_eq!((grown.count("PATCH pods"), grown.summary()), (2, "2 PATCH pods".to_owned()));
    }
}
