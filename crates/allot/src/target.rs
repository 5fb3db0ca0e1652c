//! Whom a command asks: one machine's daemon, or a cluster.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use allotment_wire::{DEFAULT_SOCKET, SOCKET_ENV};

use crate::failure::Failure;

/// The variable with which `kubectl` is told its cluster.
const KUBECONFIG: &str = "KUBECONFIG";

/// What was given, on the command line and in the environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    socket: Option<PathBuf>,
    kubeconfig: Option<PathBuf>,
    socket_variable: Option<PathBuf>,
    /// Whether it says anything; what, is for the client to read.
    kubeconfig_variable: bool,
}

/// Whom to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Daemon(PathBuf),
    /// The file that was given, if any.
    Cluster(Option<PathBuf>),
    /// Nothing was given, and this socket is not there: perhaps there is a cluster.
    Unsaid(PathBuf),
}

impl Given {
    pub(crate) fn new(socket: Option<PathBuf>, kubeconfig: Option<PathBuf>) -> Given {
        let said = |name: &str| env::var_os(name).filter(|value: &OsString| !value.is_empty());
        Given {
            socket,
            kubeconfig,
            socket_variable: said(SOCKET_ENV).map(PathBuf::from),
            kubeconfig_variable: said(KUBECONFIG).is_some(),
        }
    }

    /// The socket, for what only a daemon does.
    pub(crate) fn socket(&self) -> PathBuf {
        let said = self.socket.as_ref().or(self.socket_variable.as_ref());
        said.cloned().unwrap_or_else(|| PathBuf::from(DEFAULT_SOCKET))
    }

    /// The file that was given with `--kubeconfig`.
    pub(crate) fn kubeconfig(&self) -> Option<&Path> {
        self.kubeconfig.as_deref()
    }

    /// Whom to ask; `exists` says whether a socket is there.
    pub(crate) fn target(&self, exists: impl Fn(&Path) -> bool) -> Result<Target, Failure> {
        let socket = self.socket();
        Ok(if let Some(file) = &self.kubeconfig {
            if self.socket.is_some() {
                let hint = "leave one of them out";
                return Err(Failure::unable(
                    "--kubeconfig names a cluster and --socket a daemon: one can be asked",
                    hint,
                ));
            }
            Target::Cluster(Some(file.clone()))
        } else if self.socket.is_some() {
            Target::Daemon(socket)
        } else if self.kubeconfig_variable {
            Target::Cluster(None)
        } else if self.socket_variable.is_some() || exists(&socket) {
            Target::Daemon(socket)
        } else {
            Target::Unsaid(socket)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_goes_before_what_is_found() {
        let path = |text: &str| Some(PathBuf::from(text));
        let nothing = Given::default();
        let socket = Given { socket: path("/s"), ..Given::default() };
        let file = Given { kubeconfig: path("/k"), ..Given::default() };
        let variable = Given { kubeconfig_variable: true, ..Given::default() };
        let both = Given { socket_variable: path("/v"), ..variable.clone() };
        let socket_variable = Given { socket_variable: path("/v"), ..Given::default() };
        let socket_and_variable = Given { kubeconfig_variable: true, ..socket.clone() };
        let daemon = |text: &str| Target::Daemon(PathBuf::from(text));
        let rows = [
            (&nothing, true, daemon(DEFAULT_SOCKET)),
            (&nothing, false, Target::Unsaid(PathBuf::from(DEFAULT_SOCKET))),
            (&socket, false, daemon("/s")),
            (&file, true, Target::Cluster(path("/k"))),
            (&variable, true, Target::Cluster(None)),
            (&both, true, Target::Cluster(None)),
            (&socket_variable, false, daemon("/v")),
            (&socket_and_variable, true, daemon("/s")),
        ];
        for (given, exists, target) in rows {
            assert_eq!(given.target(|_| exists).unwrap(), target, "{given:?}");
        }
        let asked = Given { socket: path("/s"), ..file.clone() };
        assert!(asked.target(|_| true).is_err(), "nobody guesses");
    }
}
