//! The removals of a plan: each with its content and evidence, or in few lines for people who want to know how much of
//! what goes.

use std::collections::BTreeMap;
use std::io::{self, Write};

use netdeed_tracker::control::api::StepView;
use netdeed_tracker::model::owner::Owner;
use netdeed_tracker::model::subject::Class;

use super::Output;
use super::style::Paint;
use super::text::{counted, printable, write_hanging};

/// More things of one kind and owner than this become one line.
const FEW: usize = 12;

/// Writes every removal with what it removes and why.
pub(super) fn write_each(output: &Output, out: &mut dyn Write, steps: &[StepView]) -> io::Result<()> {
    let sign = output.style.paint(Paint::Bad, "-");
    for StepView { object: _, class: _, name, within: _, text, digest: _, owner, certainty, why } in steps {
        writeln!(out, "  {sign} {}", printable(name))?;
        if !text.is_empty() {
            write_hanging(out, "      ", 6, text, output.width)?;
        }
        write_hanging(out, "      ", 6, &format!("{owner} {certainty}: {why}"), output.width)?;
    }
    Ok(())
}

/// Writes the removals in few lines: those of one table and owner together, and many of one kind and owner.
pub(super) fn write_grouped(output: &Output, out: &mut dyn Write, steps: &[StepView]) -> io::Result<()> {
    let mut groups: Vec<(Key<'_>, Vec<&StepView>)> = Vec::new();
    let mut places: BTreeMap<Key<'_>, usize> = BTreeMap::new();
    for step in steps {
        let key = Key::of(step);
        let place = *places.entry(key).or_insert(groups.len());
        if place == groups.len() {
            groups.push((key, Vec::new()));
        }
        groups[place].1.push(step);
    }
    for (key, steps) in groups {
        match key {
            Key::Within(table, owner) if steps.len() > 1 => {
                let what = format!("{} in {table}", classes(steps.iter().map(|step| step.class)));
                write_line(output, out, &what, owner)?;
            }
            Key::Class(class, owner) if steps.len() > FEW => {
                write_line(output, out, &classes(steps.iter().map(|_| class)), owner)?;
            }
            _ => steps.iter().try_for_each(|step| write_line(output, out, &step.name, &step.owner))?,
        }
    }
    Ok(())
}

/// What is shown in one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key<'a> {
    Within(&'a str, &'a Owner),
    Class(Class, &'a Owner),
}

impl<'a> Key<'a> {
    fn of(step: &'a StepView) -> Self {
        match &step.within {
            Some(table) => Self::Within(table, &step.owner),
            None => Self::Class(step.class, &step.owner),
        }
    }
}

fn write_line(output: &Output, out: &mut dyn Write, what: &str, owner: &Owner) -> io::Result<()> {
    let sign = output.style.paint(Paint::Bad, "-");
    writeln!(out, "  {sign} {}   {}", printable(what), output.style.paint(Paint::Label, &printable(owner.as_str())))
}

/// `12 rules, 3 chains`, in the order of classes.
pub(super) fn classes(all: impl Iterator<Item = Class>) -> String {
    let mut counts: BTreeMap<Class, u64> = BTreeMap::new();
    for class in all {
        *counts.entry(class).or_default() += 1;
    }
    let words = counts.into_iter().map(|(class, count)| {
        let (one, many) = match class {
            Class::Address => ("address", "addresses".to_owned()),
            Class::IpRule => ("ip rule", "ip rules".to_owned()),
            Class::Tclass => ("tclass", "tclasses".to_owned()),
            class => (class.as_str(), format!("{class}s")),
        };
        counted(count, one, &many)
    });
    words.collect::<Vec<_>>().join(", ")
}
