//! The machine that something was measured on.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::run;

/// What a run should be read with.
pub struct Machine {
    cores: usize,
    kernel: String,
    filesystem: String,
    /// The average number of processes that ran or waited in the minute before.
    load: f64,
}

impl Machine {
    pub fn look(folder: &Path) -> Result<Machine> {
        let filesystem = run(Command::new("df").arg("--output=fstype").arg(folder))?;
        let load = fs::read_to_string("/proc/loadavg")?;
        Ok(Machine {
            cores: std::thread::available_parallelism()?.get(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            filesystem: filesystem.lines().last().unwrap_or("unknown").to_owned(),
            load: load.split(' ').next().context("/proc/loadavg is empty")?.parse()?,
        })
    }

    pub fn line(&self) -> String {
        let Machine { cores, kernel, filesystem, load } = self;
        format!("{cores} cores, Linux {kernel}, {filesystem}, load before the run {load}")
    }

    pub fn json(&self) -> Value {
        let Machine { cores, kernel, filesystem, load } = self;
        json!({"cores": cores, "kernel": kernel, "filesystem": filesystem, "loadBefore": load})
    }
}
