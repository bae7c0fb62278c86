//! What the kernel says about the peer counts, and curl is a client like any other.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::control::api::{ErrorCode, ErrorEnvelope};
use crate::journal::Read;

use super::{Setup, setup};

const NOBODY: u32 = 65_534;

/// Asks with curl as some user; answers with HTTP status and body.
async fn curl(path: &Path, uid: u32, arguments: &[&str]) -> (u16, String) {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "10", "--write-out", "\n%{http_code}", "--unix-socket"]);
    command.arg(path).args(arguments).uid(uid).gid(uid);
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("curl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let (body, status) = text.rsplit_once('\n').expect("curl writes the status last");
    (status.parse().expect("a number"), body.to_owned())
}

/// Lets anybody connect, as membership in the group would.
fn open_to_everybody(setup: &Setup) {
    let directory = setup.path.parent().expect("parent");
    set_permissions(directory, Permissions::from_mode(0o755)).expect("mode");
    set_permissions(&setup.path, Permissions::from_mode(0o666)).expect("mode");
}

fn error(body: &str) -> ErrorEnvelope {
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn another_user_may_read_and_plan_but_not_reset() {
    let setup = setup();
    open_to_everybody(&setup);
    let body = r#"{"owner":"kubernetes"}"#;
    assert_eq!(curl(&setup.path, NOBODY, &["http://netdeed/v1/status"]).await.0, 200);
    assert_eq!(curl(&setup.path, NOBODY, &["--data", body, "http://netdeed/v1/plan"]).await.0, 200);

    let before = setup.node.memory.stats().expect("memory").entries;
    let (status, answer) = curl(&setup.path, NOBODY, &["--data", body, "http://netdeed/v1/reset"]).await;
    assert_eq!((status, error(&answer).error.code), (403, ErrorCode::Forbidden));
    assert_eq!(error(&answer).error.remedy.as_deref(), Some("run it with sudo"));
    assert_eq!(setup.node.memory.stats().expect("memory").entries, before, "nothing was done");

    let (status, answer) = curl(&setup.path, 0, &["--data", body, "http://netdeed/v1/reset"]).await;
    let last = answer.lines().last().unwrap_or_default();
    assert_eq!(status, 200);
    assert!(last.starts_with(r#"{"schema":"netdeed.v1","kind":"operation","data":{"id":1,"#), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_is_json_with_its_status() {
    let setup = setup();
    for (arguments, status, part) in [
        (&["http://netdeed/v2/status"][..], 404, "there is no endpoint `/v2/status`"),
        (&["--data", "{}", "http://netdeed/v1/status"], 405, "`/v1/status` does not answer POST"),
        (&["http://netdeed/v1/objects?ownr=docker"], 400, "unknown field `ownr`"),
        (&["http://netdeed/v1/objects?owner=/"], 400, "expected an owner path"),
        (&["http://netdeed/v1/objects?certainty=sure"], 400, "unknown variant `sure`"),
        (&["http://netdeed/v1/objects/three"], 400, "three"),
        (&["http://netdeed/v1/log?since=yesterday"], 400, "expected a time"),
        (&["http://netdeed/v1/who?class=rule&table=filter&chain=FORWARD&position=0"], 400, "counted from 1"),
        (&["http://netdeed/v1/who?class=route&destination=10.0.0.0/33"], 400, "expected a destination"),
        (&["http://netdeed/v1/who?class=dir&path=etc"], 400, "expected an absolute path"),
        (&["--data", "{\"owner\":", "http://netdeed/v1/plan"], 400, "the request body is not understood"),
        (&["--data", "{\"owner\":\"cni\",\"dryrun\":true}", "http://netdeed/v1/reset"], 400, "unknown field `dryrun`"),
        (&["http://netdeed/v1/who?class=rule&table=nat&chain=X&position=1"], 404, "no chain `X` in table `ip nat`"),
    ] {
        let (found, body) = curl(&setup.path, 0, arguments).await;
        assert_eq!(found, status, "{arguments:?}: {body}");
        assert!(error(&body).error.message.contains(part), "{arguments:?}: {body}");
    }
}
