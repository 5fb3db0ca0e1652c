//! Small words of messages.

/// `1 line`, `2 lines`: a number before its noun.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let plural = match noun.strip_suffix('s') {
        _ if count == 1 => "",
        Some(_) => "es",
        None => "s",
    };
    format!("{count} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_and_many() {
        assert_eq!(counted(0, "line"), "0 lines");
        assert_eq!(counted(1, "address"), "1 address");
        assert_eq!(counted(2, "address"), "2 addresses");
    }
}
