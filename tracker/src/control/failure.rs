//! Errors on their way to the caller.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::causes::causes;
use crate::journal::JournalError;

use super::api::{BadRequest, ErrorCode, ErrorEnvelope, ErrorView};
use super::node::NodeError;

/// An error answer.
#[derive(Debug)]
pub(super) struct Failure(pub(super) ErrorView);

impl Failure {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self(ErrorView { code, message: message.into(), remedy: None })
    }

    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.0.remedy = Some(remedy.into());
        self
    }

    fn status(&self) -> StatusCode {
        match self.0.code {
            ErrorCode::BadRequest => StatusCode::BAD_REQUEST,
            ErrorCode::Forbidden => StatusCode::FORBIDDEN,
            ErrorCode::NotFound => StatusCode::NOT_FOUND,
            ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            ErrorCode::Conflict | ErrorCode::Busy | ErrorCode::OwnerRuns => StatusCode::CONFLICT,
            ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        if self.0.code == ErrorCode::Internal {
            tracing::error!(message = %self.0.message, "a control request failed");
        }
        (self.status(), Json(ErrorEnvelope::of(self.0))).into_response()
    }
}

impl From<BadRequest> for Failure {
    fn from(BadRequest(message): BadRequest) -> Self {
        Self::new(ErrorCode::BadRequest, message)
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        Self::new(ErrorCode::Internal, causes(&error))
    }
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        let message = causes(&error);
        match error {
            NodeError::NoSuchChain { .. } | NodeError::NoSuchLegacyChain { .. } => {
                Self::new(ErrorCode::NotFound, message)
                    .remedy("name the family with --family; `nft list ruleset` shows every chain")
            }
            NodeError::NoSuchOperation { .. } => Self::new(ErrorCode::NotFound, message)
                .remedy("`netdeed log` lists operations; old archives are dropped"),
            NodeError::Conflict { .. } => {
                Self::new(ErrorCode::Conflict, message).remedy("nothing was changed; ask for a new plan")
            }
            NodeError::OwnerRuns { what: _, remedy } => {
                Self::new(ErrorCode::OwnerRuns, message).remedy(format!("{remedy}; --force goes on all the same"))
            }
            NodeError::Unavailable { what: _, remedy } => Self::new(ErrorCode::Unavailable, message).remedy(remedy),
            NodeError::Journal(_) | NodeError::Failed { .. } => Self::new(ErrorCode::Internal, message),
        }
    }
}
