//! An API server that fails: nothing is lost, nothing is given twice, and nobody has to start the controller again.

use std::collections::HashSet;
use std::time::Duration;

use allotment_api::annotation::SUBNETS;
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
