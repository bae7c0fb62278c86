//! What real nodes see happen, done by the real programs.

pub mod admin;
pub mod api_server;
pub mod cni;
pub mod docker;
pub mod firewalld;
pub mod kube_proxy;
pub mod podman;
pub mod proxier;
