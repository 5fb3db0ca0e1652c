//! Times that were measured.

use std::time::Duration;

/// Below this many samples the 99th of a hundred is not known.
const ENOUGH: usize = 100;

#[derive(Clone, Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    pub fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub fn extend(&mut self, times: Times) {
        self.0.extend(times.0);
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Milliseconds.
    pub fn median(&self) -> f64 {
        self.at(50)
    }

    /// `n = 400, p99 1.23 ms`.
    pub fn spread(&self) -> String {
        let p99 = if self.count() < ENOUGH {
            String::new()
        } else {
            format!(", p99 {} ms", super::row::digits(self.at(99)))
        };
        format!("n = {}{p99}", self.count())
    }

    /// Milliseconds that so many of a hundred took at most.
    pub fn at(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() * percent / 100).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    }
}

impl FromIterator<Duration> for Times {
    fn from_iter<I: IntoIterator<Item = Duration>>(times: I) -> Times {
        Times(times.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_samples_have_no_tail() {
        let times = |count: u64| (1..=count).rev().map(Duration::from_millis).collect::<Times>();
        assert!((times(200).median() - 101.0).abs() < 1e-9);
        assert_eq!(times(200).spread(), "n = 200, p99 199 ms");
        assert_eq!(times(99).spread(), "n = 99");
    }
}
