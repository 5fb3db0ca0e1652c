//! An API server that fails: nothing is lost, nothing is given twice, and nobody has to start the controller again.

use std::collections::HashSet;
use std::time::Duration;

use allotment_api::annotation::SUBNETS;
use allotment_api::v1alpha1::Subnet;
use allotment_fleet::proxy::{Fault, Rule, Which};
use allotment_fleet::{Proxy, Template};

use crate::cluster::{Cluster, addresses, on_cluster};

impl Cluster {
    /// Makes pods of these numbers in subnet `rack-f`.
    async fn crowd(&self, numbers: std::ops::Range<usize>) {
        let pod = |n: usize| Template::new("default", &format!("p{n}")).on("n1").annotate(SUBNETS, "rack-f");
        self.pods().create_all(&numbers.map(pod).collect::<Vec<_>>()).await.unwrap();
    }

    /// Waits until each has its own address, and one grant.
    async fn all_granted(&self, numbers: std::ops::Range<usize>) {
        let mut given = HashSet::new();
        let count = numbers.len();
        for n in numbers {
            let grant = self.grant("default", &format!("p{n}")).await;
            assert_eq!(grant.attachments.len(), 1, "{grant:?}");
            given.extend(addresses(&grant));
        }
        assert_eq!(given.len(), count);
    }
}

#[test]
fn patches_and_commits_that_fail_are_tried_again() {
    on_cluster(async |cluster| {
        cluster.subnet("rack-f", "10.70.0.0/24", "").await;
        cluster.nodes(&["n1"]).await;
        let proxy = Proxy::start(cluster.plane).unwrap();
        let controller = cluster.controller_through(&proxy).await;
        cluster.leads(&controller).await;
        for (which, fault, times) in [
            (Which::any().verb("patch").resource("pods"), Fault::Answer(429), 20),
            (Which::any().verb("patch").resource("pods"), Fault::LoseAnswer, 10),
            (Which::any().verb("patch").resource("pods"), Fault::Lose, 10),
            (Which::any().verb("update").resource("addressblocks"), Fault::LoseAnswer, 1),
            (Which::any().verb("update").resource("addressblocks"), Fault::Answer(507), 2),
            (Which::any().verb("update").resource("leases"), Fault::Answer(500), 3),
        ] {
            proxy.inject(Rule::new(which, fault).times(times));
        }
        cluster.crowd(0..60).await;
        cluster.all_granted(0..60).await;
        assert!(controller.health.leads(), "a slow or failing renewal is no reason to yield");
        controller.stop().await;
    });
}

#[test]
fn watches_that_expire_and_connections_that_break_lose_nobody() {
    on_cluster(async |cluster| {
        cluster.subnet("rack-f", "10.71.0.0/24", "").await;
        cluster.nodes(&["n1"]).await;
        let proxy = Proxy::start(cluster.plane).unwrap();
        let controller = cluster.controller_through(&proxy).await;
        cluster.leads(&controller).await;
        proxy.latency(Duration::from_millis(50));
        cluster.crowd(0..20).await;
        proxy.expire(Which::any().verb("watch").resource("pods"));
        cluster.crowd(20..30).await;
        proxy.cut();
        cluster.crowd(30..40).await;
        proxy.refuse();
        cluster.crowd(40..50).await;
        proxy.heal();
        cluster.all_granted(0..50).await;
        controller.stop().await;
    });
}

/// Every kind of write that the controller makes while pods come.
const WRITES: [(&str, &str); 8] = [
    ("create", "addressblocks"),
    ("update", "addressblocks"),
    ("patch", "pods"),
    ("patch", "nodeattachments"),
    ("patch", "subnets"),
    ("patch", "subnets/status"),
    ("create", "events"),
    ("update", "leases"),
];

#[test]
fn a_storm_of_conflicts_passes() {
    on_cluster(async |cluster| {
        cluster.subnet("rack-f", "10.72.0.0/24", "").await;
        cluster.nodes(&["n1"]).await;
        let proxy = Proxy::start(cluster.plane).unwrap();
        for (verb, resource) in WRITES {
            let which = Which::any().verb(verb).resource(resource);
            // Every write of it meets conflicts before one gets through, and again after that.
            proxy.inject(Rule::new(which.clone(), Fault::Answer(409)).times(4));
            proxy.inject(Rule::new(which, Fault::Answer(409)).spare(6).times(10));
        }
        let controller = cluster.controller_through(&proxy).await;
        cluster.crowd(0..60).await;
        cluster.all_granted(0..60).await;
        assert_eq!(cluster.ready("rack-f").await.0, "True");
        assert!(controller.health.leads(), "a conflict alone tells of no other leader");
        controller.stop().await;
    });
}

/// What the API server answers while etcd is out of space.
const FULL: Fault = Fault::Answer(500);

#[test]
fn a_full_etcd_delays_every_kind_of_write_and_loses_none() {
    on_cluster(async |cluster| {
        let proxy = Proxy::start(cluster.plane).unwrap();
        let controller = cluster.controller_through(&proxy).await;
        cluster.leads(&controller).await;
        for verb in ["create", "update", "patch", "delete"] {
            proxy.inject(Rule::new(Which::any().verb(verb), FULL));
        }
        // A refused pod makes an event, a new subnet a status, a new node a spec, a new block an object.
        cluster.subnet("rack-f", "10.73.0.0/24", "").await;
        cluster.subnet("tiny", "10.74.0.0/30", "").await;
        cluster.nodes(&["n1"]).await;
        let stuck = |name: &str| Template::new("default", name).on("n1").annotate(SUBNETS, "tiny");
        for name in ["first", "second"] {
            cluster.pods().create(&stuck(name)).await.unwrap();
        }
        cluster.crowd(0..20).await;
        let tried = async |verb: &str, resource: &str| {
            let which = Which::any().verb(verb).resource(resource);
            let what = format!("{verb} {resource} is tried, and tried again");
            cluster.wait_until(&what, async || (proxy.count(&which) > 1).then_some(())).await;
        };
        // One kind after the other gets through, in the order in which they depend on each other.
        tried("create", "addressblocks").await;
        let mut through: Vec<(&str, &str)> = Vec::new();
        for kind in WRITES {
            proxy.heal();
            proxy.forget();
            let full = WRITES.into_iter().filter(|other| !through.contains(other));
            for (verb, resource) in full {
                proxy.inject(Rule::new(Which::any().verb(verb).resource(resource), FULL));
            }
            // Events are told and not kept, and a lease is not needed by whoever leads.
            if !matches!(kind.1, "events" | "pods" | "nodeattachments" | "addressblocks") {
                tried(kind.0, kind.1).await;
            }
            through.push(kind);
        }
        proxy.heal();
        cluster.all_granted(0..20).await;
        let held =
            [cluster.annotations("default", "first").await, cluster.annotations("default", "second").await];
        assert_eq!(held.iter().filter(|all| all.contains_key("allotment.dev/grant")).count(), 1);
        for name in ["rack-f", "tiny"] {
            assert_eq!(cluster.ready(name).await.0, "True");
        }
        assert!(controller.health.leads());
        controller.stop().await;
    });
}

#[test]
fn a_quiet_cluster_is_left_alone() {
    on_cluster(async |cluster| {
        cluster.subnet("rack-f", "10.75.0.0/24", ", cooling: 0s").await;
        cluster.nodes(&["n1"]).await;
        let proxy = Proxy::start(cluster.plane).unwrap();
        let controller = cluster.controller_through(&proxy).await;
        cluster.crowd(0..10).await;
        cluster.all_granted(0..10).await;
        assert_eq!(cluster.ready("rack-f").await.0, "True");
        // The counts in its status come last, some seconds later.
        cluster
            .wait_until("the status has the counts", async || {
                let status = cluster.api::<Subnet>().get_status("rack-f").await.unwrap().status?;
                (status.usage.first()?.held == "10").then_some(())
            })
            .await;
        proxy.forget();
        // A lease is renewed once a second: this is a quarter of a minute.
        let renewals = Which::any().verb("update").resource("leases");
        cluster.wait_until("time passes", async || (proxy.count(&renewals) >= 15).then_some(())).await;
        let seen = proxy.requests();
        let others: Vec<_> = seen.iter().filter(|(request, _)| request.resource != "leases").collect();
        assert!(others.is_empty(), "{others:?}");
        controller.stop().await;
    });
}
