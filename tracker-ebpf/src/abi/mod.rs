//! Records, map slots and kernel offsets shared by the BPF programs and user space.
//!
//! All structures are `repr(C)` without implicit padding and without `bool`; sizes are asserted at compile time. Numbers
//! are in the machine's byte order. Bytes past a stated length are whatever the ring held before: never read them.

mod notified;
mod offsets;
mod records;

pub use notified::{BY_CHANCE, BY_KERNEL_THREAD, NOTIFIED_BYTES, Notified};
pub use offsets::{ABSENT, Offsets};
pub use records::{
    ANCESTORS, Ancestor, Ancestry, BRIDGE_ENTRIES_AT, BRIDGE_HEAD_BYTES, CGROUP_PATH_BYTES, COMM_BYTES, CgroupNamed,
    EXE_BYTES, ExecHead, ExecLong, ExecShort, Exit, Fork, Header, IS_IOCTL, IS_MOUNT, IS_SOCKOPT,
    LENGTH_IS_LOWER_BOUND, LONG_ARGV_BYTES, LONG_ENV_BYTES, MOUNT_PATH_BYTES, REQUEST_BYTES, RequestClosed,
    RequestOpened, SHORT_ARGV_BYTES, SHORT_ENV_BYTES, TABLE_CHUNK_BYTES, TABLE_CHUNKS, TABLE_NAME_BYTES, TableChunk,
    TableOpened, TableReplaced, UNSET_SESSION, UNSET_UID,
};

/// Version of everything in this module, the second field of every record.
pub const ABI_VERSION: u16 = 1;

/// Kinds of records, the first field of every record. 0 is none of them, so that zeroed memory is not a record.
pub mod kind {
    /// [`Fork`](super::Fork).
    pub const FORK: u16 = 1;
    /// [`ExecShort`](super::ExecShort) or [`ExecLong`](super::ExecLong).
    pub const EXEC: u16 = 2;
    /// [`Exit`](super::Exit).
    pub const EXIT: u16 = 3;
    /// [`RequestOpened`](super::RequestOpened).
    pub const REQUEST_OPENED: u16 = 4;
    /// [`RequestClosed`](super::RequestClosed).
    pub const REQUEST_CLOSED: u16 = 5;
    /// [`TableReplaced`](super::TableReplaced).
    pub const TABLE_REPLACED: u16 = 6;
    /// [`Notified`](super::Notified).
    pub const NOTIFIED: u16 = 7;
    /// [`CgroupNamed`](super::CgroupNamed).
    pub const CGROUP_NAMED: u16 = 8;
    /// [`TableOpened`](super::TableOpened).
    pub const TABLE_OPENED: u16 = 10;
    /// [`TableChunk`](super::TableChunk), in a ring of its own.
    pub const TABLE_CHUNK: u16 = 11;
}

/// Slots of the per-CPU counter map: slot `kind` counts records of that kind that were lost, the others count attempts.
///
/// A lost record is one that should have been sent: the ring was full, or the map of calls under way was.
pub mod slot {
    /// Fork, exec, exit and cgroup records this CPU tried to send, lost ones included.
    pub const PROCESS_ATTEMPTS: u32 = 14;
    /// All other records this CPU tried to send, lost ones included.
    pub const REQUEST_ATTEMPTS: u32 = 15;
    /// Number of slots.
    pub const COUNT: u32 = 16;

    /// The attempts slot a record kind is counted in.
    pub const fn attempts(kind: u16) -> u32 {
        match kind {
            super::kind::FORK | super::kind::EXEC | super::kind::EXIT | super::kind::CGROUP_NAMED => PROCESS_ATTEMPTS,
            _ => REQUEST_ATTEMPTS,
        }
    }
}

/// Levels and options of the `setsockopt` calls that replace a legacy table, from `linux/netfilter_*/*_tables.h`, and of those
/// about IPVS, from `linux/ip_vs.h`.
pub mod sockopt {
    /// Level of IPv4, ARP and bridge tables.
    pub const SOL_IP: u32 = 0;
    /// Level of IPv6 tables.
    pub const SOL_IPV6: u32 = 41;
    /// `IPT_SO_SET_REPLACE`, and at its own level `IP6T_SO_SET_REPLACE`.
    pub const IPT_SO_SET_REPLACE: u32 = 64;
    /// `ARPT_SO_SET_REPLACE`.
    pub const ARPT_SO_SET_REPLACE: u32 = 96;
    /// `EBT_SO_SET_ENTRIES`.
    pub const EBT_SO_SET_ENTRIES: u32 = 128;
    /// Adds a service.
    pub const IP_VS_SO_SET_ADD: u32 = 1154;
    /// Changes a service.
    pub const IP_VS_SO_SET_EDIT: u32 = 1155;
    /// Deletes a service.
    pub const IP_VS_SO_SET_DEL: u32 = 1156;
    /// Deletes every service.
    pub const IP_VS_SO_SET_FLUSH: u32 = 1157;
    /// Adds a destination.
    pub const IP_VS_SO_SET_ADDDEST: u32 = 1159;
    /// Deletes a destination.
    pub const IP_VS_SO_SET_DELDEST: u32 = 1160;
    /// Changes a destination.
    pub const IP_VS_SO_SET_EDITDEST: u32 = 1161;

    /// `sizeof(struct ip_vs_service_user)` and `sizeof(struct ip_vs_dest_user)`: the longest value of these options.
    pub const IPVS_BYTES: usize = 44 + 24;
}

/// The calls of a request about mounts.
pub mod mount {
    /// `mount(2)`.
    pub const MOUNT: u32 = 1;
    /// `umount2(2)`.
    pub const UNMOUNT: u32 = 2;
    /// `move_mount(2)`, which also attaches new mounts.
    pub const MOVE: u32 = 3;
}

/// Numbers of the ioctls that are recorded, and what their arguments look like, from `linux/sockios.h`,
/// `linux/if_tun.h`, `linux/if.h` and `linux/if_vlan.h`.
pub mod ioctl {
    /// Sets flags, also up and down.
    pub const SIOCSIFFLAGS: u32 = 0x8914;
    /// Renames a link.
    pub const SIOCSIFNAME: u32 = 0x8923;
    /// Sets the hardware address.
    pub const SIOCSIFHWADDR: u32 = 0x8924;
    /// Adds and deletes VLAN links, among others.
    pub const SIOCSIFVLAN: u32 = 0x8983;
    /// Makes a bridge.
    pub const SIOCBRADDBR: u32 = 0x89a0;
    /// Deletes a bridge.
    pub const SIOCBRDELBR: u32 = 0x89a1;
    /// Adds a port to a bridge.
    pub const SIOCBRADDIF: u32 = 0x89a2;
    /// Takes a port from a bridge.
    pub const SIOCBRDELIF: u32 = 0x89a3;
    /// Makes a tunnel. A number of the device's own: others may mean something else by it.
    pub const SIOCADDTUNNEL: u32 = 0x89f1;
    /// Deletes a tunnel.
    pub const SIOCDELTUNNEL: u32 = 0x89f2;
    /// Changes a tunnel.
    pub const SIOCCHGTUNNEL: u32 = 0x89f3;
    /// Makes a tun or tap link, or attaches to one.
    pub const TUNSETIFF: u32 = 0x4004_54ca;

    /// `sizeof(struct ifreq)` on 64-bit machines.
    pub const IFREQ_BYTES: usize = 40;
    /// Offset of the union in `struct ifreq`, behind the name.
    pub const IFREQ_DATA: usize = 16;
    /// Bytes of a name, in `struct ifreq` and at the start of tunnel parameters.
    pub const PARAMETER_NAME_BYTES: usize = 16;
    /// `sizeof(struct vlan_ioctl_args)`.
    pub const VLAN_BYTES: usize = 56;
}

/// Which netlink messages ask and which act, from `linux/rtnetlink.h` and `linux/netfilter/`.
pub mod request {
    const NETLINK_ROUTE: u32 = 0;
    const NETLINK_NETFILTER: u32 = 12;
    /// `GENL_ID_CTRL`: the family that tells about families; all others have higher numbers.
    const GENERIC_CONTROLLER: u16 = 16;
    /// `IPVS_CMD_FLUSH`, which names nothing.
    const IPVS_FLUSH: u8 = 17;
    /// First message type of a family, not of netlink itself.
    const FIRST_TYPE: u16 = 16;
    const SUBSYS_NONE: u16 = 0;
    const SUBSYS_IPSET: u16 = 6;
    const SUBSYS_NFTABLES: u16 = 10;

    /// Whether a message of this type changes nothing that is recorded. Of netfilter's subsystems only nf_tables, IP sets
    /// and what opens a batch change anything here; connection tracking and packet queues do not.
    #[inline(always)]
    pub const fn is_question(protocol: u32, kind: u16) -> bool {
        match protocol {
            // rtnetlink numbers its messages in fours: new, delete, get, set
            NETLINK_ROUTE => kind >= FIRST_TYPE && kind % 4 == 2,
            NETLINK_NETFILTER => match (kind >> 8, kind & 0xff) {
                (SUBSYS_NONE, _) => false,
                // NFT_MSG_GETTABLE, CHAIN, RULE, SET, SETELEM, GEN, OBJ and FLOWTABLE
                (SUBSYS_NFTABLES, message) => matches!(message, 1 | 4 | 7 | 10 | 13 | 16 | 19 | 23),
                // IPSET_CMD_PROTOCOL, LIST, SAVE, HEADER, TYPE, GET_BYNAME and GET_BYINDEX
                (SUBSYS_IPSET, message) => matches!(message, 1 | 7 | 8 | 12 | 13 | 14 | 15),
                _ => true,
            },
            _ => false,
        }
    }

    /// The beginning of a generic netlink message: `struct nlmsghdr`, `struct genlmsghdr`, a first attribute's header.
    #[repr(C)]
    #[derive(Debug, Clone, Copy)]
    pub struct GenericHead {
        /// Length of the message, bytes.
        pub length: u32,
        /// The family's number.
        pub family: u16,
        /// `NLM_F_*`.
        pub flags: u16,
        /// Sequence number.
        pub sequence: u32,
        /// Portid.
        pub portid: u32,
        /// The family's own command.
        pub command: u8,
        /// Version of the family's commands.
        pub version: u8,
        /// Zero.
        pub reserved: u16,
        /// Length of the first attribute; not the message's any more when that is 20 bytes long.
        pub attribute_length: u16,
        /// Its kind.
        pub attribute_kind: u16,
    }

    /// Whether a generic netlink message can ask IPVS to change something. The number of its family is given out when the
    /// subsystem is loaded, so that a look at the message decides, which lets some of other families pass: `IPVS_CMD_*` that
    /// change services or destinations, of version 1, with a service (20 bytes at least) or a destination first.
    #[inline(always)]
    pub const fn may_be_ipvs(head: &GenericHead) -> bool {
        if head.family <= GENERIC_CONTROLLER || head.version != 1 {
            return false;
        }
        match head.command {
            IPVS_FLUSH => head.length == 20,
            1..=3 | 5..=7 => matches!(head.attribute_kind & 0x3fff, 1 | 2) && head.attribute_length >= 20,
            _ => false,
        }
    }

    #[cfg(test)]
    mod tests {
        use super::{GenericHead, may_be_ipvs};

        #[test]
        fn changes_of_ipvs_pass_and_little_else() {
            let add = GenericHead {
                length: 60,
                family: 30,
                flags: 5,
                sequence: 1,
                portid: 0,
                command: 5,
                version: 1,
                reserved: 0,
                attribute_length: 40,
                attribute_kind: 1 | 0x8000,
            };
            assert!(may_be_ipvs(&add));
            assert!(may_be_ipvs(&GenericHead { command: 17, length: 20, attribute_length: 0, ..add }));
            for other in [
                GenericHead { family: 16, ..add },
                GenericHead { version: 2, ..add },
                GenericHead { command: 8, ..add },
                GenericHead { command: 17, ..add },
                GenericHead { attribute_length: 8, ..add },
                GenericHead { attribute_kind: 3, ..add },
            ] {
                assert!(!may_be_ipvs(&other), "{other:?}");
            }
        }
    }
}

/// Names of the maps and of the frozen global, as the loader needs them.
pub mod name {
    /// The ring that carries every record but [`TableChunk`](super::TableChunk).
    pub const RECORDS: &str = "RECORDS";
    /// The ring that carries what replaces legacy tables.
    pub const TABLES: &str = "TABLES";
    /// The per-CPU counters, see [`slot`](super::slot).
    pub const COUNTERS: &str = "COUNTERS";
    /// The kernel offsets, [`Offsets`](super::Offsets).
    pub const OFFSETS: &str = "OFFSETS";
}
