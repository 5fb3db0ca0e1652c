//! The fleet itself: what every other test takes for granted.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::path::Path;
use std::sync::OnceLock;

use allotment_fleet::ControlPlane;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

mod chart;
mod control_plane;
mod doctor;
mod faults;
mod killed;
mod kubelet;
mod proxy;
mod restore;
mod rights;
mod whole;
mod world;

/// The one control plane of these tests.
fn plane() -> &'static ControlPlane {
    static PLANE: OnceLock<ControlPlane> = OnceLock::new();
    PLANE.get_or_init(|| ControlPlane::start().expect("a control plane starts"))
}

/// A client for the user of a file.
async fn client_of(path: &Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(path).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}
