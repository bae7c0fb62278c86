//! An administrator at work.

use crate::Result;
use crate::node::Node;

/// The comment by which tests find the administrator's rule.
pub const COMMENT: &str = "office vpn";

/// Adds a rule by hand into FORWARD, at a position between those of others.
///
/// # Errors
/// When `iptables` fails.
pub fn allow_vpn(node: &Node, position: usize) -> Result<()> {
    node.admin_sh(&format!(
        "iptables-nft -I FORWARD {position} -s 10.99.0.0/16 -m comment --comment '{COMMENT}' -j ACCEPT"
    ))
    .map(drop)
}
