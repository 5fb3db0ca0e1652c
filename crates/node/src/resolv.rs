//! DNS settings from a file in `resolv.conf`'s form, as `host-local` takes them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use allotment_wire::cni::{Dns, Error, code};

/// A file of some lines; what is longer is something else.
const MAX_BYTES: u64 = 64 << 10;

/// Reads the settings; code 5 where the file cannot be read.
pub(crate) fn read(path: &str) -> Result<Dns, Error> {
    let text = read_text(Path::new(path)).map_err(|error| {
        let msg = format!("`resolvConf` {path} cannot be read: {error}");
        Error::new(code::IO, msg, "name a file that the daemon can read, or leave `resolvConf` out")
    })?;
    Ok(parse(&text))
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if read as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("it has more than {MAX_BYTES} bytes")));
    }
    Ok(text)
}

fn parse(text: &str) -> Dns {
    let mut dns = Dns::default();
    for line in text.lines() {
        let mut words = line.split_whitespace().map(str::to_owned);
        match words.next().as_deref() {
            Some("nameserver") => dns.nameservers.extend(words.next()),
            Some("domain") => dns.domain = words.next().or(dns.domain),
            Some("search") => dns.search.extend(words),
            Some("options") => dns.options.extend(words),
            _ => {}
        }
    }
    dns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_resolvers_write_it() {
        let text = "# made by hand\n; so was this\ndomain a.example\n nameserver 10.0.0.53\nnameserver\nnameserver fd00::53 # two\n\
                    search a.example b.example\nsortlist 10.0.0.0\noptions ndots:2 edns0\n";
        let dns = parse(text);
        assert_eq!(dns.nameservers, ["10.0.0.53", "fd00::53"]);
        assert_eq!(dns.domain.as_deref(), Some("a.example"));
        assert_eq!(dns.search, ["a.example", "b.example"]);
        assert_eq!(dns.options, ["ndots:2", "edns0"]);
        assert_eq!(read("/nowhere").unwrap_err().code, 5);
    }
}
