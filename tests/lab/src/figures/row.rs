//! A figure of ours, what it is held against, and how it is shown.

use serde_json::{Value, json};

/// What a figure has to be.
#[derive(Clone, Copy, Debug)]
pub enum Bar {
    /// This much at most.
    Most(f64),
    /// This much above the peer's at most.
    MostAbove(f64),
    /// So many times the peer's at most.
    MostTimes(f64),
    /// So many times the peer's at least, of what is better the more there is of it.
    LeastTimes(f64),
    /// The peer's is so many times ours at least, of what is better the less there is of it.
    Faster(f64),
}

/// Which figure stands beside ours.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    pub name: &'static str,
    pub value: f64,
}

#[derive(Clone, Debug)]
pub struct Row {
    what: String,
    unit: &'static str,
    ours: f64,
    peer: Option<Peer>,
    bar: Option<Bar>,
    detail: String,
}

impl Row {
    pub fn new(what: impl Into<String>, ours: f64, unit: &'static str) -> Row {
        Row { what: what.into(), unit, ours, peer: None, bar: None, detail: String::new() }
    }

    #[must_use]
    pub fn beside(mut self, name: &'static str, value: f64) -> Row {
        self.peer = Some(Peer { name, value });
        self
    }

    #[must_use]
    pub fn bar(mut self, bar: Bar) -> Row {
        self.bar = Some(bar);
        self
    }

    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Row {
        self.detail = detail.into();
        self
    }

    /// Ours over the peer's; the other way round where the bar says how many times faster we are.
    fn ratio(&self) -> Option<f64> {
        let peer = self.peer?.value;
        Some(if matches!(self.bar, Some(Bar::Faster(_))) { peer / self.ours } else { self.ours / peer })
    }

    fn ratio_text(&self) -> String {
        let faster = if matches!(self.bar, Some(Bar::Faster(_))) { " faster" } else { "" };
        self.ratio().map(|ratio| format!("{} ×{faster}", digits(ratio))).unwrap_or_default()
    }

    /// How far beyond the bar, as a part of it: 0 or less meets it. Nothing where there is no bar.
    fn missed_by(&self) -> Option<f64> {
        let peer = self.peer.map_or(0.0, |peer| peer.value);
        Some(match self.bar? {
            // Of nothing, anything is infinitely more.
            Bar::Most(most) if self.ours <= most => self.ours - most,
            Bar::Most(most) => self.ours / most - 1.0,
            Bar::MostAbove(most) => (self.ours - peer) / most - 1.0,
            Bar::MostTimes(most) => self.ours / peer / most - 1.0,
            Bar::LeastTimes(least) => 1.0 - self.ours / peer / least,
            Bar::Faster(least) => 1.0 - peer / self.ours / least,
        })
    }

    fn bar_text(&self) -> String {
        let unit = self.unit;
        match self.bar {
            None => String::new(),
            Some(Bar::Most(most)) => format!("≤ {} {unit}", digits(most)),
            Some(Bar::MostAbove(most)) => format!("≤ {} {unit} above", digits(most)),
            Some(Bar::MostTimes(most)) => format!("≤ {most} ×"),
            Some(Bar::LeastTimes(least)) => format!("≥ {least} ×"),
            Some(Bar::Faster(least)) => format!("≥ {least} × faster"),
        }
    }

    fn verdict(&self) -> String {
        match self.missed_by() {
            None => String::new(),
            Some(by) if by <= 0.0 => "met".to_owned(),
            Some(by) if by.is_infinite() => "missed".to_owned(),
            Some(by) => format!("missed by {:.0} %", (by * 100.0).max(1.0)),
        }
    }

    /// The columns of [`HEAD`].
    fn cells(&self) -> [String; 7] {
        let unit = self.unit;
        let peer = self.peer.map(|peer| format!("{} {unit} ({})", digits(peer.value), peer.name));
        [
            self.what.clone(),
            self.bar_text(),
            format!("{} {unit}", digits(self.ours)),
            peer.unwrap_or_default(),
            self.ratio_text(),
            self.verdict(),
            self.detail.clone(),
        ]
    }

    pub fn json(&self) -> Value {
        let missed_by = self.missed_by();
        json!({
            "what": self.what,
            "bar": self.bar.map(|_| self.bar_text()),
            "unit": self.unit,
            "ours": self.ours,
            "peer": self.peer.map(|peer| peer.value),
            "peerName": self.peer.map(|peer| peer.name),
            "ratio": self.ratio(),
            "met": missed_by.map(|by| by <= 0.0),
            "missedBy": missed_by.filter(|by| *by > 0.0),
            "detail": self.detail,
        })
    }
}

const HEAD: [&str; 7] = ["what", "bar", "ours", "the peer's", "ratio", "verdict", "more"];

/// A table that can be pasted into a page of documentation.
pub fn table(rows: &[Row]) -> String {
    let head = HEAD.map(str::to_owned);
    let cells: Vec<[String; 7]> = std::iter::once(head).chain(rows.iter().map(Row::cells)).collect();
    let widths: [usize; 7] =
        std::array::from_fn(|column| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let line = |row: &[String; 7]| {
        let padded = row.iter().zip(widths).map(|(cell, width)| format!(" {cell:<width$} "));
        format!("|{}|\n", padded.collect::<Vec<_>>().join("|"))
    };
    let rule = widths.map(|width| "-".repeat(width + 2)).join("|");
    let body: String = cells[1..].iter().map(line).collect();
    format!("{}|{rule}|\n{body}", line(&cells[0]))
}

/// Three digits that say something.
pub fn digits(value: f64) -> String {
    let places = match value.abs() {
        0.0 => 0,
        value if value < 1.0 => 3,
        value if value < 10.0 => 2,
        value if value < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.places$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(bar: Bar, ours: f64, peer: f64) -> String {
        Row::new("x", ours, "ms").beside("y", peer).bar(bar).verdict()
    }

    #[test]
    fn bars_are_met_up_to_their_edge() {
        for (bar, edge, beyond, peer) in [
            (Bar::Most(4.0), 4.0, 5.0, 1.0),
            (Bar::MostAbove(1.0), 3.0, 3.25, 2.0),
            (Bar::MostTimes(2.0), 4.0, 5.0, 2.0),
            (Bar::LeastTimes(20.0), 40.0, 30.0, 2.0),
            (Bar::Faster(2.5), 2.0, 2.5, 5.0),
        ] {
            assert_eq!(verdict(bar, edge, peer), "met", "{bar:?}");
            let missed = verdict(bar, beyond, peer);
            assert!(missed == "missed by 25 %" || missed == "missed by 20 %", "{bar:?}: {missed}");
        }
        assert_eq!(verdict(Bar::Most(1000.0), 1000.1, 0.0), "missed by 1 %");
        assert_eq!(verdict(Bar::Most(0.0), 0.0, 0.0), "met");
        assert_eq!(verdict(Bar::Most(0.0), 1.0, 0.0), "missed");
    }

    #[test]
    fn figures_have_three_digits() {
        let shown = [0.0, 0.1234, 1.234, 12.34, 1234.4].map(digits);
        assert_eq!(shown, ["0", "0.123", "1.23", "12.3", "1234"]);
    }

    #[test]
    fn every_line_of_the_table_is_as_wide() {
        let rows = [Row::new("ä", 1.0, "ms"), Row::new("long", 2.0, "µs").beside("host-local", 3.0)];
        let text = table(&rows);
        let widths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
        assert_eq!(widths.len(), 4);
        assert!(widths.iter().all(|width| *width == widths[0]), "{text}");
    }
}
