//! What only a person may decide: said, asked, done, recorded.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use allotment_api::v1alpha1::{Former, NodeAttachments, NodeAttachmentsSpec};
use allotment_controller::ledger::KubeLedger;
use allotment_core::{AllocationState, Attachment, Object, Owner, Request, SubnetSpec, Target, Want};
use allotment_engine::{Engine, Handle};
use allotment_fleet::{ControlPlane, Pods};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, ResourceExt};

use super::plane;

/// Exit code, standard output and standard error of a command that has no terminal.
fn allot(plane: &ControlPlane, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_allot"));
    command.arg("--kubeconfig").arg(plane.kubeconfig()).args(arguments).stdin(Stdio::null());
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

async fn events(client: &Client, reason: &str) -> Vec<String> {
    let events = Api::<Event>::all(client.clone()).list(&ListParams::default()).await.unwrap();
    let meant = events.into_iter().filter(|event| event.reason.as_deref() == Some(reason));
    meant.filter_map(|event| event.note).collect()
}

async fn open(client: &Client) -> Handle {
    let ledger = KubeLedger::new(client.clone(), tokio::runtime::Handle::current());
    tokio::task::spawn_blocking(move || Engine::open(ledger)).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn l6_recover_says_what_it_holds_up_and_begins_an_epoch() {
    let plane = plane().await;
    let client = plane.client().unwrap();
    let (code, _, said) = allot(plane, &["recover"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("no pod gets an address") && said.contains("--yes"), "{said}");
    assert_eq!(events(&client, "RecoveryBegun").await, Vec::<String>::new());
    let (code, done, said) = allot(plane, &["recover", "--yes"]);
    assert_eq!(code, 0, "{said}");
    assert!(done.contains("has begun"), "{done}");
    let line = said.lines().find(|line| line.starts_with('{')).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["change"], "RecoveryBegun");
    assert_eq!(events(&client, "RecoveryBegun").await.len(), 1);
    let handle = open(&client).await;
    let epoch = handle.read(|state, _| state.recovering()).await.unwrap();
    handle.stop().await;
    assert_eq!(epoch, line["what"]["epoch"].as_u64());
    assert!(allotment_controller::ledger::settle(client, epoch.unwrap()).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn r4_forget_names_the_machines_that_are_gone() {
    let plane = plane().await;
    let client = plane.client().unwrap();
    let api: Api<NodeAttachments> = Api::all(client.clone());
    let (code, _, said) = allot(plane, &["node", "forget", "nobody", "--yes"]);
    assert_eq!(code, 1);
    assert!(said.contains("no agent of a node `nobody`"), "{said}");
    let former = Former {
        vrf: "default".to_owned(),
        address: "10.9.0.7".parse().unwrap(),
        node_uid: "first".to_owned(),
    };
    let spec =
        NodeAttachmentsSpec { node_uid: "second".to_owned(), former: vec![former], ..Default::default() };
    api.create(&PostParams::default(), &NodeAttachments::new("gone", spec)).await.unwrap();
    let (code, _, said) = allot(plane, &["node", "forget", "gone"]);
    assert_eq!(code, 2);
    assert!(said.contains("first, second") && said.contains("used twice"), "{said}");
    assert_eq!(api.get("gone").await.unwrap().spec.forgotten, Vec::<String>::new());
    let (code, done, said) = allot(plane, &["node", "forget", "gone", "--yes"]);
    assert_eq!(code, 0, "{said}");
    assert!(done.contains("switched off"), "{done}");
    assert_eq!(api.get("gone").await.unwrap().spec.forgotten, ["first", "second"]);
    let said = events(&client, "NodeForgotten").await;
    assert_eq!(said.iter().filter(|note| note.contains("`gone`")).count(), 1, "{said:?}");
    let (code, ..) = allot(plane, &["node", "forget", "gone", "--yes"]);
    assert_eq!(code, 1, "it is forgotten already");
}

#[tokio::test(flavor = "multi_thread")]
async fn r4_forget_spares_the_machine_that_is_there() {
    let plane = plane().await;
    let client = plane.client().unwrap();
    Pods::new(client.clone()).nodes(&["there"]).await.unwrap();
    let uid = Api::<Node>::all(client.clone()).get("there").await.unwrap().uid().unwrap();
    let api: Api<NodeAttachments> = Api::all(client.clone());
    let spec = NodeAttachmentsSpec { node_uid: uid.clone(), ..Default::default() };
    let mut object = NodeAttachments::new("there", spec);
    api.create(&PostParams::default(), &object).await.unwrap();
    let (code, _, said) = allot(plane, &["node", "forget", "there", "--yes"]);
    assert_eq!(code, 1);
    assert!(said.contains("out-of-service"), "{said}");
    object = api.get("there").await.unwrap();
    object.spec.former = vec![Former {
        vrf: "default".to_owned(),
        address: "10.9.0.8".parse().unwrap(),
        node_uid: "earlier".to_owned(),
    }];
    api.replace("there", &PostParams::default(), &object).await.unwrap();
    let (code, _, said) = allot(plane, &["node", "forget", "there", "--yes"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("10.9.0.8"), "{said}");
    assert_eq!(api.get("there").await.unwrap().spec.forgotten, ["earlier"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_by_force_says_whose_it_is_and_frees_it() {
    let plane = plane().await;
    let client = plane.client().unwrap();
    let handle = open(&client).await;
    let subnet = SubnetSpec::new("forced", vec!["10.77.0.0/24".parse().unwrap()]);
    handle.put(Object::Subnet(subnet)).await.unwrap();
    let attachment = Attachment {
        holder: "uid-7".to_owned(),
        interface: "eth0".to_owned(),
        node: "n7".to_owned(),
        ..Attachment::default()
    };
    let owner = Owner {
        kind: "Pod".to_owned(),
        namespace: "shop".to_owned(),
        name: "cart-7".to_owned(),
        uid: "uid-7".to_owned(),
    };
    let targets = vec![Target::Subnet("forced".to_owned())];
    let want = Want { attachment, targets, ..Want::default() };
    let request = Request { owner, wants: vec![want], ..Request::default() };
    let grant = handle.allocate(request, Instant::now() + Duration::from_secs(30)).await.unwrap();
    let address = grant.entries[0].ips[0].address.to_string();
    let (code, _, said) = allot(plane, &["release", "--force", "10.77.0.99", "--yes"]);
    assert_eq!((code, said.contains("nobody has 10.77.0.99")), (1, true), "{said}");
    let (code, _, said) = allot(plane, &["release", &address]);
    assert_eq!((code, said.contains("--force")), (2, true), "{said}");
    let (code, _, said) = allot(plane, &["release", "--force", &address]);
    assert_eq!(code, 2);
    assert!(said.contains("Pod shop/cart-7") && said.contains("two will use the address"), "{said}");
    let (code, done, said) = allot(plane, &["release", "--force", &address, "--yes"]);
    assert_eq!(code, 0, "{said}");
    assert!(done.contains("by force"), "{done}");
    // The leader reads what somebody else wrote.
    let parsed = address.parse().unwrap();
    let state = loop {
        handle.refresh().await.unwrap();
        let anew = open(&client).await;
        let known = anew.read(move |state, _| state.allocation("default", parsed)).await.unwrap().unwrap();
        anew.stop().await;
        if known.state != AllocationState::Active {
            break known.state;
        }
    };
    assert_eq!(state, AllocationState::Cooling);
    assert_eq!(events(&client, "ReleasedByForce").await.len(), 1);
    handle.stop().await;
}
