//! The fleet itself: what every other test takes for granted.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::sync::OnceLock;

use allotment_fleet::ControlPlane;

mod control_plane;

/// The one control plane of these tests.
fn plane() -> &'static ControlPlane {
    static PLANE: OnceLock<ControlPlane> = OnceLock::new();
    PLANE.get_or_init(|| ControlPlane::start().expect("a control plane starts"))
}
