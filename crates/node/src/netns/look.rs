//! A second look at recorded namespaces.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::IpAddr;
use std::path::Path;

use allotment_core::Netns;

use super::census::{Census, aside, unless_absent};
use super::identity::{Open, boot_id, cookie};
use super::interfaces::here;

/// What became of a namespace, as far as one look can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing leads to it any more: not its path, no process, no mount (R1).
    Gone,
    /// It is there, with these addresses on its interfaces.
    There(BTreeSet<IpAddr>),
}

/// Looks at each of `recorded`, in their order. An error about one proves nothing about it.
pub async fn look(recorded: Vec<Netns>) -> io::Result<Vec<io::Result<Look>>> {
    aside(move || {
        let (mut census, mut seen) = (None, HashMap::new());
        let look = recorded.iter().map(|netns| {
            if let Some(look) = seen.get(netns) {
                return Ok(Look::clone(look));
            }
            let look = look_at(netns, &mut census)?;
            seen.insert(netns.clone(), look.clone());
            Ok(look)
        });
        Ok(look.collect())
    })
    .await
}

/// The path is tried first: only when it leads nowhere everything on the machine has to be gone through.
fn look_at(netns: &Netns, census: &mut Option<Census>) -> io::Result<Look> {
    if netns.boot != boot_id() {
        return Ok(Look::Gone);
    }
    if let Some(addresses) = addresses(Path::new(&netns.path), netns)? {
        return Ok(Look::There(addresses));
    }
    let census = match census {
        Some(census) => census,
        None => census.insert(Census::take()?),
    };
    let elsewhere = census.found.get(&(netns.device, netns.inode));
    let found = elsewhere.map_or(Ok(None), |path| addresses(path, netns))?;
    Ok(found.map_or(Look::Gone, Look::There))
}

/// Nothing where `path` does not lead to the namespace that was recorded.
fn addresses(path: &Path, netns: &Netns) -> io::Result<Option<BTreeSet<IpAddr>>> {
    let Some(open) = unless_absent(Open::at(path))? else { return Ok(None) };
    if (open.device, open.inode) != (netns.device, netns.inode) {
        return Ok(None);
    }
    let (cookie, interfaces) = open.visit(|| (cookie(), here()))?;
    // The numbers are the recorded ones; the namespace is another one only if its cookie says so.
    if netns.cookie.is_some() && cookie.is_some() && netns.cookie != cookie {
        return Ok(None);
    }
    Ok(Some(interfaces?.into_iter().flat_map(|interface| interface.addresses).collect()))
}

#[cfg(test)]
mod tests {
    use super::super::observe;
    use super::*;

    #[tokio::test]
    async fn what_is_there_is_told_from_what_is_gone() {
        let own = observe("/proc/self/ns/net", "lo").netns.unwrap();
        let other = Netns { inode: 1, ..own.clone() };
        let earlier = Netns { boot: "an earlier one".to_owned(), ..own.clone() };
        let moved = Netns { path: "/nonexistent".to_owned(), ..own.clone() };
        let renumbered = Netns { cookie: own.cookie.map(|cookie| cookie + 1), ..own.clone() };
        let looks = look(vec![own, other, earlier, moved, renumbered]).await.unwrap();
        let there: Vec<bool> = looks.into_iter().map(|look| look.unwrap() != Look::Gone).collect();
        assert_eq!(there, [true, false, false, true, false]);
    }
}
