//! Speaking with a Kubernetes API server: connection, watches, and the parts of its objects that we read.
