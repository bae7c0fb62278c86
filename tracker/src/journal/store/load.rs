//! Reads a journal at start: all object rows against the head's sum, the end of the chain against its ends.

use std::ops::ControlFlow;

use crate::journal::backend::{Backend, Direction, KeyRange};
use crate::journal::codec::{self, RowKind};
use crate::journal::error::JournalError;

use super::actors::ActorTable;
use super::chain::{self, Walk};
use super::index::{LiveKey, State};
use super::pages::Page;
use super::retain::Gone;
use super::rows::{self, BootEnd, Head, StoredObject};

/// Blocks checked at the end of the chain at every start, 16 MiB at most times; [`super::verify`] checks all.
const TAIL: usize = 4096;

/// What a start makes of the rows.
pub(super) struct Loaded {
    pub head: Head,
    pub state: State,
    pub gone: Gone,
    pub actors: ActorTable,
}

/// Reads the rows.
pub(super) fn load(backend: &dyn Backend) -> Result<Loaded, JournalError> {
    let head = read_head(backend)?;
    let mut state = State::default();
    state.follow(&head);
    visit(backend, rows::all_boot_ends(), |key, value| {
        let boot = rows::boot_of(key).ok_or_else(|| codec::damaged(key, "no boot id in its key"))?;
        let end: BootEnd = codec::decode(RowKind::BootEnd, key, value)?;
        state.add_end(boot, end);
        Ok(())
    })?;
    let mut loaded =
        Loaded { actors: ActorTable::new(head.next_entry), gone: Gone::default(), state, head: head.clone() };
    let (mut objects, mut scratch) = (Head::default(), Vec::new());
    visit(backend, rows::all_pages(), |key, value| {
        let mut page = Page::open(key, value)?;
        while let Some(stored) = page.next_object()? {
            objects.objects += 1;
            loaded.take_in(&stored, &mut scratch)?;
        }
        objects.toggle(rows::row_hash(rows::number_of(key).unwrap_or_default(), value));
        Ok(())
    })?;
    if (objects.objects, objects.objects_sum) != (head.objects, head.objects_sum) {
        let reason = format!("it stands for {} objects, found {} or others", head.objects, objects.objects);
        return Err(codec::damaged(rows::HEAD, reason));
    }
    loaded.gone.sort();
    check_tail(backend, &head)?;
    Ok(loaded)
}

impl Loaded {
    fn take_in(&mut self, stored: &StoredObject, scratch: &mut Vec<u8>) -> Result<(), JournalError> {
        let StoredObject { object, last_entry } = stored;
        stored.actors().for_each(|actor| self.actors.refer(actor, 1));
        if !object.is_live() {
            self.gone.push(*last_entry, object.id);
        } else if let Some(end) = self.state.end_of(object) {
            self.gone.push(end.entry, object.id);
        } else {
            let key = LiveKey::of(object.scope, &object.subject, scratch)?;
            self.state.set_live(key, Some(object.id));
        }
        if object.id >= self.head.next_object {
            return Err(codec::damaged(rows::HEAD, format!("object {} is beyond its counter", object.id)));
        }
        Ok(())
    }
}

fn read_head(backend: &dyn Backend) -> Result<Head, JournalError> {
    if let Some(row) = backend.get(rows::HEAD)? {
        return codec::decode(RowKind::Head, rows::HEAD, &row);
    }
    let mut is_empty = true;
    let everything = KeyRange { start: Vec::new(), end: vec![0xff] };
    backend.scan(everything, Direction::Forward, &mut |_, _| {
        is_empty = false;
        ControlFlow::Break(())
    })?;
    if is_empty { Ok(Head::default()) } else { Err(codec::damaged(rows::HEAD, "it is missing, other rows are not")) }
}

/// Checks that the last blocks follow each other and end where the head says.
fn check_tail(backend: &dyn Backend, head: &Head) -> Result<(), JournalError> {
    let (mut start, mut count) = (None, 0);
    backend.scan(rows::all_blocks(), Direction::Backward, &mut |key, _| {
        start = Some(key.to_vec());
        count += 1;
        if count < TAIL { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    let mut walk = if count < TAIL { Walk::from_anchor(head) } else { Walk::from_anywhere() };
    let range = KeyRange { start: start.unwrap_or_else(|| rows::all_blocks().start), ..rows::all_blocks() };
    visit(backend, range, |key, value| walk.step(key, value, chain::Depth::Frames))?;
    walk.finish(head)
}

/// Visits rows until one gives an error.
pub(super) fn visit(
    backend: &dyn Backend,
    range: KeyRange,
    mut visitor: impl FnMut(&[u8], &[u8]) -> Result<(), JournalError>,
) -> Result<(), JournalError> {
    let mut result = Ok(());
    backend.scan(range, Direction::Forward, &mut |key, value| {
        result = visitor(key, value);
        if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    result
}
