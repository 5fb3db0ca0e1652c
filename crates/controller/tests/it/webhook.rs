//! The admission webhook, asked by a real API server.

use allotment_api::annotation::SUBNETS;
use allotment_api::v1alpha1::{IPPool, Subnet, SubnetSpec};
use allotment_controller::{Certificate, Lifetime, OwnCertificate};
use allotment_fleet::Template;
use jiff::SignedDuration;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::Client;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::client::Body;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::cluster::{Cluster, Controller, on_cluster};

/// A controller's webhook, that the API server knows.
struct Webhook {
    serving: JoinHandle<()>,
}

impl Cluster {
    /// One whose certificate is its own, or the API server's, which is for this machine.
    async fn webhook(&self, controller: &Controller, own: Option<OwnCertificate>) -> Webhook {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
        let file = |name: &str| self.plane.folder().join(name);
        let ca = own.is_none().then(|| std::fs::read_to_string(file("ca.crt")).unwrap());
        let files = || Certificate::Files { chain: file("api.crt"), key: file("api.key") };
        let certificate = own.map_or_else(files, Certificate::Own);
        let webhook =
            allotment_controller::webhook(listener, certificate, controller.health.clone(), self.client());
        let serving = tokio::spawn(webhook);
        self.apply(&allotment_api::webhook_yaml(&at, ca.as_deref())).await;
        // It is asked a moment after it is made known.
        self.wait_until("the webhook is asked", async || self.tried("probe", "10.70.0.0/24").await.err())
            .await;
        Webhook { serving }
    }

    async fn forget(&self, webhook: Webhook) {
        let webhooks = self.api::<ValidatingWebhookConfiguration>();
        webhooks.delete("allotment", &DeleteParams::default()).await.unwrap();
        webhook.serving.abort();
    }

    /// Whom the API server believes.
    async fn believed(&self) -> Vec<u8> {
        let configuration = self.api::<ValidatingWebhookConfiguration>().get("allotment").await.unwrap();
        configuration.webhooks.unwrap().remove(0).client_config.ca_bundle.unwrap().0
    }

    /// What the API server says to such a subnet, which is not made.
    async fn tried(&self, name: &str, cidr: &str) -> Result<Subnet, String> {
        let spec: SubnetSpec = serde_json::from_value(json!({"cidrs": [cidr]})).unwrap();
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        self.api::<Subnet>().create(&dry, &Subnet::new(name, spec)).await.map_err(said)
    }

    /// What the API server says when a subnet is to get this CIDR.
    async fn moved(&self, name: &str, cidr: &str) -> Result<Subnet, String> {
        let patch = Patch::Merge(json!({"spec": {"cidrs": [cidr]}}));
        self.api::<Subnet>().patch(name, &PatchParams::default(), &patch).await.map_err(said)
    }
}

fn said(error: kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message,
        other => panic!("{other}"),
    }
}

/// The warnings that come with deleting a subnet, as `kubectl` shows them. It is only tried.
async fn warned(client: &Client, name: &str) -> Vec<String> {
    let path = format!("/apis/allotment.dev/v1alpha1/subnets/{name}?dryRun=All");
    let request = http::Request::delete(path).body(Body::from(Vec::new())).unwrap();
    let answer = client.send(request).await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
    answer.headers().get_all("warning").iter().map(|text| text.to_str().unwrap().to_owned()).collect()
}

#[test]
fn what_contradicts_others_or_holders_is_refused_at_once() {
    on_cluster(async |cluster| {
        cluster.subnet("rack-w", "10.70.0.0/16", "").await;
        cluster.nodes(&["n1"]).await;
        let controller = cluster.controller();
        assert_eq!(cluster.ready("rack-w").await.0, "True");
        let webhook = cluster.webhook(&controller, Some(OwnCertificate::default())).await;

        let overlap = cluster.tried("rack-x", "10.70.1.0/24").await.unwrap_err();
        assert!(
            overlap.contains(
                "10.70.1.0/24 of `rack-x` overlaps 10.70.0.0/16 of subnet `rack-w` in VRF `default`"
            ) && overlap.contains("choose another CIDR"),
            "{overlap}"
        );
        assert!(cluster.tried("rack-x", "10.71.0.0/24").await.is_ok());

        let pod = Template::new("default", "holder").on("n1").annotate(SUBNETS, "rack-w");
        cluster.pods().create(&pod).await.unwrap();
        cluster.grant("default", "holder").await;
        let shrunk = cluster.moved("rack-w", "10.70.128.0/17").await.unwrap_err();
        assert!(shrunk.contains("10.70.0.2 (Pod default/holder"), "{shrunk}");
        // A pool comes right after the subnet that grew for it.
        cluster.moved("rack-w", "10.64.0.0/12").await.unwrap();
        let spec = serde_json::from_value(json!({"subnet": "rack-w", "ranges": ["10.79.0.8"]})).unwrap();
        let pool = IPPool::new("right-after", spec);
        cluster.api::<IPPool>().create(&PostParams::default(), &pool).await.unwrap();
        cluster
            .wait_until("deleting the subnet is answered with what it waits for", async || {
                let warnings = warned(&cluster.client(), "rack-w").await;
                warnings.iter().any(|text| text.contains("1 pool is part of it, `right-after`")).then_some(())
            })
            .await;
        cluster.forget(webhook).await;
        controller.stop().await;
    });
}

/// Good for 20 s, and renewed three times in the time of one.
const SHORT: Lifetime = Lifetime {
    valid: SignedDuration::from_secs(20),
    renewed: SignedDuration::from_secs(5),
    known: SignedDuration::from_secs(3),
};

#[test]
fn a_certificate_is_renewed_before_it_expires_and_no_review_is_missed() {
    on_cluster(async |cluster| {
        cluster.subnet("rack-w", "10.70.0.0/16", "").await;
        let controller = cluster.controller();
        assert_eq!(cluster.ready("rack-w").await.0, "True");
        let began = tokio::time::Instant::now();
        let webhook = cluster.webhook(&controller, Some(OwnCertificate::new(SHORT))).await;
        let mut believed = vec![cluster.believed().await];
        cluster
            .wait_until("the first certificate has expired, and others have come", async || {
                cluster.tried("rack-x", "10.70.1.0/24").await.expect_err("this one was not judged");
                let now = cluster.believed().await;
                if believed.last() != Some(&now) {
                    believed.push(now);
                }
                (believed.len() > 4 && began.elapsed() > SHORT.valid.unsigned_abs()).then_some(())
            })
            .await;
        // Somebody writes over it.
        let patch = Patch::Strategic(
            json!({"webhooks": [{"name": "objects.allotment.dev", "clientConfig": {"caBundle": null}}]}),
        );
        let webhooks = cluster.api::<ValidatingWebhookConfiguration>();
        webhooks.patch("allotment", &PatchParams::default(), &patch).await.unwrap();
        cluster
            .wait_until("the webhook is believed again", async || {
                cluster.tried("rack-x", "10.70.1.0/24").await.err()
            })
            .await;
        cluster.forget(webhook).await;
        controller.stop().await;
    });
}

#[test]
fn two_subnets_exchange_their_cidrs_as_the_refusal_says() {
    on_cluster(async |cluster| {
        cluster.subnet("rack-w", "10.70.0.0/16", "").await;
        cluster.subnet("rack-x", "10.71.0.0/16", "").await;
        let controller = cluster.controller();
        assert_eq!(
            (cluster.ready("rack-w").await.0, cluster.ready("rack-x").await.0),
            ("True".into(), "True".into())
        );
        let webhook = cluster.webhook(&controller, Some(OwnCertificate::default())).await;
        let refused = cluster.moved("rack-w", "10.71.0.0/16").await.unwrap_err();
        assert!(refused.contains("move one of them to a third CIDR first"), "{refused}");
        for (name, cidr) in
            [("rack-w", "10.72.0.0/16"), ("rack-x", "10.70.0.0/16"), ("rack-w", "10.71.0.0/16")]
        {
            cluster.moved(name, cidr).await.unwrap();
        }
        cluster.forget(webhook).await;
        controller.stop().await;
    });
}

#[test]
fn without_the_webhook_or_a_leader_behind_it_the_condition_says_it() {
    on_cluster(async |cluster| {
        cluster.subnet("rack-w", "10.70.0.0/16", "").await;
        let controller = cluster.controller();
        assert_eq!(cluster.ready("rack-w").await.0, "True");
        cluster.subnet("rack-x", "10.70.1.0/24", "").await;
        let (status, _, message) = cluster.ready("rack-x").await;
        assert_eq!(status, "False");
        assert!(message.contains("overlaps 10.70.0.0/16 of subnet `rack-w`"), "{message}");

        // Whoever answers does not lead any more; then nobody answers.
        let webhook = cluster.webhook(&controller, None).await;
        controller.stop().await;
        cluster.subnet("rack-y", "10.70.2.0/24", "").await;
        webhook.serving.abort();
        cluster.subnet("rack-z", "10.70.3.0/24", "").await;
        cluster.forget(webhook).await;
    });
}
