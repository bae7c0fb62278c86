//! Contents of the packet.

use super::{Name, layout};

layout! {
    /// `struct xt_string_info`: revision 1.
    Text<'a>[160] {
        from: u16 = 0,
        to: u16 = 2,
        algorithm: Name<'a, 16> = 4,
        pattern: Name<'a, 128> = 20,
        length: u8 = 148,
        /// 1 inverted, 2 case does not matter.
        flags: u8 = 149,
    }
    /// `struct xt_bpf_info_v1`.
    Bpf<'a>[528] {
        /// 0 program, 1 pinned, 2 ELF.
        mode: u16 = 0,
        count: u16 = 2,
        program: Name<'a, 512> = 8,
    }
    /// `struct xt_u32`.
    U32<'a>[1984] {
        tests: Name<'a, 1980> = 0,
        count: u8 = 1980,
        invert: bool = 1981,
    }
    /// `struct xt_u32_test`.
    U32Test<'a>[184] {
        /// Number (4 bytes) and the operation after it (0 and, 1 left, 2 right, 3 at; 4 bytes with padding).
        location: Name<'a, 88> = 0,
        /// Lowest and highest.
        values: [[u32; 2]; 11] = 88,
        location_count: u8 = 176,
        value_count: u8 = 177,
    }
}

impl<'a> U32<'a> {
    /// The tests in use.
    pub(crate) fn each(&self) -> impl Iterator<Item = &'a [u8]> {
        self.tests.all().chunks_exact(180).take(usize::from(self.count))
    }
}
