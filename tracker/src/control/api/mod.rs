//! The documents of the control API: what the socket carries and what `-o json` prints.
//!
//! Every document travels in an [`Envelope`] that names the schema and the kind. Within one schema fields are only ever
//! added; a renamed or removed field is a new schema. `docs/api.md` describes them for people.

mod actor;
mod blame;
mod error;
mod log;
mod object;
mod plan;
mod request;
mod selection;
mod status;
mod swap;
mod time;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use actor::{ActorBrief, ActorView, CniView, ImageView};
pub use blame::{BlameDeed, BlameLine, BlameQuery, BlameView, Syntax};
pub use error::{ErrorCode, ErrorEnvelope, ErrorView};
pub use log::{ChangeEvent, EventDetail, EventView, GapList, GapView, LogView, OperationEvent};
pub use object::{
    BaseChainView, ChangeView, ContentView, DeedView, ObjectList, ObjectRow, ObjectView, OwnerList, OwnerSummary,
    UserView, WhoView,
};
pub use plan::{
    ExportView, KeptView, LeftOutView, OperationView, OthersView, OutcomeView, PlanView, ProgressView, RefusalView,
    RunningView, StepView,
};
pub use request::{BadRequest, FollowQuery, LogQuery, ObjectsQuery, WhoQuery};
pub use selection::{ExportFormat, PlanRequest, ResetRequest, UndoRequest};
pub use status::{
    BpfProgramView, JournalView, LossView, RuleCounts, SelfTestView, SetAsideView, SourceState, SourceView, StatusView,
    TrackerState,
};
pub use swap::{FindingView, SwapRequest, SwapView};
pub use time::{BadTime, TimeView};

/// Name of the schema all documents follow.
pub const SCHEMA: &str = "netdeed.v1";

/// A document that can travel alone.
pub trait Document: Serialize + DeserializeOwned {
    /// The word in the envelope's `kind`.
    const KIND: &'static str;
}

/// What every document is wrapped in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// [`SCHEMA`].
    pub schema: String,
    /// Which document `data` is.
    pub kind: String,
    /// The document.
    pub data: T,
}

impl<T: Document> Envelope<T> {
    /// Wraps a document.
    pub fn of(data: T) -> Self {
        Self { schema: SCHEMA.to_owned(), kind: T::KIND.to_owned(), data }
    }
}

macro_rules! documents {
    ($($view:ty => $kind:literal),+ $(,)?) => {
        $(impl Document for $view {
            const KIND: &'static str = $kind;
        })+
    };
}

documents!(
    StatusView => "status",
    ObjectList => "objects",
    OwnerList => "owners",
    ObjectView => "object",
    WhoView => "who",
    LogView => "log",
    EventView => "event",
    GapList => "gaps",
    BlameView => "blame",
    PlanView => "plan",
    SwapView => "swap",
    ProgressView => "progress",
    OperationView => "operation",
);
