//! A reader of the BPF Type Format.
//!
//! Layout: a header, then type records one after the other (numbered from 1), then NUL-ended strings. See
//! <https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/btf.h>.

/// First two bytes.
const MAGIC: u16 = 0xeb9f;
/// Bytes of a type record without what its kind adds.
const RECORD_BYTES: usize = 12;
/// Bytes of a structure member.
const MEMBER_BYTES: usize = 12;
/// Bytes of one name of an enumeration with its value.
const ENUMERATOR_BYTES: usize = 8;
/// Bytes of a pointer in the kernels BPF runs on.
const POINTER_BYTES: u32 = 8;
/// Nesting that no kernel type comes near; stops circles in bad data.
const MAX_DEPTH: u32 = 16;

const INT: u8 = 1;
const PTR: u8 = 2;
const ARRAY: u8 = 3;
const STRUCT: u8 = 4;
const UNION: u8 = 5;
const ENUM: u8 = 6;
const FWD: u8 = 7;
const TYPEDEF: u8 = 8;
const VOLATILE: u8 = 9;
const CONST: u8 = 10;
const RESTRICT: u8 = 11;
const FUNC: u8 = 12;
const FUNC_PROTO: u8 = 13;
const VAR: u8 = 14;
const DATASEC: u8 = 15;
const FLOAT: u8 = 16;
const DECL_TAG: u8 = 17;
const TYPE_TAG: u8 = 18;
const ENUM64: u8 = 19;

/// Why bytes are not type information.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BtfError {
    /// The bytes end before something they announce.
    #[error("{what} ends outside the data")]
    Truncated {
        /// What was being read.
        what: &'static str,
    },
    /// The bytes start with something else.
    #[error("expected magic number 0xeb9f but found {found:#06x}")]
    Magic {
        /// What was found; 0x9feb is the other byte order.
        found: u16,
    },
    /// The format has a version this reader does not know.
    #[error("expected version 1 but found {found}")]
    Version {
        /// What was found.
        found: u8,
    },
    /// A type record has a kind this reader does not know, so what follows it cannot be found.
    #[error("type {id} has unknown kind {kind}")]
    Kind {
        /// Number of the type.
        id: usize,
        /// Its kind.
        kind: u8,
    },
}

/// Why a member has no usable offset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemberError {
    /// No structure has that name.
    #[error("no structure `{structure}`")]
    NoStructure {
        /// The name.
        structure: String,
    },
    /// The structure has no such member.
    #[error("structure `{structure}` has no member `{member}`")]
    NoMember {
        /// Name of the structure.
        structure: String,
        /// Path of the member.
        member: String,
    },
    /// Several structures of that name differ about the member.
    #[error("structures named `{structure}` differ in `{member}`")]
    Ambiguous {
        /// Name of the structures.
        structure: String,
        /// Path of the member.
        member: String,
    },
    /// The member does not start or end at a byte.
    #[error("`{structure}.{member}` is a bit-field")]
    BitField {
        /// Name of the structure.
        structure: String,
        /// Path of the member.
        member: String,
    },
    /// The member has another size than the reader of it assumes.
    #[error("`{structure}.{member}` has {found} bytes, expected {expected}")]
    Size {
        /// Name of the structure.
        structure: String,
        /// Path of the member.
        member: String,
        /// Bytes it has.
        found: u32,
        /// Bytes it should have.
        expected: u32,
    },
}

/// Where a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Bytes from the start of the structure.
    pub offset: u32,
    /// Its size, bytes; 0 when its type has none (an incomplete array, a function).
    pub size: u32,
}

/// Parsed type information.
#[derive(Debug)]
pub struct Btf {
    bytes: Vec<u8>,
    /// Where each type record starts; types are numbered from 1.
    records: Vec<usize>,
    /// The same of the structures and enumerations among them, for the searches by name.
    structures: Vec<usize>,
    enumerations: Vec<usize>,
    strings: std::ops::Range<usize>,
}

/// The fixed part of a type record.
#[derive(Clone, Copy)]
struct Record {
    name: u32,
    kind: u8,
    /// The top bit of the record: member offsets are packed with bit-field sizes.
    flag: bool,
    count: usize,
    size_or_type: u32,
    /// Where what the kind adds starts.
    tail: usize,
}

/// What a search in one structure came to.
enum Search {
    Found(Member),
    BitField,
    Absent,
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_ne_bytes(field.try_into().ok()?))
}

impl Btf {
    /// Reads type information of this machine's byte order.
    ///
    /// # Errors
    /// [`BtfError`] when the bytes are not that. Any bytes give an answer.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, BtfError> {
        let truncated = |what| BtfError::Truncated { what };
        let header = |at| u32_at(&bytes, at).and_then(|value| usize::try_from(value).ok());
        let (Some([low, high]), Some(&version)) = (bytes.get(..2), bytes.get(2)) else {
            return Err(truncated("header"));
        };
        let magic = u16::from_ne_bytes([*low, *high]);
        if magic != MAGIC {
            return Err(BtfError::Magic { found: magic });
        }
        if version != 1 {
            return Err(BtfError::Version { found: version });
        }
        let length = header(4).ok_or(truncated("header"))?;
        let section = |at: usize, what| {
            let start = length.checked_add(header(at)?)?;
            let end = start.checked_add(header(at + 4)?)?;
            (end <= bytes.len()).then_some(start..end).ok_or(truncated(what)).ok()
        };
        let types = section(8, "type section").ok_or(truncated("type section"))?;
        let strings = section(16, "string section").ok_or(truncated("string section"))?;
        let mut btf = Self { bytes, records: Vec::new(), structures: Vec::new(), enumerations: Vec::new(), strings };
        btf.index(types)?;
        Ok(btf)
    }

    /// Finds where each record starts: records have no length of their own.
    fn index(&mut self, types: std::ops::Range<usize>) -> Result<(), BtfError> {
        let mut at = types.start;
        while at < types.end {
            let id = self.records.len() + 1;
            let record = self.record_at(at).ok_or(BtfError::Truncated { what: "type record" })?;
            let tail = tail_bytes(record.kind, record.count).ok_or(BtfError::Kind { id, kind: record.kind })?;
            let next = record.tail + tail;
            if next > types.end {
                return Err(BtfError::Truncated { what: "type record" });
            }
            self.records.push(at);
            match record.kind {
                STRUCT => self.structures.push(at),
                ENUM => self.enumerations.push(at),
                _ => {}
            }
            at = next;
        }
        Ok(())
    }

    fn record_at(&self, at: usize) -> Option<Record> {
        let info = u32_at(&self.bytes, at.checked_add(4)?)?;
        Some(Record {
            name: u32_at(&self.bytes, at)?,
            kind: (info >> 24 & 0x1f) as u8,
            flag: info >> 31 == 1,
            count: (info & 0xffff) as usize,
            size_or_type: u32_at(&self.bytes, at.checked_add(8)?)?,
            tail: at.checked_add(RECORD_BYTES)?,
        })
    }

    /// The record of a type; `None` for `void` and for numbers that do not exist.
    fn record(&self, id: u32) -> Option<Record> {
        let index = usize::try_from(id).ok()?.checked_sub(1)?;
        self.record_at(*self.records.get(index)?)
    }

    fn name(&self, offset: u32) -> Option<&[u8]> {
        let strings = self.bytes.get(self.strings.clone())?;
        let text = strings.get(usize::try_from(offset).ok()?..)?;
        text.split(|byte| *byte == 0).next()
    }

    fn is_named(&self, offset: u32, name: &str) -> bool {
        let text = usize::try_from(offset).ok().and_then(|offset| self.bytes.get(self.strings.clone())?.get(offset..));
        // the last string may lack its end
        text.and_then(|text| text.strip_prefix(name.as_bytes()))
            .is_some_and(|rest| matches!(rest.first(), None | Some(0)))
    }

    /// Number of types.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are no types.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The member `path` of the structure `structure`, where a dot enters a member that is a structure itself. Members
    /// of unnamed structures and unions within are members, as in C.
    ///
    /// # Errors
    /// [`MemberError`] when there is none, when structures of that name differ about it, or when it is a bit-field.
    pub fn member(&self, structure: &str, path: &str) -> Result<Member, MemberError> {
        let names = || (structure.to_owned(), path.to_owned());
        let mut found = None;
        let mut exists = false;
        for record in self.structures.iter().filter_map(|at| self.record_at(*at)) {
            if !self.is_named(record.name, structure) {
                continue;
            }
            exists = true;
            let here = self.search(record, path, 0, 0);
            let (structure, member) = names();
            match (here, found) {
                (Search::Found(here), None) => found = Some(here),
                (Search::Found(here), Some(before)) if here == before => {}
                (Search::BitField, _) => return Err(MemberError::BitField { structure, member }),
                (Search::Absent, None) => {}
                _ => return Err(MemberError::Ambiguous { structure, member }),
            }
        }
        let (structure, member) = names();
        match found {
            Some(member) => Ok(member),
            None if exists => Err(MemberError::NoMember { structure, member }),
            None => Err(MemberError::NoStructure { structure }),
        }
    }

    /// Like [`Btf::member`], for a member whose size must be `expected` bytes.
    ///
    /// # Errors
    /// As [`Btf::member`], and when the size differs.
    pub fn sized_member(&self, structure: &str, path: &str, expected: u32) -> Result<Member, MemberError> {
        let member = self.member(structure, path)?;
        if member.size == expected {
            return Ok(member);
        }
        let (structure, path) = (structure.to_owned(), path.to_owned());
        Err(MemberError::Size { structure, member: path, found: member.size, expected })
    }

    /// The value of a name in the enumeration `enumeration`; `None` when there is none.
    pub fn enumerator(&self, enumeration: &str, name: &str) -> Option<u32> {
        let all = self.enumerations.iter().filter_map(|at| self.record_at(*at));
        let mut named = all.filter(|record| self.is_named(record.name, enumeration));
        named.find_map(|record| {
            let mut values = (0..record.count).map(|index| record.tail + index * ENUMERATOR_BYTES);
            let at =
                values.find(|at| u32_at(&self.bytes, *at).and_then(|at| self.name(at)) == Some(name.as_bytes()))?;
            u32_at(&self.bytes, at + 4)
        })
    }

    /// Looks for `path` in one structure or union that starts at bit `base`.
    fn search(&self, record: Record, path: &str, base: u32, depth: u32) -> Search {
        if depth > MAX_DEPTH {
            return Search::Absent;
        }
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        for index in 0..record.count {
            let at = record.tail + index * MEMBER_BYTES;
            let (Some(name), Some(id), Some(packed)) =
                (u32_at(&self.bytes, at), u32_at(&self.bytes, at + 4), u32_at(&self.bytes, at + 8))
            else {
                return Search::Absent;
            };
            let (bits, offset) = if record.flag { (packed >> 24, packed & 0x00ff_ffff) } else { (0, packed) };
            let Some(offset) = base.checked_add(offset) else { return Search::Absent };
            let inner = self.resolve(id).filter(|inner| matches!(inner.kind, STRUCT | UNION));
            let name = self.name(name).unwrap_or_default();
            if name.is_empty() {
                let Some(inner) = inner else { continue };
                match self.search(inner, path, offset, depth + 1) {
                    Search::Absent => continue,
                    found => return found,
                }
            }
            if name != first.as_bytes() {
                continue;
            }
            return match (rest, inner) {
                (Some(rest), Some(inner)) => self.search(inner, rest, offset, depth + 1),
                (Some(_), None) => Search::Absent,
                (None, _) if bits != 0 || offset % 8 != 0 => Search::BitField,
                (None, _) => Search::Found(Member { offset: offset / 8, size: self.size(id, 0).unwrap_or(0) }),
            };
        }
        Search::Absent
    }

    /// Follows names and qualifiers of a type to the type itself.
    fn resolve(&self, mut id: u32) -> Option<Record> {
        for _ in 0..MAX_DEPTH {
            let record = self.record(id)?;
            match record.kind {
                TYPEDEF | VOLATILE | CONST | RESTRICT | TYPE_TAG => id = record.size_or_type,
                _ => return Some(record),
            }
        }
        None
    }

    /// Size of a type, bytes.
    fn size(&self, id: u32, depth: u32) -> Option<u32> {
        let record = self.resolve(id).filter(|_| depth <= MAX_DEPTH)?;
        match record.kind {
            INT | STRUCT | UNION | ENUM | FLOAT | ENUM64 => Some(record.size_or_type),
            PTR => Some(POINTER_BYTES),
            ARRAY => {
                let element = u32_at(&self.bytes, record.tail)?;
                let count = u32_at(&self.bytes, record.tail + 8)?;
                self.size(element, depth + 1)?.checked_mul(count)
            }
            _ => None,
        }
    }
}

/// Bytes that follow a type record of this kind; `None` for an unknown kind.
fn tail_bytes(kind: u8, count: usize) -> Option<usize> {
    match kind {
        PTR | FWD | TYPEDEF | VOLATILE | CONST | RESTRICT | FUNC | FLOAT | TYPE_TAG => Some(0),
        INT | VAR | DECL_TAG => Some(4),
        ENUM | FUNC_PROTO => Some(ENUMERATOR_BYTES * count),
        ARRAY => Some(12),
        STRUCT | UNION | DATASEC | ENUM64 => Some(12 * count),
        _ => None,
    }
}

#[cfg(test)]
#[path = "types_tests.rs"]
mod tests;
