use allotment_wire::cni::{CniArgs, Section};
use serde_json::{Value, json};

use super::*;

fn sets(ipam: &Value) -> Result<Sets, Error> {
    let config = json!({"cniVersion": "1.1.0", "name": "lan", "ipam": ipam});
    let conf = NetConf::parse(&config).unwrap();
    let Section::HostLocal(section) = &conf.ipam.section else { panic!("not host-local's keys: {config}") };
    Sets::new(&conf, section)
}

fn asked(text: &str) -> Vec<AskedIp> {
    CniArgs::parse(&format!("IP={text}")).unwrap().ips().unwrap()
}

fn names(grounds: &[Ground]) -> Vec<String> {
    grounds
        .iter()
        .map(|ground| format!("{} {:?} without {:?}", ground.cidr, ground.within, ground.exclude))
        .collect()
}

#[test]
fn what_is_left_out_is_as_host_local_has_it() {
    let rows = [
        (json!({"subnet": "10.1.2.0/24"}), "10.1.2.0/24 [10.1.2.1-10.1.2.254] without [10.1.2.1]"),
        (json!({"subnet": "10.1.2.0/30"}), "10.1.2.0/30 [10.1.2.1-10.1.2.2] without [10.1.2.1]"),
        (json!({"subnet": "fd00::/64"}), "fd00::/64 [fd00::1-fd00::ffff:ffff:ffff:ffff] without [fd00::1]"),
        (
            json!({"subnet": "10.1.2.0/24", "rangeStart": "10.1.2.9", "gateway": "10.1.2.20"}),
            "10.1.2.0/24 [10.1.2.9-10.1.2.254] without [10.1.2.20]",
        ),
        (
            json!({"subnet": "10.1.2.0/24", "rangeEnd": "10.1.2.9", "gateway": "192.168.0.1"}),
            "10.1.2.0/24 [10.1.2.1-10.1.2.9] without []",
        ),
    ];
    for (ipam, ground) in rows {
        assert_eq!(names(&sets(&ipam).unwrap().grounds), [ground]);
    }
}

#[test]
fn each_set_draws_from_its_own_networks() {
    let sets = sets(&json!({"ranges": [
        [{"subnet": "10.1.0.0/24"}, {"subnet": "10.2.0.0/24", "rangeStart": "10.2.0.5", "rangeEnd": "10.2.0.9"},
         {"subnet": "10.2.0.0/24", "rangeStart": "10.2.0.20"}],
        [{"subnet": "fd00::/64"}],
    ]}))
    .unwrap();
    assert_eq!(sets.draws, [vec![0, 1], vec![2]]);
    let subnets: Vec<String> = ["a", "b", "c"].map(str::to_owned).into();
    let wants = sets.wants(&Want::default(), &subnets, &asked("10.2.0.21,fd00::9")).unwrap();
    let row = |want: &Want| (want.targets.len(), want.ips.clone(), want.family);
    let each = |ip: &str| Asked::Each(vec![ip.parse().unwrap()]);
    assert_eq!(row(&wants[0]), (2, each("10.2.0.21"), FamilyWant::Require(Family::V4)));
    assert_eq!(row(&wants[1]), (1, each("fd00::9"), FamilyWant::Require(Family::V6)));
    for (ips, text) in [
        ("10.2.0.10", "lies in none of the configuration's ranges"),
        ("10.1.0.1", "is the gateway"),
        ("10.1.0.7,10.2.0.7", "so is 10.1.0.7 from the same set"),
    ] {
        let error = sets.wants(&Want::default(), &subnets, &asked(ips)).unwrap_err();
        assert!(error.code == 102 && error.msg.contains(text), "{error}");
    }
}

#[test]
fn what_cannot_be_told_apart_is_refused() {
    for ranges in [
        json!([[{"subnet": "10.1.0.0/24", "rangeEnd": "10.1.0.9"}], [{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.10"}]]),
        json!([[{"subnet": "10.1.0.0/24"}], [{"subnet": "10.0.0.0/8", "rangeStart": "10.5.0.0"}]]),
        json!([[{"subnet": "10.1.0.0/24"}, {"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9"}]]),
    ] {
        assert_eq!(sets(&json!({"ranges": ranges})).err().unwrap().code, 7, "{ranges}");
    }
}

#[test]
fn folders_and_names_keep_networks_apart() {
    let vrf = |data_dir: &str| sets(&json!({"subnet": "10.1.2.0/24", "dataDir": data_dir})).unwrap().vrf;
    assert_eq!(vrf("/var/lib/cni/networks"), "host-local/lan");
    assert_eq!(vrf("/var/lib/cni/networks/"), sets(&json!({"subnet": "10.1.2.0/24"})).unwrap().vrf);
    assert_eq!(vrf("/run/x/"), "host-local/lan/run/x");
}
