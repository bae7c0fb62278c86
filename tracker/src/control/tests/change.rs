//! Plans and resets over the socket.

use crate::control::api::{ErrorCode, ObjectsQuery, PlanRequest, ResetRequest};
use crate::control::client::ClientError;
use crate::journal::Read;

use super::fixture::world;
use super::{setup, soon};

fn kubernetes() -> ResetRequest {
    ResetRequest::of(PlanRequest::of(world::owner("kubernetes")))
}

#[tokio::test]
async fn a_reset_reports_progress_and_ends_with_the_operation() {
    let setup = setup();
    let plan = setup.client.plan(&kubernetes().plan_request()).await.expect("plan");
    assert_eq!((plan.steps.len(), plan.refusals.len()), (4, 1));

    let request = ResetRequest { plan: Some(plan.fingerprint), ..kubernetes() };
    let mut seen = Vec::new();
    let operation = setup.client.reset(&request, |progress| seen.push(progress.done)).await.expect("reset");
    assert!(operation.is_done());
    assert_eq!((operation.done, operation.requested_by, operation.refusals.len()), (4, 0, 1));
    assert_eq!(seen, [1, 2, 3, 4]);

    let left = ObjectsQuery { owner: Some(world::owner("kubernetes")), ..Default::default() };
    let left = setup.client.objects(&left).await.expect("objects").objects;
    assert_eq!(left.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["address 10.244.0.1/24 dev cni0"]);
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let setup = setup();
    let before = setup.client.objects(&ObjectsQuery::default()).await.expect("objects");
    let request = ResetRequest { dry_run: true, ..kubernetes() };
    let operation = setup.client.reset(&request, |_| panic!("nothing is done")).await.expect("dry run");
    assert_eq!((operation.id, operation.planned, operation.done), (None, 4, 0));
    assert_eq!(setup.client.objects(&ObjectsQuery::default()).await.expect("objects"), before);
}

#[tokio::test]
async fn a_plan_that_is_no_longer_the_one_agreed_to_is_not_carried_out() {
    let setup = setup();
    let other = PlanRequest::of(world::owner("cni"));
    let fingerprint = setup.client.plan(&other).await.expect("plan").fingerprint;
    let request = ResetRequest { plan: Some(fingerprint), ..kubernetes() };
    let error = setup.client.reset(&request, |_| panic!("nothing is done")).await.expect_err("another plan");
    assert!(matches!(error, ClientError::Refused(view) if view.code == ErrorCode::Conflict));
}

#[tokio::test]
async fn one_reset_at_a_time_and_none_is_cut_short_by_a_caller_who_leaves() {
    let setup = setup();
    setup.node.may_finish.send_replace(false);
    let client = setup.client.clone();
    let (begun, wait) = tokio::sync::oneshot::channel();
    let mut begun = Some(begun);
    let first = tokio::spawn(async move {
        let told = |_| {
            let _ = begun.take().map(|begun| begun.send(()));
        };
        client.reset(&kubernetes(), told).await
    });
    soon(wait).await.expect("the first step was reported");
    let error = setup.client.reset(&kubernetes(), |_| ()).await.expect_err("one runs already");
    assert!(matches!(error, ClientError::Refused(view) if view.code == ErrorCode::Busy));

    first.abort();
    setup.node.may_finish.send_replace(true);
    let request = ObjectsQuery { owner: Some(world::owner("kubernetes")), ..Default::default() };
    soon(async {
        while setup.client.objects(&request).await.expect("objects").total > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_the_tracker_cannot_do_comes_with_a_remedy() {
    let setup = setup();
    let request = ResetRequest { owner: world::owner("docker"), ..kubernetes() };
    let error = setup.client.reset(&request, |_| ()).await.expect_err("docker runs");
    let ClientError::Refused(view) = error else { panic!("expected a refusal") };
    assert_eq!((view.code, view.remedy.as_deref()), (ErrorCode::Unavailable, Some("systemctl stop docker")));
}

#[tokio::test]
async fn a_stop_waits_for_a_reset_whose_caller_left_and_not_for_a_slow_caller() {
    use tokio::io::AsyncWriteExt;

    let setup = setup();
    let before = setup.node.memory.stats().expect("memory").live_objects;
    setup.node.may_finish.send_replace(false);
    let mut slow = tokio::net::UnixStream::connect(&setup.path).await.expect("connected");
    slow.write_all(b"POST /v1/reset HTTP/1.1\r\nHost: x\r\nContent-Le").await.expect("half a request");
    let client = setup.client.clone();
    let (begun, wait) = tokio::sync::oneshot::channel();
    let mut begun = Some(begun);
    let caller = tokio::spawn(async move {
        let told = |_| {
            let _ = begun.take().map(|begun| begun.send(()));
        };
        client.reset(&kubernetes(), told).await
    });
    soon(wait).await.expect("the first step was reported");
    caller.abort();
    setup.stop.send(()).expect("the server runs");
    let mut server = setup.server;
    let early = tokio::time::timeout(std::time::Duration::from_millis(200), &mut server).await;
    assert!(early.is_err(), "the reset is still under way");
    setup.node.may_finish.send_replace(true);
    soon(server).await.expect("no panic").expect("a clean end");
    let after = setup.node.memory.stats().expect("memory").live_objects;
    assert_eq!(after, before - 4, "the reset came to its end");
    drop(slow);
}
