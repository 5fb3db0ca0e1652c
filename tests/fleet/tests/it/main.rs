//! The fleet itself: what every other test takes for granted.

use std::sync::OnceLock;

use allotment_fleet::ControlPlane;

mod control_plane;

/// The one control plane of these tests.
fn plane() -> &'static ControlPlane {
    static PLANE: OnceLock<ControlPlane> = OnceLock::new();
    PLANE.get_or_init(|| ControlPlane::start().expect("a control plane starts"))
}
