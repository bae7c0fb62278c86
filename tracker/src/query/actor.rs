//! Actors as documents.

use std::collections::HashMap;

use crate::control::api::{ActorBrief, ActorView, CniView, ImageView};
use crate::journal::{JournalError, Read};
use crate::model::ids::ActorId;
use crate::model::process::{Actor, CniCall, Image, Placement, Seat};

use super::texts::Texts;

/// Looks actors up in short form, each once: thousands of objects share one. And what rules refer to, for their text.
pub struct Actors<'a> {
    journal: &'a dyn Read,
    known: HashMap<ActorId, Option<ActorBrief>>,
    pub(super) texts: Texts<'a>,
}

impl<'a> Actors<'a> {
    /// Starts with an empty cache.
    pub fn new(journal: &'a dyn Read) -> Self {
        Self { journal, known: HashMap::new(), texts: Texts::new(journal) }
    }

    /// The journal it reads.
    pub(super) fn journal(&self) -> &'a dyn Read {
        self.journal
    }

    /// One actor; `None` when nobody was seen acting, or the journal no longer holds the actor.
    ///
    /// # Errors
    /// [`JournalError`] when the journal cannot be read.
    pub fn brief(&mut self, id: Option<ActorId>) -> Result<Option<ActorBrief>, JournalError> {
        let Some(id) = id else { return Ok(None) };
        if let Some(known) = self.known.get(&id) {
            return Ok(known.clone());
        }
        let brief = self.journal.actor(id)?.map(|actor| actor_brief(id, &actor));
        self.known.insert(id, brief.clone());
        Ok(brief)
    }
}

fn lineage(actor: &Actor) -> Vec<String> {
    actor.lineage().map(|image| image.program().to_owned()).collect()
}

fn actor_brief(id: ActorId, actor: &Actor) -> ActorBrief {
    ActorBrief {
        id,
        program: actor.image.program().to_owned(),
        tgid: actor.image.id.process.tgid,
        uid: actor.image.uid,
        lineage: lineage(actor),
        lineage_truncated: actor.is_truncated,
    }
}

/// An actor with everything recorded.
pub fn actor_view(id: ActorId, actor: &Actor) -> ActorView {
    ActorView {
        id,
        image: image_view(&actor.image),
        lineage: lineage(actor),
        lineage_truncated: actor.is_truncated,
        ancestry: actor.ancestry.iter().map(image_view).collect(),
    }
}

fn image_view(image: &Image) -> ImageView {
    let Image { id, parent: _, exe, comm, argv, argv_truncated, uid, login_uid, netns, seat, placement, cni, source } =
        image;
    let Seat { tty, audit_session, ssh, inner_tgid, netns_cookie } = seat;
    let Placement { cgroup, container, runtime, pod_uid, pod, unit, session } = placement;
    ImageView {
        program: image.program().to_owned(),
        exe: exe.clone(),
        comm: comm.clone(),
        argv: argv.clone(),
        argv_truncated: *argv_truncated,
        tgid: id.process.tgid,
        start_boottime_ns: id.process.start.0,
        uid: *uid,
        login_uid: *login_uid,
        netns: *netns,
        netns_cookie: *netns_cookie,
        inner_tgid: *inner_tgid,
        tty: tty.clone(),
        audit_session: *audit_session,
        ssh: ssh.clone(),
        unit: unit.clone(),
        session: session.clone(),
        cgroup: cgroup.clone(),
        container: container.clone(),
        runtime: runtime.clone(),
        pod: pod.as_ref().map(ToString::to_string),
        pod_uid: pod_uid.clone(),
        cni: cni.as_ref().map(cni_view),
        source: *source,
    }
}

fn cni_view(call: &CniCall) -> CniView {
    let CniCall { command, container, netns, ifname, pod, pod_uid } = call;
    CniView {
        command: command.clone(),
        container: container.clone(),
        netns: netns.clone(),
        ifname: ifname.clone(),
        pod: pod.as_ref().map(ToString::to_string),
        pod_uid: pod_uid.clone(),
    }
}
