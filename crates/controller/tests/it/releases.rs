//! Addresses come back by proof, and by nothing else (R2–R5, L5). The agents are played.

use allotment_api::annotation::SUBNETS;
use allotment_api::v1alpha1::{
    AddressBlock, NodeAttachments, NodeAttachmentsSpec, NodeAttachmentsStatus, Still, Subnet,
};
use allotment_controller::ledger::KubeLedger;
use allotment_core::{AllocationState, Asked, Attachment, Owner, Request, Target, Want};
use allotment_engine::Engine;
use allotment_fleet::{Pod, Template};
use k8s_openapi::api::core::v1::{Node, Pod as AnyPod};
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;

use crate::cluster::{Cluster, addresses, on_cluster};

mod retained;

/// The only address of subnet `one`.
const ONLY: &str = "10.42.0.2";

impl Cluster {
    async fn one(&self) {
        self.subnet("one", "10.42.0.0/30", ", cooling: 0s").await;
        self.nodes(&["n1"]).await;
    }

    async fn pod(&self, name: &str) -> Pod {
        let pod = Template::new("default", name).on("n1").annotate(SUBNETS, "one");
        self.pods().create(&pod).await.unwrap()
    }

    /// What the agent of `n1` says as of now.
    pub(crate) async fn report(&self, still: Vec<Still>) {
        let node = self.api::<Node>().get("n1").await.unwrap();
        let status = NodeAttachmentsStatus {
            node_uid: node.uid().unwrap(),
            boot_id: "boot".to_owned(),
            as_of: self.version().await,
            still,
            epoch: self.spec().await.epoch,
            ..NodeAttachmentsStatus::default()
        };
        self.say(status).await;
    }

    async fn say(&self, status: NodeAttachmentsStatus) {
        let mut status = json!({ "status": status });
        status["status"].as_object_mut().unwrap().entry("still").or_insert(json!([]));
        let api = self.api::<NodeAttachments>();
        api.patch_status("n1", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    }

    async fn version(&self) -> String {
        let pods = self.api::<AnyPod>().list_metadata(&ListParams::default().limit(1)).await.unwrap();
        pods.metadata.resource_version.unwrap()
    }

    async fn spec(&self) -> NodeAttachmentsSpec {
        self.api::<NodeAttachments>().get("n1").await.unwrap().spec
    }

    /// Waits until the agent of `n1` is asked to publish what happened since.
    async fn asked(&self, since: &str) -> u64 {
        let before: u64 = since.parse().unwrap();
        self.wait_until("the agent is asked to reach a version", async || {
            self.spec().await.reach.parse().ok().filter(|reach| *reach >= before)
        })
        .await
    }

    /// Waits until the subnet says, or does not say, that nodes which are gone have addresses of it.
    async fn says_lost(&self, subnet: &str, expect: bool) {
        self.wait_until(&format!("AddressesLost of {subnet} is {expect}"), async || {
            let status = self.api::<Subnet>().get_status(subnet).await.unwrap().status?;
            let is = status.conditions.iter().any(|condition| condition.kind == "AddressesLost");
            (is == expect).then_some(())
        })
        .await;
    }

    async fn has(&self, name: &str) {
        assert_eq!(addresses(&self.grant("default", name).await), [ONLY]);
    }

    async fn waits(&self, name: &str) {
        assert_eq!(self.refusal("default", name).await.code, "full");
    }
}

fn still(pod: &Pod) -> Vec<Still> {
    vec![Still { pod: pod.uid.clone(), vrf: "default".to_owned(), address: ONLY.parse().unwrap() }]
}

#[test]
fn r3_a_deleted_pods_address_comes_back_when_its_node_says_so() {
    on_cluster(async |cluster| {
        cluster.one().await;
        let controller = cluster.controller();
        let first = cluster.pod("first").await;
        cluster.has("first").await;
        cluster.pod("second").await;
        cluster.waits("second").await;
        cluster.pods().remove(&first).await.unwrap();
        cluster.report(still(&first)).await;
        // Were that a proof, the third pod's refusal would not come: it is asked for after the report was read.
        let third = cluster.pod("third").await;
        cluster.waits("third").await;
        cluster.pods().remove(&third).await.unwrap();
        cluster.report(Vec::new()).await;
        cluster.has("second").await;
        controller.stop().await;
    });
}

#[test]
fn r3_a_force_deleted_pod_keeps_its_address_while_its_node_is_silent() {
    on_cluster(async |cluster| {
        cluster.one().await;
        let controller = cluster.controller();
        let first = cluster.pod("first").await;
        cluster.has("first").await;
        let since = cluster.version().await;
        // Without a grace period: the object is gone, and nobody has asked the node whether the container is.
        cluster.pods().remove(&first).await.unwrap();
        let reach = cluster.asked(&since).await;
        // The end has been noticed by now. Were that a proof, this refusal would not come.
        let second = cluster.pod("second").await;
        cluster.waits("second").await;
        // What the agent says as of before does not count either, though it says that nothing is used.
        let node = cluster.api::<Node>().get("n1").await.unwrap();
        let early = NodeAttachmentsStatus {
            node_uid: node.uid().unwrap(),
            boot_id: "boot".to_owned(),
            as_of: (reach - 1).to_string(),
            ..NodeAttachmentsStatus::default()
        };
        cluster.say(early).await;
        cluster.pods().remove(&second).await.unwrap();
        cluster.pod("third").await;
        cluster.waits("third").await;
        cluster.report(Vec::new()).await;
        cluster.has("third").await;
        controller.stop().await;
    });
}

#[test]
fn r3_a_finished_pods_address_comes_back_though_its_object_stays() {
    on_cluster(async |cluster| {
        cluster.one().await;
        let controller = cluster.controller();
        let first = cluster.pod("first").await;
        cluster.has("first").await;
        cluster.pod("second").await;
        cluster.waits("second").await;
        cluster.pods().phase(&first, "Succeeded").await.unwrap();
        cluster.report(Vec::new()).await;
        cluster.has("second").await;
        assert!(cluster.pods().get(&first).await.unwrap().is_some());
        controller.stop().await;
    });
}

#[test]
fn l5_what_ended_while_no_controller_ran_is_found_and_asked_for() {
    on_cluster(async |cluster| {
        cluster.one().await;
        let controller = cluster.controller();
        let first = cluster.pod("first").await;
        cluster.has("first").await;
        controller.stop().await;
        cluster.pods().remove(&first).await.unwrap();
        cluster.pod("second").await;
        let since = cluster.version().await;
        let controller = cluster.controller();
        cluster.waits("second").await;
        // The agent published before the pod was deleted, and has nothing to say by itself.
        cluster.asked(&since).await;
        cluster.report(Vec::new()).await;
        cluster.has("second").await;
        controller.stop().await;
    });
}

#[test]
fn r4_a_node_replaced_under_its_name_holds_what_the_first_had_until_it_is_forgotten() {
    on_cluster(async |cluster| {
        cluster.one().await;
        let controller = cluster.controller();
        let first = cluster.pod("first").await;
        cluster.has("first").await;
        let lost = cluster.spec().await.node_uid;
        cluster.api::<Node>().delete("n1", &DeleteParams::default()).await.unwrap();
        cluster.pods().remove(&first).await.unwrap();
        cluster.pods().nodes(&["n1"]).await.unwrap();
        cluster.report(Vec::new()).await;
        let spec = cluster
            .wait_until("the new node is admitted", async || {
                Some(cluster.spec().await).filter(|spec| spec.node_uid != lost)
            })
            .await;
        let former: Vec<_> =
            spec.former.iter().map(|former| (former.address.to_string(), &former.node_uid)).collect();
        assert_eq!(former, [(ONLY.to_owned(), &lost)]);
        cluster.pod("second").await;
        cluster.waits("second").await;
        cluster.says_lost("one", true).await;
        let patch = Patch::Merge(json!({"spec": {"forgotten": [lost]}}));
        cluster.api::<NodeAttachments>().patch("n1", &PatchParams::default(), &patch).await.unwrap();
        cluster.has("second").await;
        assert_eq!(cluster.spec().await.former, []);
        cluster.says_lost("one", false).await;
        controller.stop().await;
    });
}

#[test]
fn r4_out_of_service_is_proof_enough() {
    on_cluster(async |cluster| {
        cluster.one().await;
        let controller = cluster.controller();
        let first = cluster.pod("first").await;
        cluster.has("first").await;
        let taint = json!({"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"});
        let patch = Patch::Merge(json!({"spec": {"taints": [taint]}}));
        cluster.api::<Node>().patch("n1", &PatchParams::default(), &patch).await.unwrap();
        cluster.pods().remove(&first).await.unwrap();
        cluster.pod("second").await;
        cluster.has("second").await;
        controller.stop().await;
    });
}

#[test]
fn l6_what_a_node_uses_and_the_ledger_lacks_is_taken_over() {
    on_cluster(async |cluster| {
        cluster.one().await;
        let controller = cluster.controller();
        let first = cluster.pod("first").await;
        cluster.has("first").await;
        // As after a restore: the ledger has forgotten who has it, and the pod still uses it.
        let block = &cluster.api::<AddressBlock>().list(&ListParams::default()).await.unwrap();
        let block = block.iter().find(|block| block.name_any().contains("10-42-0-0")).unwrap();
        controller.stop().await;
        cluster.api::<AddressBlock>().delete(&block.name_any(), &DeleteParams::default()).await.unwrap();
        let epoch = allotment_controller::ledger::raise(cluster.client()).await.unwrap();
        let controller = cluster.controller();
        let asked = cluster
            .wait_until("the agent is asked for its inventory", async || {
                Some(cluster.spec().await.epoch).filter(|asked| *asked > epoch)
            })
            .await;
        let node = cluster.api::<Node>().get("n1").await.unwrap();
        let status = NodeAttachmentsStatus {
            node_uid: node.uid().unwrap(),
            as_of: cluster.version().await,
            epoch: asked,
            inventory: still(&first),
            ..NodeAttachmentsStatus::default()
        };
        cluster.say(status).await;
        cluster.pod("second").await;
        cluster
            .wait_until("the ledger has recovered, and the address is taken", async || {
                let refusal = cluster.refusal("default", "second").await;
                (refusal.code == "full").then_some(())
            })
            .await;
        // It is the first pod's again, and comes back by its proof.
        cluster.pods().remove(&first).await.unwrap();
        cluster.report(Vec::new()).await;
        cluster.has("second").await;
        controller.stop().await;
    });
}

#[test]
fn l6_a_block_that_was_lost_while_nobody_was_there_is_missed_by_the_pods_that_show_it() {
    on_cluster(async |cluster| {
        cluster.subnet("many", "10.45.0.0/24", "").await;
        cluster.nodes(&["n1"]).await;
        let controller = cluster.controller();
        let make = async |name: &str| {
            let pod = Template::new("default", name).on("n1").annotate(SUBNETS, "many");
            cluster.pods().create(&pod).await.unwrap()
        };
        let first = make("first").await;
        assert_eq!(addresses(&cluster.grant("default", "first").await), ["10.45.0.2"]);
        controller.stop().await;
        let epoch = cluster.spec().await.epoch;
        cluster.api::<AddressBlock>().delete("default.10-45-0-0", &DeleteParams::default()).await.unwrap();
        make("second").await;
        let controller = cluster.controller();
        let asked = cluster
            .wait_until("the agent is asked for its inventory", async || {
                Some(cluster.spec().await.epoch).filter(|asked| *asked > epoch)
            })
            .await;
        assert_eq!(cluster.refusal("default", "second").await.code, "withheld");
        let node = cluster.api::<Node>().get("n1").await.unwrap();
        let used = Still {
            pod: first.uid.clone(),
            vrf: "default".to_owned(),
            address: "10.45.0.2".parse().unwrap(),
        };
        let status = NodeAttachmentsStatus {
            node_uid: node.uid().unwrap(),
            as_of: cluster.version().await,
            epoch: asked,
            inventory: vec![used],
            ..NodeAttachmentsStatus::default()
        };
        cluster.say(status).await;
        assert_eq!(addresses(&cluster.grant("default", "second").await), ["10.45.0.3"]);
        controller.has_as(cluster, "10.45.0.2", AllocationState::Active).await;
        // Nothing is missed the next time.
        controller.stop().await;
        let controller = cluster.controller();
        cluster.leads(&controller).await;
        assert_eq!(cluster.spec().await.epoch, asked);
        controller.stop().await;
    });
}

#[test]
fn l4_what_another_leader_gave_beside_what_is_shown_is_given_back() {
    on_cluster(async |cluster| {
        cluster.subnet("many", "10.46.0.0/23", "").await;
        cluster.nodes(&["n1"]).await;
        let controller = cluster.controller();
        cluster.leads(&controller).await;
        // It was killed after it had committed, before it could show it or read that another had.
        let ledger = KubeLedger::new(cluster.client(), tokio::runtime::Handle::current());
        let other = tokio::task::spawn_blocking(move || Engine::open(ledger)).await.unwrap().unwrap();
        let pod = Template::new("default", "web").on("n1").annotate(SUBNETS, "many");
        let pod = cluster.pods().create(&pod).await.unwrap();
        assert_eq!(addresses(&cluster.grant("default", "web").await), ["10.46.0.2"]);
        let owner =
            Owner { kind: "Pod".into(), namespace: pod.namespace, name: pod.name, uid: pod.uid.clone() };
        let attachment = Attachment {
            holder: pod.uid,
            interface: "eth0".into(),
            node: "n1".into(),
            ..Attachment::default()
        };
        let want = Want {
            attachment,
            targets: vec![Target::Subnet("many".into())],
            ips: Asked::Each(vec![[10, 46, 1, 9].into()]),
            ..Want::default()
        };
        let request = Request { owner, wants: vec![want], ..Request::default() };
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        other.allocate(request, deadline).await.unwrap();
        other.stop().await;
        controller.has_as(cluster, "10.46.1.9", AllocationState::Active).await;
        controller.stop().await;
        let controller = cluster.controller();
        controller.has_as(cluster, "10.46.1.9", AllocationState::Cooling).await;
        controller.has_as(cluster, "10.46.0.2", AllocationState::Active).await;
        controller.stop().await;
    });
}
