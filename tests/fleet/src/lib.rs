//! A control plane of real programs, and as many agents and controllers as a test wants.
