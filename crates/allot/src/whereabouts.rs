//! `allot import whereabouts`: from Whereabouts' objects to subnets and a ledger that has every address.
//!
//! ```text
//!   IPPools, OverlappingRangeIPReservations ─┐
//!   networks, pods, nodes ─ cluster or file ─┴▶ source ─▶ plan:   Subnets and IPPools, to be read and edited
//!                                                  └────▶ intake: an allocation for each pod that is there,
//!                                                                 a Reservation for what the others had
//! ```
//!
//! * `source`: what Whereabouts has written. `config`: what a network asks of it.
//! * `plan` and `intake` decide; this file reads and writes.
//!
//! What is absent and must stay so: a change of anything of Whereabouts', and a moment at which a subnet is in force and an
//! address in use counts as free.

mod config;
mod intake;
mod plan;
mod source;

use std::fs;
use std::path::Path;

use allotment_api::{parse, to_yaml};
use allotment_cluster::connect;
use allotment_controller::Settings;
use allotment_controller::ledger::KubeLedger;
use allotment_core::{Object, ObjectKey, SubnetSpec};
use allotment_engine::{Engine, EngineError, Handle};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::runtime;

use self::intake::{Intake, closed, closed_key};
use self::plan::Plan;
use self::source::Source;
use crate::acts::{Act, IMPORTED, ask, record};
use crate::args::WhereaboutsArgs;
use crate::cluster::ledger;
use crate::failure::{Failure, Verdict};
use crate::output;
use crate::serve::copy;
use crate::words::counted;

/// What is read: group, version, kind, plural.
const KINDS: [(&str, &str, &str, &str); 5] = [
    ("whereabouts.cni.cncf.io", "v1alpha1", "IPPool", "ippools"),
    (
        "whereabouts.cni.cncf.io",
        "v1alpha1",
        "OverlappingRangeIPReservation",
        "overlappingrangeipreservations",
    ),
    ("k8s.cni.cncf.io", "v1", "NetworkAttachmentDefinition", "network-attachment-definitions"),
    ("", "v1", "Pod", "pods"),
    ("", "v1", "Node", "nodes"),
];

/// Objects in one page of a list.
const PAGE: u32 = 500;

/// Allocations taken over in one commit.
const CHUNK: usize = 1024;

/// Conflicts and notes that are named; the rest is counted.
const NAMED: usize = 20;

pub(crate) async fn import(kubeconfig: Option<&Path>, args: WhereaboutsArgs) -> Result<Verdict, Failure> {
    let source = match &args.from {
        Some(file) => from_file(file)?,
        None => from_cluster(&client(kubeconfig).await?).await?,
    };
    let Some(file) = &args.subnets else {
        let plan = Plan::new(&source);
        output::text(&plan.to_yaml())?;
        return Ok(if plan.problems.is_empty() { Verdict::Done } else { Verdict::Found });
    };
    let objects = declared(file)?;
    let settings = Settings {
        owners: args.retain.clone(),
        multus_namespace: args.multus_namespace.clone(),
        ..Settings::default()
    };
    let mut intake = Intake::new(&source, &objects, &settings);
    let client = client(kubeconfig).await?;
    let reader = ledger::open(client.clone()).await?;
    let copied = copy(&reader, |_, _| true).await;
    reader.stop().await;
    let (copied, now) = copied?;
    intake.check(&objects, copied, now);
    if !intake.conflicts.is_empty() {
        return Err(Failure::Refused {
            text: format!(
                "nothing was imported: {} in the way",
                counted(intake.conflicts.len() as u64, "contradiction")
            ),
            details: named(&intake.conflicts),
            hint: "correct what is named, in the file or in the cluster, then import again".to_owned(),
        });
    }
    ask(&consequences(&objects, &intake), args.agreed.yes)?;
    let taken = write(&client, &objects, &intake).await?;
    finish(&client, &intake, taken).await
}

async fn client(kubeconfig: Option<&Path>) -> Result<Client, Failure> {
    let hint = "name the cluster with --kubeconfig or KUBECONFIG";
    connect(kubeconfig).await.map_err(|error| Failure::unable(error.to_string(), hint))
}

/// The first of many, and how many more there are.
fn named(all: &[String]) -> Vec<String> {
    let mut named: Vec<String> = all.iter().take(NAMED).cloned().collect();
    if all.len() > NAMED {
        named.push(format!("and {} more", all.len() - NAMED));
    }
    named
}

fn unreadable(file: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::unable(format!("{} cannot be read: {why}", file.display()), "")
}

/// Objects of any kinds, as `kubectl get -o yaml` or `-o json` writes them.
fn from_file(file: &Path) -> Result<Source, Failure> {
    let text = fs::read_to_string(file).map_err(|error| unreadable(file, &error))?;
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(&text).map_err(|error| unreadable(file, &error))?;
    let mut source = Source::default();
    documents.into_iter().try_for_each(|document| source.add(document))?;
    Ok(source)
}

async fn from_cluster(client: &Client) -> Result<Source, Failure> {
    let mut source = Source::default();
    for (group, version, kind, plural) in KINDS {
        let resource =
            ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        let mut params = ListParams::default().limit(PAGE);
        loop {
            let page = match api.list(&params).await {
                Ok(page) => page,
                Err(kube::Error::Api(status)) if status.code == 404 => break,
                Err(error) => {
                    let dot = if group.is_empty() { "" } else { "." };
                    let hint = format!("let this account `list` {plural}{dot}{group}");
                    return Err(Failure::unable(format!("{plural} cannot be listed: {error}"), hint));
                }
            };
            for object in page.items {
                // Items of a list do not say what they are.
                let mut value = json!({"metadata": object.metadata});
                if let Value::Object(fields) = object.data {
                    value.as_object_mut().expect("it is one").extend(fields);
                }
                value["apiVersion"] = json!(resource.api_version);
                value["kind"] = json!(kind);
                source.add(value)?;
            }
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                break;
            }
        }
    }
    Ok(source)
}

/// The objects of the file, all of them right.
fn declared(file: &Path) -> Result<Vec<Object>, Failure> {
    let text = fs::read_to_string(file).map_err(|error| unreadable(file, &error))?;
    let parsed = parse(&file.display().to_string(), &text);
    if let Some(problem) = parsed.errors.first() {
        let hint = if problem.hint.is_empty() {
            "`allot check` names everything that is wrong"
        } else {
            &problem.hint
        };
        return Err(Failure::refused(problem.to_string(), hint));
    }
    Ok(parsed.objects.into_iter().map(|located| located.value).collect())
}

fn consequences(objects: &[Object], intake: &Intake) -> Vec<String> {
    let mut said = named(&intake.notes);
    let aside: u128 =
        intake.set_aside.iter().flat_map(|spec| &spec.addresses).map(allotment_core::IpRange::count).sum();
    said.push(format!(
        "{} of pods that are there will be theirs in the ledger; {aside} more are set aside, since their pods are not there.",
        counted(intake.allocations.len() as u64, "address")
    ));
    said.push(format!(
        "{} will be in force at once. Whatever Whereabouts gives from now on is not known here: no network may use it any \
         more.",
        counted(objects.len() as u64, "object")
    ));
    said
}

/// First the subnets, closed to everybody; then who has what; then they are opened. Broken off anywhere, it leaves nothing
/// that could be given twice, and goes on when it is run again.
async fn write(client: &Client, objects: &[Object], intake: &Intake) -> Result<usize, Failure> {
    let ledger = KubeLedger::new(client.clone(), runtime::Handle::current());
    let opened = tokio::task::spawn_blocking(move || Engine::open(ledger)).await;
    let opened =
        opened.map_err(|error| Failure::unable(format!("reading the ledger broke off: {error}"), ""))?;
    let handle = opened.map_err(|error| Failure::unable(error.to_string(), error.hint()))?;
    let done = write_on(&handle, objects, intake).await;
    handle.stop().await;
    done.map_err(|error| {
        Failure::unable(
            format!("the import broke off: {error}"),
            "run it again: what is there already is left as it is",
        )
    })
}

async fn write_on(handle: &Handle, objects: &[Object], intake: &Intake) -> Result<usize, EngineError> {
    let subnets: Vec<&SubnetSpec> = objects
        .iter()
        .filter_map(|object| match object {
            Object::Subnet(spec) => Some(spec),
            _ => None,
        })
        .collect();
    // Of an import that broke off the one that closes is there still; of one that was done, what it has set aside.
    let keys: Vec<ObjectKey> = subnets.iter().map(|subnet| closed_key(subnet)).collect();
    let there =
        handle.read(move |state, _| keys.iter().map(|key| state.object(key).is_some()).collect::<Vec<_>>());
    let there = there.await?;
    let new = subnets.iter().zip(there).filter(|(_, is_there)| !is_there).map(|(subnet, _)| closed(subnet));
    put_all(handle, objects.iter().cloned().chain(new).collect()).await?;
    let mut taken = 0;
    for chunk in intake.allocations.chunks(CHUNK) {
        taken += handle.adopt(chunk.to_vec()).await?;
    }
    put_all(handle, intake.set_aside.iter().cloned().map(Object::Reservation).collect()).await?;
    for subnet in subnets {
        let key = closed_key(subnet);
        if !intake.set_aside.iter().any(|spec| spec.name == key.name) {
            handle.remove(key).await?;
        }
    }
    Ok(taken)
}

async fn put_all(handle: &Handle, objects: Vec<Object>) -> Result<(), EngineError> {
    match handle.put_all(objects).await?.pop() {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

/// Says what is to be declared, so that it stays in force.
async fn finish(client: &Client, intake: &Intake, taken: usize) -> Result<Verdict, Failure> {
    let set_aside: Vec<String> =
        intake.set_aside.iter().map(|spec| to_yaml(&Object::Reservation(spec.clone()))).collect();
    output::text(&set_aside.join("---\n"))?;
    let there = intake.allocations.len() - taken;
    let note = format!(
        "{} taken over from Whereabouts; {there} were there already",
        counted(taken as u64, "address")
    );
    let act = Act {
        reason: IMPORTED,
        api_version: "allotment.dev/v1alpha1",
        name: "ledger",
        uid: "",
        note: &note,
        fields: json!({"addresses": taken, "setAside": intake.set_aside.len()}),
    };
    record(client, act).await;
    output::note(&format!("{note}; now apply the subnets, and the Reservations above if there are any"));
    Ok(Verdict::Done)
}
