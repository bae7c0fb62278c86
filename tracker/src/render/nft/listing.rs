//! Whole tables as `nft -s list ruleset` lists them, with `-a` their handles too.

use super::super::ruleset::{Chain, Table};
use super::super::{Handles, Listing, Ruleset, Surroundings};
use super::value::word;
use super::{declaration, nft, object};
use crate::model::ids::Handle;
use crate::model::nft::{BaseChain, Family};

/// The text while it is written.
pub(super) struct Writer {
    pub(super) text: String,
    pub(super) is_exact: bool,
    handles: Handles,
}

impl Writer {
    /// Nothing yet; handles are not shown.
    pub(super) fn new() -> Self {
        Self { text: String::new(), is_exact: true, handles: Handles::Hidden }
    }

    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Puts in brackets what cannot be written nft's way.
    pub(super) fn mark(&mut self, what: &str) {
        self.is_exact = false;
        self.text.push('[');
        self.text.extend(what.escape_default());
        self.text.push(']');
    }

    /// A name, which nft writes as it is.
    pub(super) fn name(&mut self, name: &str) {
        match word(name.as_bytes()).filter(|word| word.len() == name.len()) {
            Some(name) => self.push(name),
            None => self.mark(name),
        }
    }

    /// `comment "..."` with what is before and after it.
    pub(super) fn comment(&mut self, before: &str, comment: Option<&str>, after: &str) {
        let Some(comment) = comment else { return };
        self.push(before);
        self.push("comment ");
        if super::value::quoted(&mut self.text, comment.as_bytes()).is_none() {
            self.mark(comment);
        }
        self.push(after);
    }

    /// ` # handle 5`, where handles are shown.
    pub(super) fn handle(&mut self, handle: Handle) {
        if self.handles == Handles::Shown {
            self.push(&format!(" # handle {handle}"));
        }
    }
}

/// The text of userdata of a kind: a run of type (1 byte), length (1 byte), value.
pub(super) fn userdata(mut bytes: &[u8], wanted: u8) -> Option<&[u8]> {
    while let [kind, length, rest @ ..] = bytes {
        let (value, rest) = rest.split_at_checked(usize::from(*length))?;
        if *kind == wanted {
            return Some(value);
        }
        bytes = rest;
    }
    None
}

/// The comment in userdata, which of tables, chains and objects is kind 0.
pub(super) fn comment_of(bytes: &[u8], kind: u8) -> Option<String> {
    userdata(bytes, kind).map(|value| crate::decode::nft::attribute::string(value).into_owned())
}

/// All tables in their order, as `nft -s list ruleset` 1.0.6 prints them; with `-a` where handles are shown.
///
/// Tables of iptables-nft are listed in nft's words too, where they have xt matches or targets in brackets: their own
/// form is [`super::super::iptables_save`].
pub fn nft_ruleset(ruleset: &Ruleset<'_>, handles: Handles, outside: &dyn Surroundings) -> Listing {
    let mut writer = Writer { text: String::new(), is_exact: true, handles };
    for table in ruleset.tables() {
        push_table(&mut writer, table, outside);
    }
    Listing { text: writer.text, is_exact: writer.is_exact }
}

/// One table, as `nft -s list table` 1.0.6 prints it; with `-a` where handles are shown.
pub fn nft_table(table: &Table<'_>, handles: Handles, outside: &dyn Surroundings) -> Listing {
    let mut writer = Writer { text: String::new(), is_exact: true, handles };
    push_table(&mut writer, table, outside);
    Listing { text: writer.text, is_exact: writer.is_exact }
}

fn push_table(writer: &mut Writer, table: &Table<'_>, outside: &dyn Surroundings) {
    let surroundings = table.surroundings(outside);
    let mut is_first = head(writer, table);
    let mut separate = |writer: &mut Writer| {
        if !std::mem::take(&mut is_first) {
            writer.push("\n");
        }
    };
    for (kind, name, content) in &table.objects {
        separate(writer);
        object::push_object(writer, *kind, name.as_str(), content);
    }
    for (name, content) in table.sets.iter().filter(|(_, content)| !content.set.is_anonymous()) {
        separate(writer);
        declaration::push_set(writer, table.table.family, name.as_str(), content, &surroundings);
    }
    for (name, content) in &table.flowtables {
        separate(writer);
        object::push_flowtable(writer, name.as_str(), content);
    }
    for chain in &table.chains {
        separate(writer);
        push_chain(writer, table.table.family, chain, &surroundings);
    }
    writer.push("}\n");
}

/// The lines before the first object; whether nothing but the first of them was needed.
fn head(writer: &mut Writer, table: &Table<'_>) -> bool {
    writer.push(&format!("table {} ", table.table.family));
    writer.name(table.table.name.as_str());
    writer.push(" {");
    let Some(snapshot) = table.snapshot else {
        writer.push(" ");
        writer.mark("table");
        writer.push("\n");
        return true;
    };
    writer.handle(snapshot.handle);
    if snapshot.is_locked_by_its_owner() {
        // nft writes the name of the program that owns the socket now
        writer.push(" ");
        writer.mark("owner");
    }
    writer.push("\n");
    if snapshot.flags != 0 {
        writer.push("\tflags ");
        let words = [(1, "dormant"), (2, "owner")];
        let words: Vec<&str> =
            words.into_iter().filter(|(bit, _)| snapshot.flags & bit != 0).map(|(_, word)| word).collect();
        writer.push(&words.join(","));
        if snapshot.flags & !3 != 0 {
            writer.mark(&format!("{:#x}", snapshot.flags & !3));
        }
        writer.push("\n");
    }
    writer.comment("\t", comment_of(&snapshot.userdata, 0).as_deref(), "\n");
    snapshot.flags == 0
}

/// `NFT_CHAIN_HW_OFFLOAD`, `NFT_CHAIN_BINDING`.
const OFFLOAD: u32 = 2;
const BINDING: u32 = 4;

fn push_chain(writer: &mut Writer, family: Family, chain: &Chain<'_>, surroundings: &dyn Surroundings) {
    writer.push("\tchain ");
    writer.name(chain.name);
    writer.push(" {");
    match chain.snapshot {
        Some(snapshot) => {
            writer.handle(snapshot.handle);
            if snapshot.flags & BINDING != 0 {
                // nft writes it in the rule that jumps to it
                writer.push(" ");
                writer.mark("part of a rule");
            }
            writer.comment("\n\t\t", comment_of(&snapshot.userdata, 0).as_deref(), "");
            writer.push("\n");
            if let Some(base) = &snapshot.base {
                push_base(writer, family, base);
                writer.push(if snapshot.flags & OFFLOAD != 0 { " flags offload;\n" } else { "\n" });
            }
        }
        None => {
            writer.push(" ");
            writer.mark("chain");
            writer.push("\n");
        }
    }
    for (handle, rule) in &chain.rules {
        let line = nft(family, rule, surroundings);
        writer.is_exact &= line.is_exact;
        writer.push("\t\t");
        writer.push(&line.text);
        writer.handle(*handle);
        writer.push("\n");
    }
    writer.push("\t}\n");
}

pub(super) fn push_base(writer: &mut Writer, family: Family, base: &BaseChain) {
    let BaseChain { kind, hook, priority, policy, device } = base;
    writer.push("\t\ttype ");
    writer.name(kind);
    writer.push(" hook ");
    match hook_name(family, *hook) {
        Some(name) => writer.push(name),
        None => writer.mark(&format!("hook {hook}")),
    }
    match device.as_deref() {
        None => {}
        // names of links may have almost anything in them
        Some(devices) if devices.contains(|character: char| character.is_control() || character == '"') => {
            writer.push(" device ");
            writer.mark(devices);
        }
        Some(devices) if devices.contains(", ") => {
            writer.push(" devices = { ");
            writer.push(devices);
            writer.push(" }");
        }
        Some(device) => writer.push(&format!(" device \"{device}\"")),
    }
    writer.push(&format!(" priority {}; policy ", priority_text(family, *hook, *priority)));
    match policy {
        0 => writer.push("drop"),
        1 => writer.push("accept"),
        other => writer.mark(&format!("policy {other}")),
    }
    writer.push(";");
}

/// nft's word for a hook number of a family.
pub fn hook_name(family: Family, hook: u32) -> Option<&'static str> {
    const INET: [&str; 6] = ["prerouting", "input", "forward", "output", "postrouting", "ingress"];
    let names: &[&str] = match family {
        Family::Inet => &INET,
        Family::Ip | Family::Ip6 | Family::Bridge => &INET[..5],
        Family::Arp => &["input", "output", "forward"],
        Family::Netdev => &["ingress", "egress"],
    };
    names.get(usize::try_from(hook).ok()?).copied()
}

/// A priority as the nearest name with an offset, where a name is at most 10 away and used at that hook.
pub(super) fn priority_text(family: Family, hook: u32, priority: i32) -> String {
    const PREROUTING: u32 = 0;
    const OUTPUT: u32 = 3;
    const POSTROUTING: u32 = 4;
    let names: &[(i32, &str)] = match family {
        Family::Bridge => &[(-300, "dstnat"), (-200, "filter"), (100, "out"), (300, "srcnat")],
        _ => &[(-300, "raw"), (-150, "mangle"), (-100, "dstnat"), (0, "filter"), (50, "security"), (100, "srcnat")],
    };
    let Some((from, name)) = names.iter().find(|(from, _)| priority.abs_diff(*from) <= 10) else {
        return priority.to_string();
    };
    let is_used = match (family, *name) {
        (_, "filter") => true,
        (Family::Arp | Family::Netdev, _) => false,
        (_, "dstnat") => hook == PREROUTING,
        (_, "srcnat") => hook == POSTROUTING,
        (_, "out") => hook == OUTPUT,
        _ => true,
    };
    match priority - from {
        _ if !is_used => priority.to_string(),
        0 => (*name).to_owned(),
        offset if offset > 0 => format!("{name} + {offset}"),
        offset => format!("{name} - {}", -offset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_near_a_name_have_it() {
        let text = |family, hook, priority| priority_text(family, hook, priority);
        assert_eq!(text(Family::Ip, 1, 0), "filter");
        assert_eq!(text(Family::Ip, 1, -5), "filter - 5");
        assert_eq!(text(Family::Inet, 0, -90), "dstnat + 10");
        assert_eq!(text(Family::Inet, 3, -100), "-100");
        assert_eq!(text(Family::Bridge, 2, -200), "filter");
        assert_eq!(text(Family::Bridge, 3, 100), "out");
        assert_eq!(text(Family::Arp, 0, -150), "-150");
        assert_eq!(text(Family::Ip, 0, i32::MIN), i32::MIN.to_string());
    }
}
