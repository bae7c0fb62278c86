//! What real nodes see happen, done by the real programs.

pub mod admin;
pub mod cni;
pub mod containerd;
mod cri;
pub mod docker;
pub mod firewalld;
pub mod kube_proxy;
pub mod kubernetes;
pub mod libvirt;
pub mod podman;
