//! Getting to the API server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{HeaderValue, header};
use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

/// TCP and TLS together.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Nothing was heard for that long: no answer, and on a watch not even a bookmark, of which there is one a minute.
const READ_LIMIT: Duration = Duration::from_secs(150);

/// Sending a request.
const WRITE_LIMIT: Duration = Duration::from_secs(30);

/// What the API server logs and counts us as.
const USER_AGENT: &str = concat!("allot/", env!("CARGO_PKG_VERSION"));

/// No API server can be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("kubeconfig `{path}` cannot be used: {source}")]
    Given { path: PathBuf, source: KubeconfigError },
    #[error("the kubeconfig that KUBECONFIG names, `{paths}`, cannot be used: {source}")]
    Named { paths: String, source: KubeconfigError },
    #[error("kubeconfig `{path}` cannot be used: {source}")]
    Home { path: PathBuf, source: KubeconfigError },
    #[error(
        "no API server is known: `--kubeconfig` is not given, KUBECONFIG is not set, `{home}` does not exist, and there is \
         no pod's account: {source}"
    )]
    Nowhere { home: String, source: InClusterError },
    #[error("the connection to {server} cannot be set up: {source}")]
    Client { server: String, source: kube::Error },
}

/// A client of the API server that `kubectl` would speak to: that of `kubeconfig`, else of what KUBECONFIG names, else of
/// `~/.kube/config`, else of the pod's account. Nothing is sent yet, so the API server may be away.
///
/// There is no limit on requests per second (the API server has its own, by priority and fairness), and no repetition of
/// what failed: who asks knows whether it may be repeated.
pub async fn connect(kubeconfig: Option<&Path>) -> Result<Client, ConnectError> {
    let mut config = find(kubeconfig).await?;
    config.connect_timeout = Some(CONNECT_LIMIT);
    config.read_timeout = Some(READ_LIMIT);
    config.write_timeout = Some(WRITE_LIMIT);
    // A connection may have lain idle for longer than the limit when it is used again.
    config.reset_reader_on_write = true;
    config.default_retry = false;
    config.headers.push((header::USER_AGENT, HeaderValue::from_static(USER_AGENT)));
    let server = config.cluster_url.to_string();
    Client::try_from(config).map_err(|source| ConnectError::Client { server, source })
}

async fn find(given: Option<&Path>) -> Result<Config, ConnectError> {
    let options = KubeConfigOptions::default();
    if let Some(path) = given {
        let fail = |source| ConnectError::Given { path: path.to_owned(), source };
        let read = Kubeconfig::read_from(path).map_err(fail)?;
        return Config::from_custom_kubeconfig(read, &options).await.map_err(fail);
    }
    let paths = std::env::var_os("KUBECONFIG").unwrap_or_default();
    let named = |source| ConnectError::Named { paths: paths.display().to_string(), source };
    if let Some(read) = Kubeconfig::from_env().map_err(named)? {
        return Config::from_custom_kubeconfig(read, &options).await.map_err(named);
    }
    let home = std::env::home_dir().map(|home| home.join(".kube/config"));
    if let Some(path) = home.as_ref().filter(|path| path.exists()) {
        let fail = |source| ConnectError::Home { path: path.clone(), source };
        let read = Kubeconfig::read_from(path).map_err(fail)?;
        return Config::from_custom_kubeconfig(read, &options).await.map_err(fail);
    }
    let home = home.unwrap_or_else(|| PathBuf::from("~/.kube/config"));
    Config::incluster().map_err(|source| ConnectError::Nowhere { home: home.display().to_string(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_is_not_there_is_named() {
        let Err(error) = connect(Some(Path::new("/nonexistent/kubeconfig"))).await else {
            panic!("connected")
        };
        assert!(
            error.to_string().starts_with("kubeconfig `/nonexistent/kubeconfig` cannot be used: "),
            "{error}"
        );
    }
}
