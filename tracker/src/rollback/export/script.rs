//! The whole plan as a shell script.

use std::fmt::Write as _;

use super::iptables::Restore;
use super::net::Words;
use super::{Export, LeftOut, Names, iptables, json, legacy, net, traffic};
use crate::model::legacy::LegacyFamily;
use crate::model::mount::{MountSnapshot, MountSubject};
use crate::model::nft::Family;
use crate::model::path::{AbsPath, PathSnapshot};
use crate::model::subject::{Snapshot, Subject};
use crate::model::sysctl::{SysctlName, SysctlSnapshot};
use crate::rollback::live::LiveState;
use crate::rollback::plan::Plan;
use crate::rollback::step::{Action, Step};

/// What the steps call. A step that fails does not keep the others from being tried, as in a reset.
const FUNCTIONS: &str = r#"
failed=0
try() {
  "$@" && return 0
  failed=$((failed + 1))
  echo "failed: $*" >&2
}
# number name
delete_link() {
  case "$(ip -o link show dev "$2" 2>/dev/null)" in
    "") ;;
    "$1: "*) ip link delete dev "$2" ;;
    *) echo "$2 is another link now" >&2; return 1 ;;
  esac
}
# command format identity path
remove() {
  [ -e "$4" ] || [ -L "$4" ] || return 0
  [ "$(stat -c "$2" -- "$4")" = "$3" ] || { echo "$4 is another file now" >&2; return 1; }
  "$1" -- "$4"
}
# "number device root mount-point", as mountinfo has them; what may be in it: any or nothing; path
unmount() {
  number=${1%% *}
  found=
  while read -r id parent device root point rest; do
    [ "$id $device $root $point" != "$1" ] || found=1
    [ "$parent" != "$number" ] || [ "$id" = "$number" ] || { echo "something is mounted on $3" >&2; return 1; }
  done < /proc/self/mountinfo
  [ -n "$found" ] || return 0
  [ "$2" = any ] || [ -z "$(ls -A -- "$3")" ] || { echo "$3 is not empty" >&2; return 1; }
  umount -- "$3"
}
# path expected value
set_sysctl() {
  [ "$(cat "/proc/sys/$1")" = "$2" ] || { echo "$1 has another value now" >&2; return 1; }
  printf '%s\n' "$3" > "/proc/sys/$1"
}
"#;

/// All steps. What of iptables' tables `iptables-restore` has words for goes by it, all else of nf_tables by `nft`.
pub(super) fn export(plan: &Plan, live: &LiveState) -> Export {
    let names = Names::of(live);
    let nft: Vec<&Step> = plan.steps().iter().filter(|step| step.action().is_nft()).collect();
    let restore = iptables::restore(&nft, live, &names);
    let rest: Vec<&Step> = nft.into_iter().filter(|step| !restore.steps.contains(step.subject())).collect();
    let json::Commands { commands, mut left_out } = json::commands(&rest, live);
    let mut others = String::new();
    let (legacy, refused) = legacy::tables(plan, live, &names);
    left_out.extend(refused.into_iter().map(|(step, reason)| LeftOut::new(step, reason)));
    let is_other = |step: &&Step| !step.action().is_nft() && !step.action().is_legacy();
    for step in plan.steps().iter().filter(is_other) {
        match command(step, plan, live, &names) {
            Ok(words) => {
                let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
                // writing to a string cannot fail
                let _ = writeln!(others, "try {}", words.join(" "));
            }
            Err(reason) => left_out.push(LeftOut::new(step, reason)),
        }
    }
    let mut text = head(plan, &left_out);
    push_restore(&mut text, &restore);
    if !commands.is_empty() {
        text.push_str("\n# one transaction\n");
        let _ = writeln!(text, "nft -j -f - <<'END' || exit 1\n{}END", json::document(&commands, &[]));
    }
    push_legacy(&mut text, &legacy);
    if !others.is_empty() {
        text.push('\n');
        text.push_str(&others);
    }
    text.push_str("\n[ \"$failed\" -eq 0 ] || { echo \"$failed steps failed\" >&2; exit 1; }\n");
    if !left_out.is_empty() {
        let _ = writeln!(text, "echo '{} steps of the plan are not in this script' >&2; exit 3", left_out.len());
    }
    Export { text, left_out }
}

fn head(plan: &Plan, left_out: &[LeftOut]) -> String {
    let mut text = format!(
        "#!/bin/sh\n\
         # {} steps, made by `netdeed plan` for ruleset {} of nf_tables.\n\
         # What it removes is not archived, so no undo brings it back; `netdeed apply` does the same with an archive.\n\
         # If anybody changed something since, plan again: some of it is noticed below, not all.\n",
        plan.steps().len() - left_out.len(),
        plan.generation(),
    );
    if !left_out.is_empty() {
        let _ = writeln!(text, "#\n# NOT IN THIS SCRIPT, {} steps:", left_out.len());
    }
    for LeftOut { what, reason } in left_out {
        let _ = writeln!(text, "#   {}: {reason}", what.replace(char::is_control, "?"));
    }
    text.push_str("set -u\n");
    text.push_str(FUNCTIONS);
    text
}

fn push_restore(text: &mut String, restore: &Restore<'_>) {
    for (family, file) in &restore.files {
        let program = if *family == Family::Ip6 { "ip6tables-nft-restore" } else { "iptables-nft-restore" };
        let _ = writeln!(text, "\n# one transaction for each table\n{program} --noflush <<'END' || exit 1\n{file}END");
    }
}

/// A table of legacy xtables is replaced as a whole, whoever does it.
fn push_legacy(text: &mut String, tables: &[legacy::Table]) {
    for (table, lines) in tables {
        let program =
            if table.family == LegacyFamily::Ip6 { "ip6tables-legacy-restore" } else { "iptables-legacy-restore" };
        let lines = lines.join("\n");
        let _ = writeln!(text, "\ntry {program} --noflush <<'END'\n*{}\n{lines}\nCOMMIT\nEND", table.name);
    }
}

fn command(step: &Step, plan: &Plan, live: &LiveState, names: &Names) -> Result<Words, &'static str> {
    let words = match (step.action(), step.subject(), step.snapshot()) {
        (Action::DeleteQdisc, Subject::Qdisc(qdisc), Snapshot::Traffic(content)) => {
            traffic::qdisc(qdisc, content, names)?
        }
        (Action::DeleteTrafficClass, Subject::TrafficClass(class), _) => traffic::class(class, names)?,
        (Action::DeleteFilter, Subject::Filter(filter), Snapshot::Traffic(content)) => {
            traffic::filter(filter, content, traffic::is_last(step, plan, live), names)?
        }
        (Action::DeleteNeighbour, Subject::Neighbour(neighbour), _) => traffic::neighbour(neighbour, names)?,
        (Action::DeleteIpRule, Subject::IpRule(rule), Snapshot::IpRule(content)) => net::ip_rule(rule, content)?,
        (Action::DeleteRoute, Subject::Route(route), Snapshot::Route(content)) => net::route(route, content, names)?,
        (Action::DeleteAddress, Subject::Address(address), Snapshot::Address(content)) => {
            net::address(address, content, names)?
        }
        (Action::DeleteLink, Subject::Link(ifindex), Snapshot::Link(link)) => {
            vec!["delete_link".to_owned(), ifindex.to_string(), link.name.to_string()]
        }
        (Action::DeleteMember | Action::DestroyIpSet { .. }, Subject::IpSet(set), _) => net::ip_set(set),
        (Action::DeleteDestination | Action::DeleteService, Subject::Ipvs(ipvs), _) => net::ipvs(ipvs)?,
        (Action::RestoreSysctl, Subject::Sysctl(name), Snapshot::Sysctl(content)) => sysctl(name, content)?,
        (Action::Unmount { loses }, Subject::Mount(mount), Snapshot::Mount(content)) => unmount(mount, content, loses)?,
        (Action::RemoveFile, Subject::Path(path), Snapshot::Path(content)) => remove("rm", path, content)?,
        (Action::RemoveDir, Subject::Path(path), Snapshot::Path(content)) => remove("rmdir", path, content)?,
        _ => return Err("the script has no words for it"),
    };
    // the shell passes on no NUL, which no name has, and every other byte
    Ok(words)
}

fn sysctl(name: &SysctlName, content: &SysctlSnapshot) -> Result<Words, &'static str> {
    let before = content.before.clone().ok_or("the value it had before is not known")?;
    Ok(vec!["set_sysctl".to_owned(), name.path().to_owned(), content.value.clone(), before])
}

/// By number and what is mounted. What is lost with a filesystem in memory was told where the plan was made.
fn unmount(mount: &MountSubject, content: &MountSnapshot, loses: Option<usize>) -> Result<Words, &'static str> {
    let MountSnapshot { dev, root, .. } = content;
    let name = mount.path.as_path().to_str().ok_or("its name is no UTF-8")?;
    if loses.is_some_and(|loses| loses > 0) {
        return Err("what is in it would be lost; netdeed compares it with the plan before");
    }
    let (major, minor) = (rustix::fs::major(*dev), rustix::fs::minor(*dev));
    let line = format!("{} {major}:{minor} {} {}", mount.id, escaped(root), escaped(name));
    let content = if loses.is_some() { "nothing" } else { "any" };
    Ok(["unmount", &line, content, name].map(str::to_owned).to_vec())
}

/// As `mountinfo` writes it.
fn escaped(text: &str) -> String {
    let escape = |c: char| match c {
        ' ' | '\t' | '\n' | '\\' | '#' => format!("\\{:03o}", u32::from(c)),
        c => c.to_string(),
    };
    text.chars().map(escape).collect()
}

/// By inode; of a file also by size and time.
fn remove(program: &str, path: &AbsPath, content: &PathSnapshot) -> Result<Words, &'static str> {
    let PathSnapshot { inode, size, modified, .. } = content;
    let name = path.as_path().to_str().ok_or("its name is no UTF-8")?;
    let (format, identity) = match modified {
        None => ("%d:%i".to_owned(), format!("{}:{}", inode.dev, inode.ino)),
        Some(time) => {
            let (seconds, rest) = (time.0.div_euclid(1_000_000_000), time.0.rem_euclid(1_000_000_000));
            ("%d:%i:%s:%.9Y".to_owned(), format!("{}:{}:{size}:{seconds}.{rest:09}", inode.dev, inode.ino))
        }
    };
    Ok(vec!["remove".to_owned(), program.to_owned(), format, identity, name.to_owned()])
}

/// A word as the shell reads it back.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,%@=+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_the_shell_would_read_them() {
        assert_eq!(quoted("10.0.0.0/8"), "10.0.0.0/8");
        assert_eq!(quoted("it's $(x)\n"), "'it'\\''s $(x)\n'");
        assert_eq!(quoted(""), "''");
    }
}
