//! The real components of a Kubernetes node, and as much of a cluster as they need to come up.
//!
//! [`super::kube_proxy`] imitates what kube-proxy writes, and is quicker; this is kube-proxy.

mod api_server;
mod flanneld;
mod http;
mod kube_proxy;
pub mod objects;
mod program;

pub use api_server::{ADDRESS, ApiServer};
pub use flanneld::{Backend, Firewall, Flanneld};
pub use kube_proxy::{KubeProxy, Mode, cleanup};
pub use program::{FLANNELD, GoProgram, KUBE_PROXY};

use crate::Result;
use crate::node::Node;

/// Name of the node as the cluster knows it.
pub const NODE: &str = "node1";
/// Its address, and its link.
pub const NODE_ADDRESS: &str = "192.168.77.5";
/// The link that leads to the other nodes.
pub const NODE_LINK: &str = "eth7";

/// Gives a node an address that other nodes and node ports are for.
///
/// # Errors
/// When the link is there already.
pub fn attach(node: &Node) -> Result<()> {
    node.sh(&format!(
        "ip link add {NODE_LINK} type veth peer name eth8
         ip addr add {NODE_ADDRESS}/24 dev {NODE_LINK}
         ip link set {NODE_LINK} up; ip link set eth8 up"
    ))?;
    Ok(())
}
