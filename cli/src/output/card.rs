//! Objects in full, a card each.

use std::io::{self, Write};

use netdeed_tracker::control::api::{
    ActorBrief, ActorView, ChangeView, CniView, DeedView, ImageView, ObjectView, UserView, WhoView,
};
use netdeed_tracker::model::change::ChangeKind;
use netdeed_tracker::model::owner::Owner;
use netdeed_tracker::model::subject::Class;

use super::Output;
use super::style::Paint;
use super::text::{counted, printable, write_hanging};
use super::time::{format_plain, format_time_ago};

/// Columns before a card's values.
const INDENT: usize = 12;

/// Writes the answer to `who`.
pub(crate) fn write_who(output: &Output, out: &mut dyn Write, who: &WhoView) -> io::Result<()> {
    if who.objects.iter().all(|object| !object.live) {
        writeln!(out, "there is no {} now; this went away:\n", printable(&who.asked))?;
    }
    for (index, object) in who.objects.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        Card { output, out }.object(object)?;
    }
    Ok(())
}

struct Card<'a> {
    output: &'a Output,
    out: &'a mut dyn Write,
}

impl Card<'_> {
    fn object(&mut self, object: &ObjectView) -> io::Result<()> {
        self.title(object)?;
        if !object.text.is_empty() {
            let label = if object.class == Class::Rule { "text" } else { "content" };
            self.field(label, &object.text)?;
        }
        let style = self.output.style;
        let owner = printable(object.owner.as_str()).into_owned();
        let certainty = style.certainty(object.certainty);
        self.line("owner", &format!("{}   certainty {certainty}", style.paint(Paint::Title, &owner)))?;
        let is_found = object.history.first().is_some_and(|change| change.change == ChangeKind::Found);
        self.when(if is_found { "found" } else { "created" }, &object.created, "")?;
        match &object.created.actor {
            Some(actor) => self.actor(actor)?,
            None => self.field("by", nobody(&object.created))?,
        }
        self.evidence(object.created.evidence.iter())?;
        let others = [("changed", &object.changed), ("rewritten", &object.rewritten), ("removed", &object.removed)];
        for (label, deed) in others {
            if let Some(deed) = deed {
                self.later(label, deed, &object.created)?;
            }
        }
        self.users(object)?;
        self.history(object)?;
        self.field("object", &object.id.to_string())
    }

    fn title(&mut self, object: &ObjectView) -> io::Result<()> {
        let mut title = printable(&object.name).into_owned();
        if let Some(position) = object.position {
            title.push_str(&format!(" (position {position})"));
        }
        let removed = if object.live { "" } else { " [removed]" };
        let style = self.output.style;
        writeln!(self.out, "{}{}", style.paint(Paint::Title, &title), style.paint(Paint::Doubt, removed))
    }

    /// A label and text that may be long and may be hostile.
    fn field(&mut self, label: &str, value: &str) -> io::Result<()> {
        let prefix = self.label(label);
        write_hanging(self.out, &prefix, INDENT, value, self.output.width)
    }

    /// A label and a line that is shown as it is.
    fn line(&mut self, label: &str, value: &str) -> io::Result<()> {
        let prefix = self.label(label);
        writeln!(self.out, "{prefix}{value}")
    }

    fn label(&self, label: &str) -> String {
        let padding = " ".repeat(INDENT.saturating_sub(2 + label.len()));
        format!("  {}{padding}", self.output.style.paint(Paint::Label, label))
    }

    fn optional(&mut self, label: &str, value: Option<&str>) -> io::Result<()> {
        value.map_or(Ok(()), |value| self.field(label, value))
    }

    fn when(&mut self, label: &str, deed: &DeedView, verdict: &str) -> io::Result<()> {
        let generation = deed.generation.map(|generation| format!(", generation {generation}")).unwrap_or_default();
        let operation = deed.operation.map(|operation| format!(", operation {operation}")).unwrap_or_default();
        self.field(label, &format!("{}{generation}{operation}{verdict}", format_time_ago(deed.time)))
    }

    /// What was done to the object after it was made.
    fn later(&mut self, label: &str, deed: &DeedView, created: &DeedView) -> io::Result<()> {
        self.when(label, deed, &format!(", attributed to {} ({})", deed.owner, deed.certainty))?;
        match &deed.actor {
            Some(actor) if Some(actor) == created.actor.as_ref() => self.field("by", "the same process")?,
            Some(actor) => self.actor(actor)?,
            None => self.field("by", nobody(deed))?,
        }
        self.evidence(deed.evidence.iter().filter(|evidence| !created.evidence.contains(evidence)))
    }

    fn actor(&mut self, actor: &ActorView) -> io::Result<()> {
        let image = &actor.image;
        self.field("by", &command(image))?;
        self.field("lineage", &lineage(&actor.lineage, actor.lineage_truncated))?;
        // an ancestor is placed when the acting program itself is not, as with a CNI plugin
        self.optional("pod", image.pod.as_deref())?;
        if image.pod.is_none() {
            self.optional("pod uid", image.pod_uid.as_deref())?;
        }
        self.optional("container", image.container.as_deref())?;
        self.optional("unit", image.unit.as_deref())?;
        self.optional("session", image.session.as_deref())?;
        let cni = std::iter::once(image).chain(&actor.ancestry).find_map(|image| image.cni.as_ref());
        if let Some(CniView { command, container, netns: _, ifname, pod, pod_uid: _ }) = cni {
            let pod = pod.as_ref().map(|pod| format!(" for pod {pod}")).unwrap_or_default();
            self.field("cni", &format!("{command}{pod}, container {container}, link {ifname}"))?;
        }
        Ok(())
    }

    fn evidence<'e>(&mut self, evidence: impl Iterator<Item = &'e String>) -> io::Result<()> {
        for (index, evidence) in evidence.enumerate() {
            self.field(if index == 0 { "evidence" } else { "" }, &format!("- {evidence}"))?;
        }
        Ok(())
    }

    /// The rules that use a set.
    fn users(&mut self, object: &ObjectView) -> io::Result<()> {
        for (index, user) in object.users.iter().enumerate() {
            let UserView { id: _, name, owner, certainty: _, text } = user;
            let text = if text.is_empty() { String::new() } else { format!(": {text}") };
            self.field(if index == 0 { "used by" } else { "" }, &format!("- {name} ({owner}){text}"))?;
        }
        let left_out = object.users_total.saturating_sub(object.users.len() as u64);
        if left_out > 0 { self.field("", &format!("- and {left_out} more")) } else { Ok(()) }
    }

    /// Left out when it says nothing that was not said above.
    fn history(&mut self, object: &ObjectView) -> io::Result<()> {
        if object.history_total <= 1 {
            return Ok(());
        }
        let left_out = object.history_total.saturating_sub(object.history.len() as u64);
        for (index, change) in object.history.iter().enumerate() {
            if index == 1 && left_out > 0 {
                self.field("", &format!("... {} in between ...", counted(left_out, "change", "changes")))?;
            }
            self.field(if index == 0 { "history" } else { "" }, &history_line(change))?;
        }
        Ok(())
    }
}

/// What to say where no actor was recorded.
fn nobody(deed: &DeedView) -> &'static str {
    if deed.owner == Owner::kernel() { "the kernel itself" } else { "nobody was seen doing it" }
}

fn history_line(change: &ChangeView) -> String {
    let ChangeView { seq: _, change, time, generation: _, owner, certainty: _, actor } = change;
    let by = actor.as_ref().map_or_else(|| "-".to_owned(), brief);
    format!("{} {change:<9} {by}  {owner}", format_plain(*time))
}

/// `iptables-nft-restore[4711]`.
pub(super) fn brief(actor: &ActorBrief) -> String {
    format!("{}[{}]", actor.program, actor.tgid)
}

/// `iptables-nft-restore[4711] --noflush  uid 0`.
fn command(image: &ImageView) -> String {
    let mut text = format!("{}[{}]", image.program, image.tgid);
    for argument in image.argv.iter().skip(1) {
        text.push(' ');
        text.push_str(&quoted(argument));
    }
    if image.argv_truncated {
        text.push_str(" ...");
    }
    text.push_str(&format!("  uid {}", image.uid));
    if let Some(login) = image.login_uid {
        text.push_str(&format!(" login uid {login}"));
    }
    if let Some(session) = image.audit_session {
        text.push_str(&format!(" session {session}"));
    }
    if let Some(tty) = &image.tty {
        text.push_str(&format!(" on {tty}"));
    }
    // client's address and port, then the server's
    if let Some(client) = image.ssh.as_deref().and_then(|ssh| ssh.split(' ').next()) {
        text.push_str(&format!(" by ssh from {}", quoted(client)));
    }
    text
}

/// An argument as a shell would need it.
fn quoted(argument: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+@%".contains(c);
    if !argument.is_empty() && argument.chars().all(is_plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', r"'\''"))
}

/// `iptables-nft-restore ← kube-proxy ← systemd`, with a question mark where it breaks off.
fn lineage(programs: &[String], is_truncated: bool) -> String {
    let mut text = programs.join(" ← ");
    if is_truncated {
        text.push_str(" ← ?");
    }
    text
}
