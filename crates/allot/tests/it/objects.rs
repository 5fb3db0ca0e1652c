//! The folder of objects: followed, and never to the harm of a holder (O6).

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, object, subnet, wait_for};

/// The condition of a subnet, once it has one.
fn condition(daemon: &Daemon, name: &str) -> String {
    wait_for("the subnet has a condition", || {
        let rows = daemon.rows(&["subnet", name]);
        rows[0]["condition"].as_str().map(str::to_owned)
    })
}

fn wait_until_gone(daemon: &Daemon, name: &str) {
    wait_for("the subnet goes", || {
        (!daemon.rows(&["subnet"]).iter().any(|row| row["name"] == name)).then_some(())
    });
}

#[test]
fn what_is_written_comes_into_force_and_what_is_removed_goes() {
    let daemon = Daemon::with(&[("lan.yaml", &subnet("lan", "10.0.0.0/24"))]);
    daemon.wait_for_cidr("lan", "10.0.0.0/24");
    daemon.write("lan.yaml", &subnet("lan", "10.0.0.0/23"));
    daemon.wait_for_cidr("lan", "10.0.0.0/23");
    let pool = object("IPPool", "db", "subnet: lan, ranges: [10.0.1.0/28]");
    let printer = object("Reservation", "printer", "subnet: lan, addresses: [10.0.1.7], reason: printer");
    daemon.write("more.yaml", &(pool + &printer));
    wait_for("pool and reservation are there", || {
        (daemon.rows(&["pool"]).len() == 1 && daemon.rows(&["reservation"]).len() == 1).then_some(())
    });
    daemon.remove("more.yaml");
    daemon.remove("lan.yaml");
    wait_until_gone(&daemon, "lan");
    assert!(daemon.rows(&["pool"]).is_empty() && daemon.rows(&["reservation"]).is_empty());
}

#[test]
fn a_bad_file_leaves_the_last_good_one_in_force_across_a_restart() {
    let mut daemon = Daemon::with(&[("lan.yaml", &subnet("lan", "10.0.0.0/24"))]);
    daemon.write("lan.yaml", &subnet("lan", "10.0.0.7/24"));
    let said = condition(&daemon, "lan");
    assert!(said.contains("lan.yaml:4: spec.cidrs[0]: ") && said.contains("host bits"), "{said}");
    assert!(daemon.tool(&["subnet"]).err.contains("not in force: "));
    assert_eq!(daemon.add("a", "lan"), ["10.0.0.2"]);
    daemon.stop();
    daemon.start();
    daemon.wait_for_cidr("lan", "10.0.0.0/24");
    assert!(condition(&daemon, "lan").contains("host bits"));
    daemon.write("lan.yaml", &subnet("lan", "10.0.0.0/23"));
    daemon.wait_for_cidr("lan", "10.0.0.0/23");
    wait_for("the log says that it is over", || daemon.log().contains("in force again").then_some(()));
}

#[test]
fn a_file_that_is_no_yaml_takes_nothing_back() {
    let daemon =
        Daemon::with(&[("a.yaml", &subnet("a", "10.0.0.0/24")), ("b.yaml", &subnet("b", "10.1.0.0/24"))]);
    daemon.write("a.yaml", "kind: {");
    wait_for("the problem is known", || daemon.tool(&["subnet"]).err.contains("a.yaml:1").then_some(()));
    daemon.remove("b.yaml");
    daemon.write("c.yaml", &subnet("c", "10.2.0.0/24"));
    daemon.wait_for_cidr("c", "10.2.0.0/24");
    let rows = daemon.rows(&["subnet"]);
    assert_eq!(rows.len(), 3, "`b` might be meant by the broken file: {rows:?}");
    daemon.write("a.yaml", &subnet("a", "10.0.0.0/24"));
    wait_until_gone(&daemon, "b");
}

#[test]
fn shrinking_below_a_holder_waits_until_it_leaves() {
    let mut daemon = Daemon::with(&[("lan.yaml", &subnet("lan", "10.0.0.0/24"))]);
    daemon.add("a", "lan");
    let (code, ips) =
        daemon.cni("ADD", "far", &serde_json::json!({"subnets": ["lan"], "ips": ["10.0.0.200"]}));
    assert_eq!((code, ips.as_slice()), (0, &["10.0.0.200".to_owned()][..]));
    daemon.write("lan.yaml", &subnet("lan", "10.0.0.0/25"));
    let said = condition(&daemon, "lan");
    assert!(
        said.contains("10.0.0.200") && said.contains("shop/far") && said.contains("lan.yaml:4"),
        "{said}"
    );
    daemon.stop();
    daemon.start();
    daemon.wait_for_cidr("lan", "10.0.0.0/24");
    assert_eq!(daemon.add("a", "lan"), ["10.0.0.2"]);
    daemon.del("far");
    daemon.wait_for_cidr("lan", "10.0.0.0/25");
    assert_eq!(daemon.rows(&["subnet"])[0]["condition"], serde_json::Value::Null);
}

#[test]
fn a_deleted_file_with_holders_waits_until_they_leave() {
    let mut daemon = Daemon::with(&[("lan.yaml", &subnet("lan", "10.0.0.0/24"))]);
    daemon.add("a", "lan");
    daemon.remove("lan.yaml");
    let said = condition(&daemon, "lan");
    assert!(said.contains("no longer declared") && said.contains("shop/a"), "{said}");
    daemon.stop();
    daemon.start();
    assert!(condition(&daemon, "lan").contains("shop/a"), "across a restart");
    daemon.del("a");
    wait_until_gone(&daemon, "lan");
    wait_for("it is forgotten", || {
        let list = fs::read_to_string(daemon.path("data/objects-from-files.json")).unwrap();
        (!list.contains("lan")).then_some(())
    });
}

#[test]
fn a_problem_is_logged_once() {
    let daemon = Daemon::with(&[("lan.yaml", &subnet("lan", "10.0.0.0/24"))]);
    daemon.add("a", "lan");
    daemon.remove("lan.yaml");
    condition(&daemon, "lan");
    // Another edit is followed, so the folder was read again meanwhile.
    for number in 0..3 {
        let cidr = format!("10.{}.0.0/24", number + 1);
        daemon.write("other.yaml", &subnet("other", &cidr));
        daemon.wait_for_cidr("other", &cidr);
    }
    assert_eq!(daemon.log().matches("no longer declared").count(), 1, "{}", daemon.log());
}

#[test]
fn implied_subnets_have_no_file_and_stay() {
    let daemon = Daemon::with(&[]);
    let section = serde_json::json!({"ranges": [[{"subnet": "10.9.0.0/24"}]]});
    let (code, ips) = daemon.cni("ADD", "a", &section);
    assert_eq!((code, ips.as_slice()), (0, &["10.9.0.2".to_owned()][..]), "{}", daemon.log());
    daemon.write("other.yaml", &subnet("other", "10.1.0.0/24"));
    daemon.wait_for_cidr("other", "10.1.0.0/24");
    daemon.cni("DEL", "a", &section);
    daemon.remove("other.yaml");
    wait_until_gone(&daemon, "other");
    let rows = daemon.rows(&["subnet"]);
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0]["cidr"], "10.9.0.0/24");
}

#[test]
fn a_folder_that_comes_later_and_one_that_goes() {
    let mut daemon = Daemon::stopped(&[]);
    fs::remove_dir(daemon.path("objects")).unwrap();
    daemon.start();
    assert_eq!(daemon.tool(&["subnet"]).code, 0);
    fs::create_dir(daemon.path("objects")).unwrap();
    daemon.write("lan.yaml", &subnet("lan", "10.0.0.0/24"));
    daemon.wait_for_cidr("lan", "10.0.0.0/24");
    fs::rename(daemon.path("objects"), daemon.path("elsewhere")).unwrap();
    wait_for("its absence is told", || daemon.tool(&["subnet"]).err.contains("cannot be read").then_some(()));
    daemon.wait_for_cidr("lan", "10.0.0.0/24");
}

/// As the kubelet mounts a `ConfigMap`: files are links through `..data`, which is swapped as a whole.
#[test]
fn a_mounted_config_map_is_followed() {
    let mut daemon = Daemon::stopped(&[]);
    let folder = daemon.path("objects");
    for (version, cidr) in [("..v1", "10.0.0.0/24"), ("..v2", "10.0.0.0/23")] {
        fs::create_dir(folder.join(version)).unwrap();
        fs::write(folder.join(version).join("lan.yaml"), subnet("lan", cidr)).unwrap();
    }
    symlink("..v1", folder.join("..data")).unwrap();
    symlink("..data/lan.yaml", folder.join("lan.yaml")).unwrap();
    daemon.start();
    daemon.wait_for_cidr("lan", "10.0.0.0/24");
    symlink("..v2", folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    daemon.wait_for_cidr("lan", "10.0.0.0/23");
}

#[test]
fn an_edit_is_seen_while_something_else_is_refused_and_tried_again() {
    let daemon = Daemon::with(&[("a.yaml", &subnet("lan", "10.1.0.0/24"))]);
    daemon.write("b.yaml", &subnet("late", "10.1.0.0/16"));
    for round in 2..12 {
        // What was refused is tried again a second after the last look: these edits come just before that.
        let start = Instant::now();
        let moment = Duration::from_millis(880 + 10 * round);
        wait_for("the moment has come", || (start.elapsed() >= moment).then_some(()));
        let wrote = Instant::now();
        let cidr = format!("10.{round}.0.0/24");
        daemon.write("c.yaml", &subnet("busy", &cidr));
        daemon.wait_for_cidr("busy", &cidr);
        assert!(wrote.elapsed() < Duration::from_secs(10), "not left to the slow look at the folder");
    }
}

#[test]
fn an_edit_comes_into_force_as_one_and_is_checked_as_one() {
    let pool = |range: &str| object("IPPool", "p", &format!("subnet: a, ranges: [{range}]"));
    let daemon = Daemon::with(&[
        ("a.yaml", &(subnet("a", "10.0.0.0/24") + &pool("10.0.0.16/28"))),
        ("b.yaml", &subnet("b", "10.0.1.0/24")),
        ("c.yaml", &subnet("c", "10.0.2.0/24")),
    ]);
    // `a` and its pool move to where `b` is, `b` to where `c` was, whose file is gone. One after the other none of it goes.
    let next = daemon.path("next");
    fs::create_dir(&next).unwrap();
    fs::write(next.join("a.yaml"), subnet("a", "10.0.1.0/24") + &pool("10.0.1.16/28")).unwrap();
    fs::write(next.join("b.yaml"), subnet("b", "10.0.2.0/24")).unwrap();
    let done = daemon.tool(&["check", "next"]);
    assert!(done.code == 1 && done.out.contains("`c`"), "elsewhere, a missing file says nothing: {done:?}");
    // The folder as a whole is replaced, as a deployment does it.
    fs::rename(daemon.path("objects"), daemon.path("before")).unwrap();
    fs::rename(next, daemon.path("objects")).unwrap();
    let done = daemon.tool(&["check", "objects"]);
    assert_eq!(done.code, 0, "{done:?}");
    daemon.wait_for_cidr("a", "10.0.1.0/24");
    daemon.wait_for_cidr("b", "10.0.2.0/24");
    assert_eq!(daemon.rows(&["subnet"]).len(), 2);
    assert_eq!(daemon.rows(&["pool"])[0]["ranges"][0], "10.0.1.16-10.0.1.31");
    assert!(!daemon.log().contains("overlaps"), "{}", daemon.log());
    // With a holder in the way both say the same.
    daemon.add("h", "b");
    daemon.remove("b.yaml");
    let done = daemon.tool(&["check", "objects"]);
    assert!(done.code == 1 && done.out.contains("no longer declared, but cannot go"), "{done:?}");
    assert!(condition(&daemon, "b").contains("shop/h"));
}

#[test]
fn a_file_that_comes_with_a_name_in_force_takes_nothing_over() {
    let mut daemon = Daemon::with(&[("lan.yaml", &subnet("lan", "10.0.0.0/24"))]);
    // It sorts first.
    daemon.write("00-new.yaml", &subnet("lan", "10.9.0.0/24"));
    let said = condition(&daemon, "lan");
    assert!(said.contains("00-new.yaml:3") && said.contains("lan.yaml:1"), "{said}");
    daemon.wait_for_cidr("lan", "10.0.0.0/24");
    let done = daemon.tool(&["check", "objects"]);
    assert!(done.code == 1 && done.out.contains("objects/00-new.yaml:3: Subnet `lan`"), "{done:?}");
    daemon.stop();
    daemon.start();
    daemon.wait_for_cidr("lan", "10.0.0.0/24");
    assert!(condition(&daemon, "lan").contains("00-new.yaml:3"), "across a restart");
    daemon.remove("lan.yaml");
    daemon.wait_for_cidr("lan", "10.9.0.0/24");
}

#[test]
fn a_file_that_is_emptied_takes_nothing_back() {
    let daemon = Daemon::with(&[("lan.yaml", &(subnet("a", "10.0.0.0/24") + &subnet("b", "10.1.0.0/24")))]);
    let file = daemon.path("objects/lan.yaml");
    fs::write(&file, "").unwrap();
    let said = condition(&daemon, "a");
    assert!(said.contains("lan.yaml: ") && said.contains("the file is empty"), "{said}");
    assert_eq!(daemon.tool(&["check", "objects"]).code, 1);
    assert_eq!(daemon.rows(&["subnet"]).len(), 2);
    // Moved elsewhere it is not missed; what was meant says so, be it in a comment.
    daemon.write("b.yaml", &subnet("b", "10.1.0.0/24"));
    wait_for("`b` has a file again", || {
        daemon.rows(&["subnet", "b"])[0]["condition"].is_null().then_some(())
    });
    fs::write(&file, "# moved to b.yaml\n").unwrap();
    wait_until_gone(&daemon, "a");
    assert_eq!(daemon.rows(&["subnet"]).len(), 1);
}

#[test]
fn a_pool_that_goes_from_under_its_holders_is_a_warning() {
    let pool = object("IPPool", "db", "subnet: lan, ranges: [10.0.0.64/28]");
    let lan = subnet("lan", "10.0.0.0/24");
    let daemon = Daemon::with(&[("lan.yaml", &(lan.clone() + &pool))]);
    assert_eq!(daemon.cni("ADD", "a", &serde_json::json!({"pools": ["db"]})).0, 0);
    let kept = object("Reservation", "db", "subnet: lan, addresses: [10.0.0.80/28], reason: another kind");
    daemon.write("lan.yaml", &(lan + &kept));
    wait_for("the pool goes", || daemon.rows(&["pool"]).is_empty().then_some(()));
    let log = daemon.log();
    let line = log.lines().find(|line| line.contains("a pool goes while addresses of it are held")).unwrap();
    assert!(line.contains("WARN") && line.contains("IPPool `db`") && line.contains("held=1"), "{line}");
    let done = daemon.tool(&["why", "a"]);
    assert!(done.out.contains("from subnet `lan`, because the network named it or a pool of it"), "{done:?}");
}

#[test]
fn why_says_nothing_wrong_after_a_pool_moved() {
    let pool = |name: &str, range: &str| object("IPPool", name, &format!("subnet: lan, ranges: [{range}]"));
    let lan = subnet("lan", "10.0.0.0/24");
    let daemon = Daemon::with(&[("lan.yaml", &(lan.clone() + &pool("db", "10.0.0.64/28")))]);
    assert_eq!(daemon.cni("ADD", "a", &serde_json::json!({"pools": ["db"]})).1, ["10.0.0.64"]);
    let done = daemon.tool(&["why", "a"]);
    let why = "from subnet `lan` (in its pool `db` now), because the network named it or a pool of it";
    assert!(done.out.contains(why), "{done:?}");
    daemon.write("lan.yaml", &(lan + &pool("db", "10.0.0.128/28") + &pool("web", "10.0.0.64/28")));
    wait_for("the pool has moved", || (daemon.rows(&["pool"]).len() == 2).then_some(()));
    let done = daemon.tool(&["why", "a"]);
    assert!(done.out.contains(&why.replace("db", "web")), "{done:?}");
}
