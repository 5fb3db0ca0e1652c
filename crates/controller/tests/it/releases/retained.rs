//! What outlives its pods, and for how long (R5, R6).

use allotment_api::annotation::{IPS, REQUEST, SUBNETS};
use allotment_core::AllocationState;
use allotment_fleet::{Pod, Template};
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::cluster::{Cluster, addresses, on_cluster};

const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";

impl Cluster {
    /// Makes `StatefulSet` `db`, and returns its UID.
    async fn stateful(&self) -> String {
        self.apply(STATEFUL).await;
        let sets = Api::<StatefulSet>::default_namespaced(self.client());
        sets.get("db").await.unwrap().uid().unwrap()
    }

    /// Its pod 0, as it is in this revision, and what that was granted.
    async fn revision(&self, set: &str, key: &str, value: &str) -> (Pod, Vec<String>) {
        let pod = Template::new("default", "db-0").on("n1").annotate(key, value);
        let pod = pod.owned_by("apps/v1", "StatefulSet", "db", set);
        let pod = self.pods().create(&pod).await.unwrap();
        (pod, addresses(&self.grant("default", "db-0").await))
    }
}

#[test]
fn r5_an_ordinal_passes_its_address_on_by_the_same_proof() {
    on_cluster(async |cluster| {
        cluster.subnet("many", "10.43.0.0/24", "").await;
        cluster.nodes(&["n1"]).await;
        cluster.apply(STATEFUL).await;
        let set = cluster.api::<StatefulSet>().list(&ListParams::default()).await;
        let uid = set.unwrap().items[0].uid().unwrap();
        let controller = cluster.controller();
        let ordinal = Template::new("default", "db-0").on("n1").annotate(SUBNETS, "many");
        let ordinal = ordinal.owned_by("apps/v1", "StatefulSet", "db", &uid);
        let first = cluster.pods().create(&ordinal).await.unwrap();
        let given = addresses(&cluster.grant("default", "db-0").await);
        cluster.pods().remove(&first).await.unwrap();
        let second = cluster.pods().create(&ordinal).await.unwrap();
        assert_ne!(first.uid, second.uid);
        cluster.report(Vec::new()).await;
        let again = cluster.grant("default", "db-0").await;
        assert_eq!((addresses(&again), again.pod), (given, second.uid));
        controller.stop().await;
    });
}

#[test]
fn r6_what_is_scaled_down_is_freed_or_kept_as_its_template_says() {
    on_cluster(async |cluster| {
        cluster.subnet("many", "10.47.0.0/24", "").await;
        cluster.nodes(&["n1"]).await;
        let sets = Api::<StatefulSet>::default_namespaced(cluster.client());
        let controller = cluster.controller();
        let mut given = Vec::new();
        for (name, keep) in [("freed", "free"), ("kept", "keep")] {
            let request = format!("[{{subnets: [many], keep: {{onScaleDown: {keep}}}}}]");
            let template =
                format!("metadata: {{labels: {{app: db}}, annotations: {{{REQUEST}: '{request}'}}}}");
            let set = STATEFUL
                .replace("name: db, ", &format!("name: {name}, "))
                .replace("replicas: 1", "replicas: 2");
            cluster.apply(&set.replace("metadata: {labels: {app: db}}", &template)).await;
            let uid = sets.get(name).await.unwrap().uid().unwrap();
            let ordinal = Template::new("default", &format!("{name}-1")).on("n1").annotate(REQUEST, &request);
            let pod = ordinal.owned_by("apps/v1", "StatefulSet", name, &uid);
            let pod = cluster.pods().create(&pod).await.unwrap();
            given.push(addresses(&cluster.grant("default", &format!("{name}-1")).await).remove(0));
            // One is scaled down while its pod runs, the other after it has ended.
            let scale = Patch::Merge(json!({"spec": {"replicas": 1}}));
            if name == "freed" {
                sets.patch(name, &PatchParams::default(), &scale).await.unwrap();
                cluster.pods().remove(&pod).await.unwrap();
            } else {
                cluster.pods().remove(&pod).await.unwrap();
                sets.patch(name, &PatchParams::default(), &scale).await.unwrap();
            }
        }
        cluster.report(Vec::new()).await;
        controller.has_as(cluster, &given[0], AllocationState::Cooling).await;
        controller.has_as(cluster, &given[1], AllocationState::Reserved).await;
        // Scaled down further, what is kept for the ordinal is looked through again, and stays.
        let scale = Patch::Merge(json!({"spec": {"replicas": 0}}));
        sets.patch("kept", &PatchParams::default(), &scale).await.unwrap();
        sets.delete("freed", &DeleteParams::default()).await.unwrap();
        let other = Template::new("default", "other").on("n1").annotate(SUBNETS, "many");
        cluster.pods().create(&other).await.unwrap();
        cluster.grant("default", "other").await;
        controller.has_as(cluster, &given[1], AllocationState::Reserved).await;
        // Told otherwise, it lets go.
        let template = json!({"spec": {"template": {"metadata": {"annotations": {REQUEST: null}}}}});
        sets.patch("kept", &PatchParams::default(), &Patch::Merge(template)).await.unwrap();
        sets.patch("kept", &PatchParams::default(), &Patch::Merge(json!({"spec": {"replicas": 1}})))
            .await
            .unwrap();
        controller.has_as(cluster, &given[1], AllocationState::Cooling).await;
        controller.stop().await;
    });
}

#[test]
fn r6_what_outlives_its_owner_comes_back_with_it_and_the_rest_is_freed() {
    on_cluster(async |cluster| {
        cluster.subnet("many", "10.44.0.0/24", "").await;
        cluster.nodes(&["n1"]).await;
        let sets = cluster.api::<StatefulSet>();
        let sets_here = Api::<StatefulSet>::default_namespaced(cluster.client());
        let ordinal = async |name: &str, keep: &str| {
            let uid = sets.list(&ListParams::default()).await.unwrap().items[0].uid().unwrap();
            let request = format!("[{{subnets: [many], keep: {{onOwnerGone: {keep}}}}}]");
            let ordinal = Template::new("default", name).on("n1").annotate(REQUEST, &request);
            let pod = ordinal.owned_by("apps/v1", "StatefulSet", "db", &uid);
            let pod = cluster.pods().create(&pod).await.unwrap();
            (pod, addresses(&cluster.grant("default", name).await).remove(0))
        };
        cluster.apply(&STATEFUL.replace("replicas: 1", "replicas: 2")).await;
        let controller = cluster.controller();
        let (kept, address) = ordinal("db-0", "keep").await;
        let (freed, other) = ordinal("db-1", "free").await;
        for pod in [&kept, &freed] {
            cluster.pods().remove(pod).await.unwrap();
        }
        cluster.report(Vec::new()).await;
        for address in [&address, &other] {
            controller.has_as(cluster, address, AllocationState::Reserved).await;
        }
        // Nobody sees the owner go.
        controller.stop().await;
        sets_here.delete("db", &DeleteParams::default()).await.unwrap();
        let controller = cluster.controller();
        controller.has_as(cluster, &other, AllocationState::Cooling).await;
        controller.has_as(cluster, &address, AllocationState::Reserved).await;
        cluster.apply(STATEFUL).await;
        assert_eq!(ordinal("db-0", "keep").await.1, address);
        controller.stop().await;
    });
}

const STATEFUL: &str = "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: default}
spec:
  replicas: 1
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: main, image: none}]}
";

#[test]
fn r6_an_ordinal_that_moves_to_another_network_lets_the_old_address_go_once_it_runs_without_it() {
    on_cluster(async |cluster| {
        cluster.subnet("old", "10.48.0.0/24", "").await;
        cluster.subnet("new", "10.48.1.0/24", "").await;
        for subnet in ["old", "new"] {
            let config = format!(r#"{{"type": "allotment", "subnets": ["{subnet}"]}}"#);
            cluster.network(subnet, &config).await;
        }
        cluster.nodes(&["n1"]).await;
        let set = cluster.stateful().await;
        let controller = cluster.controller();
        let (first, both) = cluster.revision(&set, NETWORKS, "old, old").await;
        assert_eq!(both, ["10.48.0.2", "10.48.0.3"]);
        cluster.pods().phase(&first, "Running").await.unwrap();
        cluster.pods().remove(&first).await.unwrap();
        cluster.report(Vec::new()).await;
        for address in &both {
            controller.has_as(cluster, address, AllocationState::Reserved).await;
        }
        let (second, now) = cluster.revision(&set, NETWORKS, "old, new").await;
        assert_eq!(now, ["10.48.0.2", "10.48.1.2"], "what it still wants came back");
        // It is there and does not run yet: nothing is let go, not even by a new leader that looks at all there is.
        controller.stop().await;
        let controller = cluster.controller();
        cluster.leads(&controller).await;
        controller.has_as(cluster, &both[1], AllocationState::Reserved).await;
        cluster.pods().phase(&second, "Running").await.unwrap();
        controller.has_as(cluster, &both[1], AllocationState::Cooling).await;
        for address in &now {
            controller.has_as(cluster, address, AllocationState::Active).await;
        }
        controller.stop().await;
    });
}

#[test]
fn r6_an_ordinals_old_static_address_is_freed_by_the_usual_proof() {
    on_cluster(async |cluster| {
        cluster.subnet("many", "10.49.0.0/24", ", default: true").await;
        cluster.nodes(&["n1"]).await;
        let set = cluster.stateful().await;
        let controller = cluster.controller();
        let (first, old) = cluster.revision(&set, IPS, "10.49.0.20").await;
        assert_eq!(old, ["10.49.0.20"]);
        cluster.pods().remove(&first).await.unwrap();
        // Its node has not said that the old one is used no more, and the new one does not wait for that.
        let (second, new) = cluster.revision(&set, IPS, "10.49.0.30").await;
        assert_eq!(new, ["10.49.0.30"]);
        cluster.pods().phase(&second, "Running").await.unwrap();
        let stale = Template::new("default", "stale").on("n1").annotate(IPS, "10.49.0.20");
        cluster.pods().create(&stale).await.unwrap();
        let refusal = cluster.refusal("default", "stale").await;
        assert_eq!(refusal.code, "taken", "{}", refusal.text);
        controller.has_as(cluster, "10.49.0.20", AllocationState::Active).await;
        cluster.report(Vec::new()).await;
        controller.has_as(cluster, "10.49.0.20", AllocationState::Cooling).await;
        // Back to where it was: what still cools is its own.
        cluster.pods().remove(&second).await.unwrap();
        let (_, again) = cluster.revision(&set, IPS, "10.49.0.20").await;
        assert_eq!(again, old);
        controller.stop().await;
    });
}
