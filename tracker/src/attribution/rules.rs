//! Owner rules: what they are made of, and the file format users write them in (see `docs/owner-rules.md`).

use std::fmt;

use serde::Deserialize;

use super::pattern::{fits, fits_any};
use crate::model::owner::Owner;
use crate::model::process::Image;

/// Why a file of owner rules was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// Not TOML, or not of the documented form.
    #[error("parsing owner rules")]
    Syntax(#[from] toml::de::Error),
    /// The condition of a rule would hold for every process.
    #[error("owner rule `{0}` has an empty `when`: it would own everything")]
    NoCondition(String),
    /// An exception of a rule would hold for every process.
    #[error("owner rule `{0}` has an empty `unless`: it would never match")]
    EmptyException(String),
    /// Evidence names rules by label, so labels must be unique.
    #[error("there are two owner rules with the label `{0}`")]
    DuplicateLabel(String),
}

/// One labelled rule: whose a deed is when the lineage of the process looks like this.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Unique name, shown as evidence.
    pub label: String,
    /// The owner, with placeholders.
    pub owner: OwnerTemplate,
    /// Must hold, as a whole, of one image of the lineage; the nearest such image counts.
    pub when: Condition,
    /// None of these may hold of any image of the lineage.
    #[serde(default)]
    pub unless: Vec<Condition>,
}

/// Which images of a lineage a condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Position {
    /// The acting image or any ancestor.
    #[default]
    Any,
    /// The acting image only.
    #[serde(rename = "self")]
    Itself,
    /// Ancestors only.
    Ancestor,
}

/// What an image must be like. Every part that is set must hold; of a list of patterns one must fit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Condition {
    /// Which images of the lineage.
    pub at: Position,
    /// Base name of the executable; the task name (15 bytes) where the executable is not known, which is weaker.
    pub program: Vec<String>,
    /// Whole path of the executable.
    pub exe: Vec<String>,
    /// Every one of these patterns must fit some argument.
    pub argv: Vec<String>,
    /// Systemd unit.
    pub unit: Vec<String>,
    /// Runtime that named the cgroup.
    pub runtime: Vec<String>,
    /// Whether it runs in a pod's cgroup.
    pub pod: Option<bool>,
    /// `namespace/name` of the pod it runs in.
    pub pod_name: Vec<String>,
    /// Whether it is a CNI plugin at work.
    pub cni: Option<bool>,
    /// Whether it is a CNI plugin at work for a pod named in `CNI_ARGS`.
    pub cni_pod: Option<bool>,
    /// Program that runs the CNI plugin: the first ancestor that is no plugin itself.
    pub cni_runner: Vec<String>,
    /// Whether a login set the login user id.
    pub login: Option<bool>,
    /// Whether it runs in a login session's scope.
    pub session: Option<bool>,
    /// Whether it is the kernel's thread daemon, ancestor of all kernel threads.
    pub kthreadd: Option<bool>,
}

/// How well a condition holds of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    No,
    /// Only by the task name, which a task may set as it likes.
    ByTaskName,
    Yes,
}

impl Rule {
    /// Parses a file of rules: `[[rule]]` tables in the order they are to be tried.
    ///
    /// # Errors
    /// [`RulesError`] for anything but the documented form.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, RulesError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            #[serde(default)]
            rule: Vec<Rule>,
        }
        let File { rule: rules } = toml::from_str(text)?;
        for (index, rule) in rules.iter().enumerate() {
            if rule.when.is_empty() {
                return Err(RulesError::NoCondition(rule.label.clone()));
            }
            if rule.unless.iter().any(Condition::is_empty) {
                return Err(RulesError::EmptyException(rule.label.clone()));
            }
            if rules[..index].iter().any(|other| other.label == rule.label) {
                return Err(RulesError::DuplicateLabel(rule.label.clone()));
            }
        }
        Ok(rules)
    }

    /// Whether it asks who runs a CNI plugin.
    pub(super) fn asks_for_runner(&self) -> bool {
        std::iter::once(&self.when).chain(&self.unless).any(|condition| !condition.cni_runner.is_empty())
    }

    /// Where in the lineage (nearest first) the rule matches, and whether only by a task name.
    pub(super) fn matches(&self, lineage: &[&Image]) -> Option<(usize, bool)> {
        let excepted = |condition: &Condition| (0..lineage.len()).any(|index| condition.fit(lineage, index) != Fit::No);
        if self.unless.iter().any(excepted) {
            return None;
        }
        (0..lineage.len()).find_map(|index| match self.when.fit(lineage, index) {
            Fit::No => None,
            Fit::ByTaskName => Some((index, true)),
            Fit::Yes => Some((index, false)),
        })
    }
}

impl Condition {
    fn is_empty(&self) -> bool {
        Self { at: Position::default(), ..self.clone() } == Self::default()
    }

    pub(super) fn fit(&self, lineage: &[&Image], index: usize) -> Fit {
        let Self {
            at,
            program,
            exe,
            argv,
            unit,
            runtime,
            pod,
            pod_name,
            cni,
            cni_pod,
            cni_runner,
            login,
            session,
            kthreadd,
        } = self;
        let Some(image) = lineage.get(index) else { return Fit::No };
        let is_placed = match at {
            Position::Any => true,
            Position::Itself => index == 0,
            Position::Ancestor => index > 0,
        };
        let place = &image.placement;
        let of_pod = || place.pod.as_ref().filter(|_| place.pod_uid.is_some()).map(ToString::to_string);
        let said = |wanted: &Option<bool>, is: bool| wanted.is_none_or(|wanted| wanted == is);
        let holds = is_placed
            && fits_text(exe, image.exe.as_deref())
            && argv.iter().all(|pattern| image.argv.iter().any(|arg| fits(pattern, arg)))
            && fits_text(unit, place.unit.as_deref())
            && fits_text(runtime, place.runtime.as_deref())
            && said(pod, place.pod_uid.is_some())
            && (pod_name.is_empty() || of_pod().is_some_and(|name| fits_any(pod_name, &name)))
            && said(cni, image.cni.is_some())
            && said(cni_pod, image.cni.as_ref().is_some_and(|call| call.pod.is_some()))
            && said(login, image.login_uid.is_some())
            && said(session, place.session.is_some())
            && said(kthreadd, image.id.process.tgid.0 == 2 && image.comm == "kthreadd" && image.exe.is_none());
        if !holds {
            return Fit::No;
        }
        let runner = match cni_runner.as_slice() {
            [] => Fit::Yes,
            runners => runner_of(lineage, index).map_or(Fit::No, |image| program_fit(runners, image)),
        };
        match (program_fit(program, image), runner) {
            (Fit::No, _) | (_, Fit::No) => Fit::No,
            (Fit::Yes, Fit::Yes) => Fit::Yes,
            _ => Fit::ByTaskName,
        }
    }
}

fn fits_text(patterns: &[String], text: Option<&str>) -> bool {
    patterns.is_empty() || text.is_some_and(|text| fits_any(patterns, text))
}

fn program_fit(patterns: &[String], image: &Image) -> Fit {
    /// The kernel cuts task names to this.
    const COMM: usize = 15;
    if patterns.is_empty() {
        return Fit::Yes;
    }
    if image.exe.is_some() {
        return if fits_any(patterns, image.program()) { Fit::Yes } else { Fit::No };
    }
    let fits_comm = |pattern: &String| {
        let cut = pattern.get(..COMM).filter(|_| image.comm.len() == COMM && !pattern.contains(['*', '?', '<']));
        fits(cut.unwrap_or(pattern), &image.comm)
    };
    if patterns.iter().any(fits_comm) { Fit::ByTaskName } else { Fit::No }
}

/// The program that runs the CNI plugin at `index`: plugins run other plugins, the first ancestor that is none runs them
/// all.
pub(super) fn runner_of<'a>(lineage: &[&'a Image], index: usize) -> Option<&'a Image> {
    let (plugin, ancestors) = lineage.get(index..)?.split_first()?;
    plugin.cni.as_ref()?;
    ancestors.iter().find(|image| image.cni.is_none()).copied()
}

/// An owner path with placeholders: `{program}`, `{user}`, `{unit}` and `{pod}` of the image that matched.
///
/// From the first part whose placeholder has no value the path is left out: `kubernetes/pod/{pod}` is
/// `kubernetes/pod` as long as the pod's name is not known.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct OwnerTemplate(String);

/// A text that is no owner path with placeholders.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an owner such as `docker` or `admin/{{user}}` but found `{0}`")]
pub struct BadTemplate(String);

impl OwnerTemplate {
    /// The placeholders there are.
    pub const PLACEHOLDERS: [&str; 4] = ["program", "user", "unit", "pod"];

    pub(super) fn of_default(template: &'static str) -> Self {
        Self(template.to_owned())
    }

    /// The owner, with values for the placeholders.
    pub(super) fn fill(&self, value: impl Fn(&str) -> Option<String>) -> Option<Owner> {
        let mut path = String::new();
        for part in self.0.split('/') {
            let Some(part) = fill_part(part, &value) else { break };
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(&part);
        }
        Owner::new(&path).ok()
    }
}

/// One part with its placeholders filled; what an owner path cannot hold becomes `_`.
fn fill_part(part: &str, value: &impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut filled = String::new();
    let mut rest = part;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        let value = value(name).filter(|value| !value.is_empty())?;
        filled.push_str(before);
        // a pod's name has two parts of its own
        let keeps_slash = name == "pod";
        filled.extend(value.chars().map(|c| match c {
            '/' if !keeps_slash => '_',
            c if c.is_whitespace() || c.is_control() => '_',
            c => c,
        }));
        rest = after;
    }
    filled.push_str(rest);
    Some(filled)
}

impl TryFrom<String> for OwnerTemplate {
    type Error = BadTemplate;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let template = Self(text);
        let sample = |name: &str| Self::PLACEHOLDERS.contains(&name).then(|| "x".to_owned());
        let parts = template.0.split('/').count();
        match template.fill(sample) {
            Some(owner) if owner.as_str().split('/').count() == parts && !template.0.starts_with('{') => Ok(template),
            _ => Err(BadTemplate(template.0)),
        }
    }
}

impl fmt::Display for OwnerTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
