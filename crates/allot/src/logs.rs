//! Log lines, on standard error.

use std::{io, panic};

use tracing::Level;

use crate::args::LogFormat;

/// From now on everything is logged, panics included. `INFO` and above: what the daemon does by itself, and what a person
/// has to know.
pub(crate) fn begin(format: LogFormat) {
    panic::set_hook(Box::new(|panic| tracing::error!("{panic}: this is a bug, report it")));
    let lines = tracing_subscriber::fmt()
        .with_max_level(Level::INFO)
        .with_writer(io::stderr)
        // It would say so on standard error, and panic when that is closed: a daemon outlives its readers.
        .log_internal_errors(false);
    match format {
        LogFormat::Text => lines.with_ansi(false).with_target(false).init(),
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(false).with_span_list(false).init();
        }
    }
}
