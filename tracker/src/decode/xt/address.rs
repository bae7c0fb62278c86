//! Addresses and links.

use super::{Name, layout};

layout! {
    /// `struct xt_addrtype_info_v1`: revision 1.
    Addrtype[8] {
        source: u16 = 0,
        destination: u16 = 2,
        /// 1 and 2 inverted, 4 and 8 of the incoming and the outgoing link.
        flags: u32 = 4,
    }
    /// `struct xt_iprange_mtinfo`: revision 1.
    Iprange[68] {
        source: [[u8; 16]; 2] = 0,
        destination: [[u8; 16]; 2] = 32,
        /// 1 source, 2 destination, 16 and 32 inverted.
        flags: u8 = 64,
    }
    /// `struct xt_mac_info`.
    Mac[12] {
        address: [u8; 6] = 0,
        invert: i32 = 8,
    }
    /// `struct xt_physdev_info`.
    Physdev<'a>[66] {
        /// With its `+`; the mask at 16 says the same.
        input: Name<'a, 16> = 0,
        output: Name<'a, 16> = 32,
        /// 1 in, 2 out, 4 bridged, 8 is in, 16 is out.
        invert: u8 = 64,
        bitmask: u8 = 65,
    }
    /// `struct xt_devgroup_info`.
    Devgroup[20] {
        /// 1 source, 2 inverted, 4 destination, 8 inverted.
        flags: u32 = 0,
        source: [u32; 2] = 4,
        destination: [u32; 2] = 12,
    }
    /// `struct xt_rpfilter_info`.
    Rpfilter[1] {
        flags: u8 = 0,
    }
    /// `struct xt_pkttype_info`.
    Pkttype[8] {
        kind: i32 = 0,
        invert: i32 = 4,
    }
    /// `struct xt_realm_info`.
    Realm[12] {
        id: u32 = 0,
        mask: u32 = 4,
        invert: bool = 8,
    }
    /// `struct xt_tee_tginfo`: revision 1.
    Tee<'a>[40] {
        gateway: [u8; 16] = 0,
        output: Name<'a, 16> = 16,
    }
    /// `struct xt_policy_info`.
    Policy<'a>[308] {
        elements: Name<'a, 304> = 0,
        /// 1 in, 2 out, 4 none, 8 strict.
        flags: u16 = 304,
        count: u16 = 306,
    }
    /// `struct xt_policy_elem`.
    PolicyElement[76] {
        source: [u8; 16] = 0,
        source_mask: [u8; 16] = 16,
        destination: [u8; 16] = 32,
        destination_mask: [u8; 16] = 48,
        spi: u32 = 64,
        reqid: u32 = 68,
        protocol: u8 = 72,
        /// 0 transport, 1 tunnel.
        mode: u8 = 73,
        /// 1 source, 2 destination, 4 protocol, 8 mode, 16 SPI, 32 request id.
        matched: u8 = 74,
        invert: u8 = 75,
    }
}

impl Policy<'_> {
    /// The elements in use; `None` in the place of one that cannot be read.
    pub(crate) fn each(&self) -> impl Iterator<Item = Option<PolicyElement>> + '_ {
        self.elements.all().chunks_exact(76).take(usize::from(self.count)).map(|bytes| {
            let mut padded = [0; PolicyElement::LENGTH];
            padded.get_mut(..bytes.len())?.copy_from_slice(bytes);
            PolicyElement::read(&padded)
        })
    }
}
