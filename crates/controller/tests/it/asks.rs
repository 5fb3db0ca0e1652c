//! What nodes ask for that no pod announces (K1).

use std::collections::BTreeSet;

use allotment_api::v1alpha1::{Answer, Ask, NodeAttachments};
use allotment_fleet::{Pod, Template};
use kube::api::{Patch, PatchParams};
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
