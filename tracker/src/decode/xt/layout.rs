//! How a structure is read at given offsets.

/// A field of a structure.
pub(crate) trait Field<'a>: Sized {
    /// Reads it at the start of `bytes`; `None` when they are too short.
    fn read(bytes: &'a [u8]) -> Option<Self>;
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl Field<'_> for $type {
            fn read(bytes: &[u8]) -> Option<Self> {
                bytes.get(..size_of::<Self>())?.try_into().ok().map(Self::from_ne_bytes)
            }
        }
    )*};
}

numbers!(u8, i8, u16, u32, i32, u64);

/// A byte that is 0 or not.
impl Field<'_> for bool {
    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.first().map(|byte| *byte != 0)
    }
}

impl<'a, T: Field<'a>, const N: usize> Field<'a> for [T; N] {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut values = Vec::with_capacity(N);
        for index in 0..N {
            values.push(T::read(bytes.get(index * size_of::<T>()..)?)?);
        }
        values.try_into().ok()
    }
}

/// Text in a field of `N` bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Name<'a, const N: usize>(&'a [u8]);

impl<'a, const N: usize> Name<'a, N> {
    /// Up to the NUL.
    pub(crate) fn bytes(self) -> &'a [u8] {
        &self.0[..self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len())]
    }

    /// All `N` bytes.
    pub(crate) fn all(self) -> &'a [u8] {
        self.0
    }
}

impl<'a, const N: usize> Field<'a> for Name<'a, N> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        bytes.get(..N).map(Self)
    }
}

/// A number that the structure has in network byte order.
pub(crate) fn be16(number: u16) -> u16 {
    u16::from_be(number)
}

/// Defines structures: `Name[length] { field: type = offset }`.
macro_rules! layout {
    ($($(#[$doc:meta])* $name:ident $(<$life:lifetime>)? [$length:literal] {
        $($(#[$field_doc:meta])* $field:ident: $type:ty = $offset:literal,)*
    })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub(crate) struct $name $(<$life>)? {
            $($(#[$field_doc])* pub(crate) $field: $type,)*
        }

        impl $(<$life>)? $name $(<$life>)? {
            /// Bytes of the structure in a rule.
            pub(crate) const LENGTH: usize = ($length as usize).next_multiple_of(8);

            /// Reads it; `None` for bytes of another length.
            pub(crate) fn read(info: & $($life)? [u8]) -> Option<Self> {
                if info.len() != Self::LENGTH {
                    return None;
                }
                Some(Self { $($field: $crate::decode::xt::layout::Field::read(info.get($offset..)?)?,)* })
            }
        }
    )*};
}

pub(super) use layout;
