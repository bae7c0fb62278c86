//! Pages: the objects of eight neighbouring numbers in one row, for the reason blocks exist: sled takes its time by the
//! row, and keeps a copy of a leaf for every row a batch changes until the batch is over.
//!
//! A page's payload is, per object in the order of their numbers, the number (8 bytes), a length (4 bytes) and the
//! postcard value, numbers little-endian.

use crate::journal::backend::Batch;
use crate::journal::codec::{self, RowKind};
use crate::journal::error::JournalError;
use crate::model::ids::ObjectId;

use super::rows::{self, Head, StoredObject};

/// Numbers to a page. An object takes about half a KiB, so a page about 4.
const OBJECTS: u64 = 8;

/// The page an object is on.
pub(super) fn number_of(id: ObjectId) -> u64 {
    id.0 / OBJECTS
}

/// Walks a page's objects without decoding them.
pub(super) struct Page<'a> {
    key: &'a [u8],
    number: u64,
    rest: &'a [u8],
    last: Option<ObjectId>,
}

impl<'a> Page<'a> {
    /// Checks a page row.
    pub(super) fn open(key: &'a [u8], value: &'a [u8]) -> Result<Self, JournalError> {
        let rest = codec::payload(RowKind::ObjectPage, key, value)?;
        let number = rows::number_of(key).ok_or_else(|| codec::damaged(key, "no page number in its key"))?;
        Ok(Self { key, number, rest, last: None })
    }

    /// The next object's number and value.
    pub(super) fn next(&mut self) -> Result<Option<(ObjectId, &'a [u8])>, JournalError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let item = self.rest.split_first_chunk::<8>().and_then(|(id, rest)| {
            let (length, rest) = rest.split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            let (value, rest) = rest.split_at_checked(length)?;
            Some((ObjectId(u64::from_le_bytes(*id)), value, rest))
        });
        let (id, value, rest) = item.ok_or_else(|| codec::damaged(self.key, "object reaches beyond its page"))?;
        if number_of(id) != self.number || self.last.is_some_and(|last| last >= id) {
            return Err(codec::damaged(self.key, format!("object {id} is out of place")));
        }
        (self.rest, self.last) = (rest, Some(id));
        Ok(Some((id, value)))
    }

    /// The next object, decoded.
    pub(super) fn next_object(&mut self) -> Result<Option<StoredObject>, JournalError> {
        self.next()?.map(|(id, value)| decode(self.key, id, value)).transpose()
    }

    /// The object with a number, skipping those before it.
    pub(super) fn find(&mut self, wanted: ObjectId) -> Result<Option<StoredObject>, JournalError> {
        while let Some((id, value)) = self.next()? {
            if id == wanted {
                return decode(self.key, id, value).map(Some);
            }
        }
        Ok(None)
    }
}

fn decode(key: &[u8], id: ObjectId, value: &[u8]) -> Result<StoredObject, JournalError> {
    let stored: StoredObject = codec::read_value(key, value)?;
    if stored.object.id == id {
        Ok(stored)
    } else {
        Err(codec::damaged(key, format!("object {} stands under {id}", stored.object.id)))
    }
}

/// What becomes of one object of a page.
pub(super) enum Fate<'a> {
    /// It is written anew.
    Put(&'a StoredObject),
    /// It is dropped.
    Drop,
}

/// Adds a page with some of its objects changed to a batch, and keeps the head's count and sum of objects. `fates` are
/// in the order of the numbers; `before` is the row as it is.
pub(super) fn rewrite(
    head: &mut Head,
    batch: &mut Batch,
    number: u64,
    before: Option<&[u8]>,
    fates: &[(ObjectId, Fate<'_>)],
) -> Result<(), JournalError> {
    let key = rows::page(number);
    let mut kept = 0;
    batch.put(&key, |out| {
        codec::encode_with(RowKind::ObjectPage, out, |out| {
            let mut old = before.map(|value| Page::open(&key, value)).transpose()?;
            let mut next_old = || old.as_mut().map_or(Ok(None), Page::next);
            let (mut item, mut fates) = (next_old()?, fates.iter().peekable());
            loop {
                match (item, fates.peek()) {
                    (None, None) => return Ok(()),
                    (Some((id, value)), fate) if fate.is_none_or(|(fated, _)| id < *fated) => {
                        write(out, id, |out| {
                            out.extend_from_slice(value);
                            Ok(())
                        })?;
                        (item, kept) = (next_old()?, kept + 1);
                    }
                    (old, Some((id, fate))) => {
                        if let Fate::Put(stored) = fate {
                            write(out, *id, |out| codec::write_value(*stored, out))?;
                            kept += 1;
                        }
                        if old.is_some_and(|(old, _)| old == *id) {
                            item = next_old()?;
                        } else {
                            item = old;
                        }
                        fates.next();
                    }
                    (Some(_), None) => return Err(codec::damaged(&key, "objects out of order")),
                }
            }
        })
    })?;
    if let Some(before) = before {
        head.toggle(rows::row_hash(number, before));
        head.objects = head.objects.saturating_sub(count(&key, before)?);
    }
    head.objects += kept;
    if kept == 0 {
        batch.delete(&key);
    } else {
        head.toggle(rows::row_hash(number, batch.last_value()));
    }
    Ok(())
}

fn count(key: &[u8], value: &[u8]) -> Result<u64, JournalError> {
    let mut page = Page::open(key, value)?;
    let mut count = 0;
    while page.next()?.is_some() {
        count += 1;
    }
    Ok(count)
}

fn write(
    out: &mut Vec<u8>,
    id: ObjectId,
    value: impl FnOnce(&mut Vec<u8>) -> Result<(), JournalError>,
) -> Result<(), JournalError> {
    out.extend_from_slice(&id.0.to_le_bytes());
    codec::write_with_length(out, value)
}
