//! Who leads, and what others do meanwhile.

use std::time::{Duration, Instant};

use allotment_api::annotation::SUBNETS;
use allotment_fleet::Template;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::cluster::{Cluster, Controller, addresses, on_cluster};

impl Cluster {
    fn lease(&self) -> Api<Lease> {
        Api::namespaced(self.client(), "default")
    }

    async fn holder(&self) -> String {
        let lease = self.lease().get("allotment-controller").await.unwrap();
        lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default()
    }

    async fn warm(&self, controller: &Controller) {
        self.wait_until("the standby is warm", async || controller.health.unready().is_none().then_some(()))
            .await;
    }

    async fn given(&self, name: &str) -> String {
        let pod = Template::new("default", name).on("n1").annotate(SUBNETS, "rack-l");
        self.pods().create(&pod).await.unwrap();
        addresses(&self.grant("default", name).await).remove(0)
    }
}

#[test]
fn a_standby_takes_over_at_once_when_the_leader_stops() {
    on_cluster(async |cluster| {
        cluster.subnet("rack-l", "10.60.0.0/24", "").await;
        cluster.nodes(&["n1"]).await;
        let first = cluster.controller();
        cluster.leads(&first).await;
        let second = cluster.controller();
        cluster.warm(&second).await;
        assert!(!second.health.leads());
        assert_eq!(cluster.given("one").await, "10.60.0.2");
        assert_eq!(second.wrote("grant", "done"), 0, "a standby writes nothing");
        first.stop().await;
        let stopped = Instant::now();
        cluster.leads(&second).await;
        // A lease that had to run out would take four seconds.
        assert!(stopped.elapsed() < Duration::from_secs(3), "{:?}", stopped.elapsed());
        assert_eq!(cluster.given("two").await, "10.60.0.3");
        second.stop().await;
        assert_eq!(cluster.holder().await, "", "it is released");
    });
}

#[test]
fn a_standby_takes_over_when_the_leader_vanishes() {
    on_cluster(async |cluster| {
        cluster.subnet("rack-l", "10.61.0.0/24", "").await;
        cluster.nodes(&["n1"]).await;
        let first = cluster.controller();
        cluster.leads(&first).await;
        let second = cluster.controller();
        cluster.warm(&second).await;
        first.kill().await;
        cluster.leads(&second).await;
        assert_eq!(cluster.given("one").await, "10.61.0.2");
        second.stop().await;
    });
}

#[test]
fn a_leader_yields_when_it_reads_that_another_leads() {
    on_cluster(async |cluster| {
        cluster.subnet("rack-l", "10.62.0.0/24", "").await;
        cluster.nodes(&["n1"]).await;
        let controller = cluster.controller();
        cluster.leads(&controller).await;
        let taken = json!({"spec": {"holderIdentity": "somebody-else", "leaseDurationSeconds": 2}});
        let lease = cluster.lease();
        lease.patch("allotment-controller", &PatchParams::default(), &Patch::Merge(taken)).await.unwrap();
        cluster.wait_until("it yields", async || (!controller.health.leads()).then_some(())).await;
        // Nobody renews the other's lease: it leads again, and knows what it gave.
        cluster.leads(&controller).await;
        assert_eq!(cluster.given("one").await, "10.62.0.2");
        controller.stop().await;
    });
}

#[test]
fn l4_two_that_believe_to_lead_give_each_pod_one_grant_and_no_address_twice() {
    const PODS: usize = 60;
    on_cluster(async |cluster| {
        cluster.subnet("rack-l", "10.63.0.0/24", "").await;
        cluster.nodes(&["n1"]).await;
        // Each has a namespace of its own for its lease, and so both lead.
        let first = cluster.controller();
        let second = cluster.controller_in("kube-system").await;
        cluster.leads(&first).await;
        cluster.leads(&second).await;
        let pod = |n: usize| Template::new("default", &format!("p{n}")).on("n1").annotate(SUBNETS, "rack-l");
        cluster.pods().create_all(&(0..PODS).map(pod).collect::<Vec<_>>()).await.unwrap();
        let mut given = Vec::new();
        for n in 0..PODS {
            let grant = cluster.grant("default", &format!("p{n}")).await;
            assert_eq!(grant.attachments.len(), 1, "{grant:?}");
            given.extend(addresses(&grant));
        }
        given.sort();
        given.dedup();
        assert_eq!(given.len(), PODS);
        // Between them, each pod was shown one grant.
        cluster
            .wait_until("every patch is answered", async || {
                (first.wrote("grant", "done") + second.wrote("grant", "done") == PODS as u64).then_some(())
            })
            .await;
        first.stop().await;
        second.stop().await;
    });
}
