//! Endpoints that read the state of things.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};

use crate::control::api::{ErrorCode, GapList, ObjectList, ObjectView, ObjectsQuery, OwnerList, StatusView};
use crate::control::failure::Failure;
use crate::control::server::Api;
use crate::model::ids::ObjectId;
use crate::query;

use super::{Answer, Asked, answer, understood};

/// `GET /v1/status`
pub(in crate::control) async fn status(State(api): State<Api>) -> Answer<StatusView> {
    api.blocking(|node| Ok(answer(node.status()))).await
}

/// `GET /v1/objects`
pub(in crate::control) async fn objects(State(api): State<Api>, asked: Asked<ObjectsQuery>) -> Answer<ObjectList> {
    let asked = understood(asked)?;
    let filter = asked.filter()?;
    api.blocking(move |node| Ok(answer(query::list(node.journal().as_ref(), &filter, asked.limit)?))).await
}

/// `GET /v1/owners`
pub(in crate::control) async fn owners(State(api): State<Api>, asked: Asked<ObjectsQuery>) -> Answer<OwnerList> {
    let filter = understood(asked)?.filter()?;
    api.blocking(move |node| Ok(answer(OwnerList { owners: query::owners(node.journal().as_ref(), &filter)? }))).await
}

/// `GET /v1/objects/{id}`
pub(in crate::control) async fn object(
    State(api): State<Api>,
    id: Result<Path<u64>, PathRejection>,
) -> Answer<ObjectView> {
    let Path(id) = id.map_err(|rejection| Failure::new(ErrorCode::BadRequest, rejection.body_text()))?;
    api.blocking(move |node| match query::object_by_id(node.journal().as_ref(), ObjectId(id))? {
        Some(object) => Ok(answer(object)),
        None => Err(Failure::new(ErrorCode::NotFound, format!("the journal holds no object {id}"))
            .remedy("objects that went away long ago are dropped; `netdeed ls --all` lists those it holds")),
    })
    .await
}

/// `GET /v1/gaps`
pub(in crate::control) async fn gaps(State(api): State<Api>) -> Answer<GapList> {
    api.blocking(|node| Ok(answer(GapList { gaps: query::gaps(node.journal().as_ref())? }))).await
}
