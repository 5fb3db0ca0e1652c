//! K3: networks taken out of pods that run.

use super::*;

const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";

/// A grant of these: interface, network, address.
fn shows(entries: &[(&str, &str, &str)]) -> String {
    let entry = |&(interface, network, address): &(&str, &str, &str)| {
        let ips = [json!({"address": address, "prefix": 24, "vrf": "default", "subnet": "a"})];
        json!({"interface": interface, "network": network, "ips": ips})
    };
    let entries: Vec<_> = entries.iter().map(entry).collect();
    json!({"pod": "web-uid", "attachments": entries}).to_string()
}

fn dropped(scene: &Scene) -> Vec<String> {
    scene.pods.dropped().flat_map(|(_, all)| all).map(|(_, address)| address.to_string()).collect()
}

const ETH0: (&str, &str, &str) = ("eth0", "", "10.0.0.2");
const NET1: (&str, &str, &str) = ("net1", "shop/lan", "10.0.0.3");
const NET2: (&str, &str, &str) = ("net2", "shop/wan", "10.0.0.4");

#[test]
fn k3_what_is_announced_no_more_leaves_the_grant_and_then_is_to_be_freed() {
    let mut scene = Scene::new();
    let grant = shows(&[ETH0, NET1]);
    scene.applied(pod("web", 1, &[(GRANT, &grant), (NETWORKS, "lan")]));
    scene.applied(pod("web", 2, &[(GRANT, &grant)]));
    assert_eq!(scene.next(), ["take out web-uid"]);
    assert!(dropped(&scene).is_empty(), "nobody has seen that it is granted no more");
    assert!(scene.patched("web-uid", Patched::Done).is_empty());
    assert!(scene.next().is_empty());
    scene.applied(pod("web", 3, &[(GRANT, &shows(&[ETH0]))]));
    assert_eq!((dropped(&scene), scene.pods.open()), (vec!["10.0.0.3".to_owned()], 0));
    let mut finished = pod("web", 4, &[(GRANT, &shows(&[ETH0]))]);
    "Succeeded".clone_into(&mut finished.status.phase);
    scene.applied(finished);
    assert!(dropped(&scene).is_empty());
}

#[test]
fn k3_a_network_with_another_number_stays() {
    let mut scene = Scene::new();
    scene.applied(pod("web", 1, &[(GRANT, &shows(&[ETH0, NET1, NET2])), (NETWORKS, "wan")]));
    let actions = scene.pods.next(&scene.around, scene.now);
    let [Action::TakeOut { patch, .. }] = &actions[..] else { panic!("{actions:?}") };
    let text = serde_json::to_string(patch).unwrap();
    let written = text.rsplit_once("\"value\":").unwrap().1;
    assert!(written.contains("shop/wan") && !written.contains("shop/lan"), "{written}");
}

#[test]
fn k3_what_cannot_be_read_takes_nothing_out() {
    for networks in ["[", "lan@a/b", "lan, @"] {
        let mut scene = Scene::new();
        scene.applied(pod("web", 1, &[(GRANT, &shows(&[ETH0, NET1])), (NETWORKS, networks)]));
        assert!(!scene.next().iter().any(|word| word.starts_with("take out")), "{networks}");
    }
}

#[test]
fn k3_nothing_is_freed_of_a_pod_that_is_asked_for_again() {
    let mut scene = Scene::new();
    let mut without = pod("web", 1, &[(GRANT, &shows(&[NET1])), (NETWORKS, "lan")]);
    without.metadata.annotations.as_mut().unwrap().remove(SUBNETS);
    scene.applied(without);
    // Another controller was faster, and the pod wants its first interface from us since.
    scene.applied(pod("web", 2, &[(GRANT, &shows(&[]))]));
    assert_eq!(scene.next(), ["ask web-uid"]);
    assert!(dropped(&scene).is_empty());
    scene.pods.put_off(&"web-uid".into(), scene.now);
    assert!(scene.next().is_empty());
    scene.now += RETRY;
    assert_eq!(scene.next(), ["ask web-uid"]);
    assert_eq!(scene.answered("web-uid", Ok(given("10.0.0.3"))), ["grant web-uid"]);
    scene.patched("web-uid", Patched::Done);
    assert!(dropped(&scene).is_empty(), "it is shown again");
}
