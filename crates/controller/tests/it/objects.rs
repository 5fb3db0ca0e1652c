//! Which objects are in force, and what their status says.

use allotment_api::annotation::{IPS, SUBNETS};
use allotment_api::v1alpha1::{ObjectStatus, Subnet};
use allotment_fleet::Template;
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams};

use crate::cluster::{Cluster, addresses, on_cluster};

impl Cluster {
    async fn status(&self, name: &str) -> ObjectStatus {
        self.api::<Subnet>().get_status(name).await.unwrap().status.unwrap_or_default()
    }

    /// A granted pod on node `n1`.
    async fn granted(&self, name: &str, subnet: &str) -> (allotment_fleet::Pod, String) {
        let pod = Template::new("default", name).on("n1").annotate(SUBNETS, subnet);
        let pod = self.pods().create(&pod).await.unwrap();
        let address = addresses(&self.grant("default", name).await).remove(0);
        (pod, address)
    }
}

#[test]
fn of_two_that_overlap_the_later_one_is_not_used_and_says_so() {
    on_cluster(async |cluster| {
        cluster.subnet("zebra", "10.50.0.0/24", "").await;
        // Times of creation are whole seconds: of two made in one, the name decides.
        let created = cluster.api::<Subnet>().get("zebra").await.unwrap().metadata.creation_timestamp;
        cluster
            .wait_until("a later second", async || {
                let _ = cluster.api::<Subnet>().delete("ant", &DeleteParams::default()).await;
                cluster.subnet("ant", "10.50.0.0/16", "").await;
                let ant = cluster.api::<Subnet>().get("ant").await.unwrap().metadata.creation_timestamp;
                (ant > created).then_some(())
            })
            .await;
        let controller = cluster.controller();
        assert_eq!(cluster.ready("zebra").await.0, "True");
        let (status, reason, message) = cluster.ready("ant").await;
        assert_eq!((&*status, &*reason), ("False", "Overlap"));
        assert!(
            message.contains("not in force") && message.contains("overlaps 10.50.0.0/24 of subnet `zebra`"),
            "{message}"
        );
        let events = cluster.api::<Event>();
        cluster
            .wait_until("an event about it", async || {
                let all = events.list(&ListParams::default()).await.unwrap();
                let is = |event: &Event| {
                    event.regarding.as_ref().is_some_and(|it| it.name.as_deref() == Some("ant"))
                };
                all.items
                    .into_iter()
                    .find(is)
                    .map(|event| assert_eq!(event.reason.as_deref(), Some("NotInForce")))
            })
            .await;
        // Once the first has gone, the second comes into force.
        cluster.api::<Subnet>().delete("zebra", &DeleteParams::default()).await.unwrap();
        cluster
            .wait_until("it comes into force", async || {
                (cluster.ready("ant").await.0 == "True").then_some(())
            })
            .await;
        controller.stop().await;
    });
}

#[test]
fn a_shrinking_edit_leaves_the_last_accepted_form_in_force() {
    on_cluster(async |cluster| {
        cluster.subnet("rack-c", "10.51.0.0/24", "").await;
        cluster.nodes(&["n1"]).await;
        let controller = cluster.controller();
        let (_, address) = cluster.granted("holder", "rack-c").await;
        assert_eq!(address, "10.51.0.2");
        cluster.subnet("rack-c", "10.51.0.128/25", "").await;
        let (status, _, message) = cluster.ready("rack-c").await;
        assert_eq!(status, "False");
        assert!(message.contains("the last accepted form stays in force"), "{message}");
        assert!(message.contains("10.51.0.2 (Pod default/holder"), "{message}");
        assert_eq!(cluster.granted("next", "rack-c").await.1, "10.51.0.3");
        controller.stop().await;
    });
}

#[test]
fn a_deleted_subnet_stays_while_it_is_held_and_gives_nothing_out() {
    on_cluster(async |cluster| {
        cluster.subnet("rack-d", "10.52.0.0/24", "").await;
        cluster.nodes(&["n1"]).await;
        let controller = cluster.controller();
        cluster.granted("holder", "rack-d").await;
        cluster.subnet("empty", "10.53.0.0/24", "").await;
        assert_eq!(cluster.ready("empty").await.0, "True");
        let subnets = cluster.api::<Subnet>();
        for name in ["rack-d", "empty"] {
            subnets.delete(name, &DeleteParams::default()).await.unwrap();
        }
        cluster
            .wait_until("the empty one goes", async || {
                subnets.get_opt("empty").await.unwrap().is_none().then_some(())
            })
            .await;
        let held = cluster
            .wait_until("condition InUse", async || {
                let status = cluster.status("rack-d").await;
                status.conditions.into_iter().find(|condition| condition.kind == "InUse")
            })
            .await;
        assert!(held.message.contains("10.52.0.2 (Pod default/holder"), "{}", held.message);
        for (name, ips) in [("late", ""), ("named", "10.52.0.9")] {
            let pod = Template::new("default", name).on("n1").annotate(SUBNETS, "rack-d").annotate(IPS, ips);
            cluster.pods().create(&pod).await.unwrap();
            assert_eq!(cluster.refusal("default", name).await.code, "not-allowed");
        }
        controller.stop().await;
    });
}

#[test]
fn status_counts_and_is_silent_when_nothing_happens() {
    on_cluster(async |cluster| {
        cluster.subnet("rack-e", "10.54.0.0/29", "").await;
        cluster.nodes(&["n1"]).await;
        let controller = cluster.controller();
        cluster.granted("one", "rack-e").await;
        cluster
            .wait_until("the count is there", async || {
                let usage = cluster.status("rack-e").await.usage;
                let counts: Vec<_> =
                    usage.iter().map(|usage| (&*usage.total, &*usage.held, &*usage.free)).collect();
                (counts == [("5", "1", "4")]).then_some(())
            })
            .await;
        // A restart finds it written.
        controller.stop().await;
        let next = cluster.controller();
        cluster.granted("two", "rack-e").await;
        cluster
            .wait_until("the count is there", async || {
                (cluster.status("rack-e").await.usage[0].held == "2").then_some(())
            })
            .await;
        // It is there before the answer that is counted.
        cluster.wait_until("a write", async || (next.wrote("status", "done") > 0).then_some(())).await;
        assert_eq!((next.wrote("status", "done"), next.wrote("finalizer", "done")), (1, 0));
        next.stop().await;
    });
}

#[test]
fn objects_that_agree_only_together_come_into_force_together() {
    on_cluster(async |cluster| {
        cluster.subnet("left", "10.56.0.0/24", "").await;
        cluster.subnet("right", "10.57.0.0/24", "").await;
        cluster.nodes(&["n1"]).await;
        let controller = cluster.controller();
        for name in ["left", "right"] {
            assert_eq!(cluster.ready(name).await.0, "True");
        }
        cluster.subnet("left", "10.57.0.0/24", "").await;
        assert_eq!(cluster.ready("left").await.1, "Overlap");
        cluster.subnet("right", "10.56.0.0/24", "").await;
        for name in ["left", "right"] {
            cluster
                .wait_until("the two have swapped", async || {
                    (cluster.ready(name).await.0 == "True").then_some(())
                })
                .await;
        }
        // And it stays so for whoever reads the ledger next.
        controller.kill().await;
        let next = cluster.controller();
        assert_eq!(cluster.granted("web", "left").await.1, "10.57.0.2");
        next.stop().await;
    });
}
