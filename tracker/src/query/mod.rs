//! Query: read models over the journal. Everything here takes a [`journal::Read`](crate::journal::Read) and gives
//! documents of [`crate::control::api`]; it neither knows whether a tracker runs nor touches the kernel.

mod actor;
mod blame;
mod content;
mod ipsets;
mod list;
mod locate;
mod log;
mod object;
mod operation;
mod plan;
mod status;
mod swap;
mod texts;
mod undo;
mod users;

pub use actor::{Actors, actor_view};
pub use blame::blame;
pub use content::content_text;
pub use ipsets::ip_set_names;
pub use list::{list, owners};
pub use locate::{BadDestination, Destination, Locator, Reach, RulePlace, locate, no_such_position};
pub use log::{EventFilter, event_view, follow, gap_view, gaps, log};
pub use object::{HISTORY_SHOWN, USERS_SHOWN, object_by_id, object_view};
pub use operation::operation_view;
pub use plan::{export_view, plan_view};
pub use status::stopped_status;
pub use swap::finding_view;
pub use texts::Texts;
pub use undo::{undo_dry_run_view, undo_view};

#[cfg(test)]
mod tests;
