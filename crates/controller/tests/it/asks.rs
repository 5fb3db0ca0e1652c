//! What nodes ask for that no pod announces (K1).

use std::collections::BTreeSet;

use allotment_api::v1alpha1::{
    AddressBlock, Answer, Ask, LedgerBlock, NodeAttachments, NodeAttachmentsStatus, Still,
};
use allotment_core::AllocationState;
use allotment_fleet::{Pod, Template};
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::cluster::{Cluster, on_cluster};

fn ask(id: &str, pod: &Pod) -> Ask {
    Ask {
        id: id.to_owned(),
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        pod_uid: pod.uid.clone(),
        interface: "eth0".to_owned(),
        network: "cbr0".to_owned(),
        subnets: vec!["nodes".to_owned()],
        ..Ask::default()
    }
}

impl Cluster {
    async fn ask(&self, node: &str, asks: &[Ask]) {
        let patch = Patch::Merge(json!({"status": {"asks": asks}}));
        self.api::<NodeAttachments>().patch_status(node, &PatchParams::default(), &patch).await.unwrap();
    }

    async fn answers(&self, node: &str, count: usize) -> Vec<Answer> {
        let api = self.api::<NodeAttachments>();
        self.wait_until(&format!("{count} answers to {node}"), async || {
            let answers = api.get(node).await.unwrap().spec.answers;
            (answers.len() == count).then_some(answers)
        })
        .await
    }
}

#[test]
fn k1_a_node_asks_for_its_own_pods_and_for_no_others() {
    on_cluster(async |cluster| {
        cluster.subnet("nodes", "10.64.0.0/24", "").await;
        cluster.nodes(&["n1", "n2"]).await;
        let controller = cluster.controller();
        cluster.leads(&controller).await;
        let on = async |name: &str, node: &str| {
            cluster.pods().create(&Template::new("default", name).on(node)).await.unwrap()
        };
        let (own, other, theirs) = (on("own", "n1").await, on("other", "n1").await, on("theirs", "n2").await);
        cluster.ask("n1", &[ask("1", &own), ask("2", &other), ask("3", &theirs)]).await;
        let answers = cluster.answers("n1", 3).await;
        let given = |at: usize| answers[at].grant.as_ref().map(|grant| grant.ips[0].address.to_string());
        let both = BTreeSet::from([given(0), given(1)]);
        assert_eq!(both, ["10.64.0.2", "10.64.0.3"].map(|address| Some(address.to_owned())).into());
        assert_eq!(answers[0].grant.as_ref().map(|grant| &*grant.config), Some("cbr0"));
        assert_eq!(answers[2].refusal.as_ref().map(|refusal| &*refusal.code), Some("not-allowed"));
        assert!(controller.wrote("answers", "done") <= 2, "{}", controller.wrote("answers", "done"));
        // What is no longer asked is no longer answered; the rest stays as it was.
        cluster.ask("n1", &[ask("2", &other)]).await;
        assert_eq!(cluster.answers("n1", 1).await, answers[1..2]);
        // A new leader finds it answered.
        controller.stop().await;
        let next = cluster.controller();
        cluster.leads(&next).await;
        cluster.ask("n1", &[ask("2", &other), ask("4", &own)]).await;
        let again = cluster.answers("n1", 2).await;
        assert_eq!((&again[0], again[1].grant.as_ref()), (&answers[1], answers[0].grant.as_ref()));
        next.stop().await;
    });
}

#[test]
fn l6_a_lost_block_of_which_no_pod_shows_anything_is_missed() {
    on_cluster(async |cluster| {
        cluster.subnet("nodes", "10.65.0.0/24", "").await;
        cluster.nodes(&["n1"]).await;
        let controller = cluster.controller();
        let pod = |name: &str| Template::new("default", name).on("n1");
        let first = cluster.pods().create(&pod("first")).await.unwrap();
        cluster.ask("n1", &[ask("1", &first)]).await;
        let answers = cluster.answers("n1", 1).await;
        let address = answers[0].grant.as_ref().unwrap().ips[0].address;
        // It was told, and asks no more: nothing but its node's object says that the block was there.
        cluster.ask("n1", &[]).await;
        cluster.answers("n1", 0).await;
        let spec = async || cluster.api::<NodeAttachments>().get("n1").await.unwrap().spec;
        assert_eq!(spec().await.blocks, [LedgerBlock::with("default", address)]);
        controller.stop().await;
        let epoch = spec().await.epoch;
        cluster.api::<AddressBlock>().delete("default.10-65-0-0", &DeleteParams::default()).await.unwrap();
        let controller = cluster.controller();
        let asked = cluster
            .wait_until("the agent is asked for its inventory", async || {
                Some(spec().await).filter(|spec| spec.epoch > epoch && spec.blocks.is_empty())
            })
            .await
            .epoch;
        let second = cluster.pods().create(&pod("second")).await.unwrap();
        cluster.ask("n1", &[ask("2", &second)]).await;
        let refusal = cluster.answers("n1", 1).await.remove(0).refusal.unwrap();
        assert_eq!(refusal.code, "withheld", "{}", refusal.text);
        let node = cluster.api::<k8s_openapi::api::core::v1::Node>().get("n1").await.unwrap();
        let status = NodeAttachmentsStatus {
            node_uid: node.uid().unwrap(),
            as_of: node.resource_version().unwrap(),
            epoch: asked,
            inventory: vec![Still { pod: first.uid, vrf: "default".to_owned(), address }],
            asks: vec![ask("2", &second)],
            ..NodeAttachmentsStatus::default()
        };
        let patch = Patch::Merge(json!({ "status": status }));
        let api = cluster.api::<NodeAttachments>();
        api.patch_status("n1", &PatchParams::default(), &patch).await.unwrap();
        controller.has_as(cluster, &address.to_string(), AllocationState::Active).await;
        let other = cluster
            .wait_until("the second pod is granted another address", async || {
                spec().await.answers.first()?.grant.as_ref().map(|grant| grant.ips[0].address)
            })
            .await;
        assert_ne!(other, address);
        // Nothing is missed the next time.
        controller.stop().await;
        let controller = cluster.controller();
        cluster.leads(&controller).await;
        assert_eq!(spec().await.epoch, asked);
        controller.stop().await;
    });
}
