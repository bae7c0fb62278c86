//! Classifies actors by owner rules.

use super::default_rules::default_rules;
use super::rules::{Rule, RulesError, runner_of};
use super::users::Users;
use crate::lineage::slice_user;
use crate::model::owner::{Evidence, Owner};
use crate::model::process::{Actor, Image};

/// The ordered owner rules. The first that matches any image of the lineage decides; a rule further down never sees the
/// deed, however near its image is.
#[derive(Debug, Clone)]
pub struct OwnerRules {
    rules: Vec<Rule>,
}

/// Whose an actor's deeds are, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classification {
    /// The owner; [`Owner::unknown`] when no rule matches.
    pub owner: Owner,
    /// The rule that matched, or that none did.
    pub evidence: Evidence,
    /// Whether the rule matched only by a task name, which is no proof.
    pub weak: bool,
}

impl Default for OwnerRules {
    /// The rules that come with netdeed.
    fn default() -> Self {
        Self { rules: default_rules() }
    }
}

impl OwnerRules {
    /// Parses a file of rules (see `docs/owner-rules.md`).
    ///
    /// # Errors
    /// [`RulesError`] for anything but the documented form.
    pub fn from_toml(text: &str) -> Result<Vec<Rule>, RulesError> {
        Rule::parse_all(text)
    }

    /// Puts rules before those there are: a user's come first.
    #[must_use]
    pub fn extended(self, extra: Vec<Rule>) -> Self {
        let mut rules = extra;
        rules.extend(self.rules);
        Self { rules }
    }

    /// The rules in the order they are tried.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Says whose the actor's deeds are.
    pub fn classify(&self, actor: &Actor, users: &dyn Users) -> Classification {
        let lineage: Vec<&Image> = actor.lineage().collect();
        for rule in &self.rules {
            if let Some((index, weak)) = rule.matches(&lineage)
                && let Some(owner) = rule.owner.fill(|placeholder| value(placeholder, &lineage, index, users))
            {
                // a nearer image of which nothing is known may be whom a rule before this one is about
                if owner != Owner::kernel() && lineage[..index].iter().any(|image| is_unseen(image)) {
                    break;
                }
                // whose a plugin is depends on who runs it
                if !weak && rule.asks_for_runner() && runner_of(&lineage, index).is_some_and(is_unseen) {
                    break;
                }
                let program = lineage[index].program().to_owned();
                return Classification {
                    owner,
                    evidence: Evidence::OwnerRule { rule: rule.label.clone(), program },
                    weak,
                };
            }
        }
        let evidence = Evidence::NoOwnerRule { lineage: actor.to_string() };
        Classification { owner: Owner::unknown(), evidence, weak: false }
    }
}

/// Whether what an image runs was neither seen nor read.
fn is_unseen(image: &Image) -> bool {
    image.exe.is_none()
}

/// A placeholder's value, of the image that matched.
fn value(placeholder: &str, lineage: &[&Image], index: usize, users: &dyn Users) -> Option<String> {
    let image = lineage.get(index)?;
    match placeholder {
        "program" => Some(image.program().to_owned()),
        "unit" => image.placement.unit.clone(),
        "pod" => image.placement.pod.as_ref().map(ToString::to_string),
        "user" => {
            let uid = user(lineage, index);
            Some(users.name(uid).unwrap_or_else(|| uid.to_string()))
        }
        _ => None,
    }
}

/// Who is at the keyboard: the login user id survives `sudo`, the session's slice does too; without both it is who
/// called `sudo`, or whom the login program runs.
fn user(lineage: &[&Image], index: usize) -> u32 {
    /// Programs that act for the one who called them.
    const SWITCHERS: [&str; 6] = ["sudo", "su", "doas", "pkexec", "runuser", "run0"];
    let login = lineage.iter().find_map(|image| image.login_uid);
    let session = || lineage.iter().find_map(|image| slice_user(&image.placement.cgroup));
    let caller = || {
        let is_switcher = SWITCHERS.contains(&lineage[index].program());
        let near =
            if is_switcher { lineage.get(index + 1) } else { index.checked_sub(1).and_then(|at| lineage.get(at)) };
        near.unwrap_or(&lineage[index]).uid
    };
    login.or_else(session).unwrap_or_else(caller)
}

#[cfg(test)]
mod cases;
#[cfg(test)]
mod tests;
