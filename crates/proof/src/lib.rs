//! What proves that an address is no longer used: the release protocol between agents and controller, as pure rules (R2, R3).
