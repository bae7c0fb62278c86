//! Reading attributes into typed structures.

use super::super::attribute::{Attribute, attributes};
use super::data::Data;

/// Attributes that are not understood: number and bytes, in their order.
pub type Unknown<'a> = Vec<(u16, &'a [u8])>;

/// Highest attribute number known for any expression.
const HIGHEST: usize = 11;

/// The attributes of one expression by number.
pub(super) struct Fields<'a>([Option<&'a [u8]>; HIGHEST + 1]);

impl<'a> Fields<'a> {
    /// Sorts attributes into those in `known` (bit n: number n) and the rest; `None` where the bytes are none.
    pub(super) fn read(data: &'a [u8], known: u32, unknown: &mut Unknown<'a>) -> Option<Self> {
        let mut fields = [None; HIGHEST + 1];
        for attribute in attributes(data) {
            let Attribute { kind, value } = attribute.ok()?;
            match fields.get_mut(usize::from(kind)) {
                Some(field) if known & (1 << kind) != 0 => *field = Some(value),
                _ => unknown.push((kind, value)),
            }
        }
        Some(Self(fields))
    }

    pub(super) fn get<T: FromAttribute<'a>>(&self, number: usize) -> Option<T> {
        T::from_attribute(self.0.get(number).copied().flatten())
    }
}

/// A value made of an attribute; `None` where it is missing though needed, or of the wrong size.
pub(super) trait FromAttribute<'a>: Sized {
    fn from_attribute(value: Option<&'a [u8]>) -> Option<Self>;
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl FromAttribute<'_> for $type {
            fn from_attribute(value: Option<&[u8]>) -> Option<Self> {
                value?.try_into().ok().map(Self::from_be_bytes)
            }
        }
    )*};
}

numbers!(u8, u16, u32, i32, u64);

impl<'a> FromAttribute<'a> for &'a [u8] {
    fn from_attribute(value: Option<&'a [u8]>) -> Option<Self> {
        value
    }
}

impl<'a> FromAttribute<'a> for Data<'a> {
    fn from_attribute(value: Option<&'a [u8]>) -> Option<Self> {
        Data::parse(value?)
    }
}

impl<'a, T: FromAttribute<'a>> FromAttribute<'a> for Option<T> {
    fn from_attribute(value: Option<&'a [u8]>) -> Option<Self> {
        match value {
            None => Some(None),
            value => T::from_attribute(value).map(Some),
        }
    }
}

/// Defines structures of attributes: `field: type = attribute number`. `ignored` numbers are known and carry nothing.
macro_rules! expression {
    ($($(#[$doc:meta])* $name:ident $(ignored $($ignored:literal)|+)? {
        $($(#[$field_doc:meta])* $field:ident: $type:ty = $number:literal,)*
    })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name<'a> {
            $($(#[$field_doc])* pub $field: $type,)*
            pub(super) bytes: std::marker::PhantomData<&'a [u8]>,
        }

        impl<'a> $name<'a> {
            pub(super) fn parse(
                data: &'a [u8],
                unknown: &mut $crate::decode::nft::expr::Unknown<'a>,
            ) -> Option<Self> {
                const KNOWN: u32 = 0 $(| 1 << $number)* $($(| 1 << $ignored)+)?;
                let fields = $crate::decode::nft::expr::attributes::Fields::read(data, KNOWN, unknown)?;
                Some(Self { $($field: fields.get($number)?,)* bytes: std::marker::PhantomData })
            }
        }
    )*};
}

pub(super) use expression;
