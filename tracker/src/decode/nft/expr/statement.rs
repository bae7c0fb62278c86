//! Expressions that act.

use super::attributes::expression;

expression! {
    /// `NFTA_LOG_*`.
    Log {
        /// Netlink log group.
        group: Option<u16> = 1,
        /// Text put before, with its NUL.
        prefix: Option<&'a [u8]> = 2,
        /// Bytes of the packet given to the group.
        length: Option<u32> = 3,
        /// Packets per message.
        threshold: Option<u16> = 4,
        /// Syslog level; 8 is the audit log.
        level: Option<u32> = 5,
        /// 1 TCP sequence, 2 TCP options, 4 IP options, 8 user, 32 MAC.
        flags: Option<u32> = 6,
    }
    /// `NFTA_REJECT_*`.
    Reject {
        /// `NFT_REJECT_*`: 0 ICMP, 1 TCP reset, 2 ICMP of either family.
        kind: u32 = 1,
        /// ICMP code.
        code: Option<u8> = 2,
    }
    /// `NFTA_NAT_*`.
    Nat {
        /// 0 source, 1 destination.
        kind: u32 = 1,
        /// `NFPROTO_*` of the addresses.
        family: u32 = 2,
        /// Register of the first address.
        address_min: Option<u32> = 3,
        /// Register of the last address.
        address_max: Option<u32> = 4,
        /// Register of the first port.
        port_min: Option<u32> = 5,
        /// Register of the last port.
        port_max: Option<u32> = 6,
        /// `NF_NAT_RANGE_*`.
        flags: Option<u32> = 7,
    }
    /// `NFTA_MASQ_*`.
    Masquerade {
        /// `NF_NAT_RANGE_*`.
        flags: Option<u32> = 1,
        /// Register of the first port.
        port_min: Option<u32> = 2,
        /// Register of the last port.
        port_max: Option<u32> = 3,
    }
    /// `NFTA_REDIR_*`.
    Redirect {
        /// Register of the first port.
        port_min: Option<u32> = 1,
        /// Register of the last port.
        port_max: Option<u32> = 2,
        /// `NF_NAT_RANGE_*`.
        flags: Option<u32> = 3,
    }
    /// `NFTA_TPROXY_*`.
    Tproxy {
        /// `NFPROTO_*` of the address.
        family: u32 = 1,
        /// Register of the address.
        address: Option<u32> = 2,
        /// Register of the port.
        port: Option<u32> = 3,
    }
    /// `NFTA_QUEUE_*`.
    Queue {
        /// First queue.
        number: Option<u16> = 1,
        /// How many.
        total: Option<u16> = 2,
        /// 1 pass on when nobody listens, 2 by CPU.
        flags: Option<u16> = 3,
        /// Register with the number of the queue.
        source: Option<u32> = 4,
    }
    /// `NFTA_DUP_*`.
    Duplicate {
        /// Register of the address.
        address: Option<u32> = 1,
        /// Register of the link.
        device: Option<u32> = 2,
    }
    /// `NFTA_FWD_*`.
    Forward {
        /// Register of the link.
        device: Option<u32> = 1,
        /// Register of the address.
        address: Option<u32> = 2,
        /// `NFPROTO_*` of the address.
        family: Option<u32> = 3,
    }
    /// `NFTA_OBJREF_*`: an object by name, or the one a map gives.
    ObjectReference ignored 5 {
        /// `NFT_OBJECT_*`.
        kind: Option<u32> = 1,
        /// Name of the object.
        name: Option<&'a [u8]> = 2,
        /// Register looked up.
        source: Option<u32> = 3,
        /// Name of the map.
        set: Option<&'a [u8]> = 4,
    }
    /// `NFTA_DYNSET_*`.
    Dynset ignored 2 | 8 {
        /// Name of the set.
        set: &'a [u8] = 1,
        /// 0 add, 1 update, 2 delete.
        operation: u32 = 3,
        /// Register with the key.
        key: u32 = 4,
        /// Register with the value, of a map.
        data: Option<u32> = 5,
        /// Milliseconds.
        timeout: Option<u64> = 6,
        /// One expression each element gets (`NFTA_EXPR_*`).
        expression: Option<&'a [u8]> = 7,
        /// 1: matches where it could not be done.
        flags: Option<u32> = 9,
        /// Expressions each element gets, a list.
        expressions: Option<&'a [u8]> = 10,
    }
    /// `NFTA_FLOW_*`.
    FlowOffload {
        /// Name of the flowtable.
        flowtable: &'a [u8] = 1,
    }
    /// `NFTA_SYNPROXY_*`.
    Synproxy {
        /// Announced segment size.
        segment_size: u16 = 1,
        /// Announced window scale.
        window_scale: u8 = 2,
        /// 1 segment size, 2 window scale, 4 selective acknowledgement, 8 timestamps, 16 ECN.
        flags: u32 = 3,
    }
    /// `NFTA_MATCH_*` and `NFTA_TARGET_*`, which have the same numbers.
    Xt {
        /// Name, with its NUL.
        name: &'a [u8] = 1,
        /// Revision of the structure.
        revision: u32 = 2,
        /// The structure; see `decode::xt`.
        info: Option<&'a [u8]> = 3,
    }
}
