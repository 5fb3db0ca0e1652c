//! Ports that nobody has.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Result, bail};

/// Below the ports that the kernel gives to outgoing connections (32768 up), so that a server that was stopped finds
/// its port free when it is started again.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// How many ports of this process were tried.
static TRIED: AtomicU16 = AtomicU16::new(0);

/// A port of 127.0.0.1 that was free a moment ago. Processes begin at different ones, and each asks for one only once.
pub(crate) fn free() -> Result<u16> {
    let start = std::process::id().wrapping_mul(101) % u32::from(COUNT);
    for _ in 0..COUNT {
        let tried = TRIED.fetch_add(1, Ordering::Relaxed);
        let offset = (start + u32::from(tried)) % u32::from(COUNT);
        let port = FIRST + u16::try_from(offset).expect("less than COUNT");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port of 127.0.0.1 from {FIRST} to {} is free", FIRST + COUNT - 1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn no_port_is_given_twice() {
        let ports: BTreeSet<u16> = (0..100).map(|_| super::free().unwrap()).collect();
        assert_eq!(ports.len(), 100);
    }
}
