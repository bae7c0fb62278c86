//! What works on which kernel, for the terminal and for the documentation: the same text.

use std::fmt;
use std::path::Path;

use comfy_table::{Table, presets};

use crate::error::XtaskError;

use super::kernel::{Kernel, file_error};
use super::outcome::Outcome;

/// Everything between these lines of the documentation is written by [`Report::write`]; the rest is by hand.
const BEGIN: &str = "<!-- written by `cargo xtask test --tier vm --write`: begin -->";
const END: &str = "<!-- written by `cargo xtask test --tier vm --write`: end -->";
/// How hooks of functions are called.
const FUNCTIONS: [&str; 2] = ["fentry:", "fexit:"];

/// All that was found out.
pub(super) struct Report {
    columns: Vec<Column>,
}

/// One kernel.
struct Column {
    title: String,
    /// Whether it must load the programs on functions; `None` for a kernel of which nothing is known beforehand.
    has_functions: Option<bool>,
    outcome: Outcome,
}

impl Report {
    /// Of virtual machines, and of their host's kernel beside them.
    pub(super) fn new(outcomes: Vec<(&Kernel, Outcome)>, own: Outcome) -> Self {
        let mut columns: Vec<Column> = outcomes
            .into_iter()
            .map(|(kernel, outcome)| Column {
                title: format!("{} ({})", outcome.release, kernel.name),
                has_functions: Some(kernel.has_functions),
                outcome,
            })
            .collect();
        let version = own.release.split('-').next().unwrap_or_default();
        columns.push(Column { title: format!("{version} (host)"), has_functions: None, outcome: own });
        Self { columns }
    }

    /// Fails when anything that must work does not.
    pub(super) fn verdict(&self) -> Result<(), XtaskError> {
        let wrong: Vec<String> = self.columns.iter().flat_map(Column::wrong).collect();
        if wrong.is_empty() { Ok(()) } else { Err(XtaskError::Wrong(wrong.join("\n"))) }
    }

    /// Writes the tables into the documentation, in place of the ones before.
    pub(super) fn write(&self, path: &Path) -> Result<(), XtaskError> {
        let text = std::fs::read_to_string(path).map_err(|source| file_error("read", path, source))?;
        let replaced = replace(&text, &format!("\n{self}\n"))
            .ok_or_else(|| XtaskError::Wrong(format!("`{}` lacks its line `{BEGIN}` or `{END}`", path.display())))?;
        std::fs::write(path, replaced).map_err(|source| file_error("write", path, source))
    }

    fn table(&self, what: &str, rows: &[String], cell: impl Fn(&Outcome, &str) -> String) -> Table {
        let mut table = Table::new();
        let titles = self.columns.iter().map(|column| column.title.clone());
        table.load_style(presets::ASCII_MARKDOWN).set_header(std::iter::once(what.to_owned()).chain(titles));
        for row in rows {
            let cells = self.columns.iter().map(|column| cell(&column.outcome, row));
            table.add_row(std::iter::once(row.clone()).chain(cells));
        }
        table
    }

    /// Names in the order of their first appearance.
    fn names<'a>(&'a self, of: impl Fn(&'a Outcome) -> Vec<&'a str>) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in self.columns.iter().flat_map(|column| of(&column.outcome)) {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        names
    }
}

impl Column {
    /// What must work here and does not.
    fn wrong(&self) -> Vec<String> {
        let Some(has_functions) = self.has_functions else { return Vec::new() };
        let mut wrong = Vec::new();
        match &self.outcome.programs {
            Err(why) => wrong.push(why.clone()),
            Ok(programs) => wrong.extend(programs.iter().filter_map(|program| {
                let is_needed = has_functions || !is_function(&program.hook);
                let why = program.state.as_ref().err().filter(|_| is_needed)?;
                Some(format!("{}: {why}", program.hook))
            })),
        }
        wrong.extend(self.outcome.missing.iter().map(|member| format!("member `{member}` was not found")));
        let runs = |name: &str| has_functions || !is_function(name);
        for check in self.outcome.checks.iter().filter(|check| runs(&check.name)) {
            wrong.extend(check.result.as_ref().err().map(|why| format!("self-test of {}: {why}", check.name)));
        }
        for step in &self.outcome.steps {
            wrong.extend(step.result.as_ref().err().map(|why| format!("{}: {why}", step.name)));
        }
        wrong.into_iter().map(|what| format!("{}: {what}", self.title)).collect()
    }

    /// Why programs do not run here, each reason once.
    fn reasons(&self) -> Vec<(String, Vec<&str>)> {
        let mut reasons: Vec<(String, Vec<&str>)> = Vec::new();
        for program in self.outcome.programs.iter().flatten() {
            let Err(why) = &program.state else { continue };
            match reasons.iter_mut().find(|(reason, _)| reason == why) {
                Some((_, hooks)) => hooks.push(&program.hook),
                None => reasons.push((why.clone(), vec![&program.hook])),
            }
        }
        reasons
    }
}

fn is_function(name: &str) -> bool {
    FUNCTIONS.iter().any(|prefix| name.starts_with(prefix))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hooks = self.names(|outcome| outcome.programs.iter().flatten().map(|one| one.hook.as_str()).collect());
        let hook = |outcome: &Outcome, row: &str| {
            let state = outcome.programs.iter().flatten().find(|program| program.hook == row).map(|one| &one.state);
            match state {
                Some(Ok(Some(instructions))) => instructions.to_string(),
                Some(Ok(None)) => "runs".to_owned(),
                Some(Err(_)) | None => "off".to_owned(),
            }
        };
        writeln!(f, "Instructions the verifier looks at (`runs`: the kernel does not say how many):\n")?;
        writeln!(f, "{}\n", self.table("hook", &hooks, hook))?;
        let checks = self.names(|outcome| outcome.checks.iter().map(|check| check.name.as_str()).collect());
        let check = |outcome: &Outcome, row: &str| {
            let result = outcome.checks.iter().find(|check| check.name == row).map(|check| &check.result);
            match result {
                Some(Ok(())) => "passed".to_owned(),
                Some(Err(_)) => "failed".to_owned(),
                None => "not made".to_owned(),
            }
        };
        writeln!(f, "{}\n", self.table("self-test", &checks, check))?;
        let steps = self.names(|outcome| outcome.steps.iter().map(|step| step.name.as_str()).collect());
        let step = |outcome: &Outcome, row: &str| match outcome.steps.iter().find(|step| step.name == row) {
            Some(step) => match &step.result {
                Ok(passed) => format!("{passed} passed, {:.0} s", step.seconds),
                Err(_) => "failed".to_owned(),
            },
            None => String::new(),
        };
        if !steps.is_empty() {
            writeln!(f, "{}\n", self.table("tests", &steps, step))?;
        }
        for column in &self.columns {
            for (reason, hooks) in column.reasons() {
                writeln!(f, "- {}: off are {}: {reason}.", column.title, hooks.join(", "))?;
            }
            for member in &column.outcome.missing {
                writeln!(f, "- {}: structure member `{member}` was not found.", column.title)?;
            }
        }
        Ok(())
    }
}

/// The text with what is between the two lines replaced.
fn replace(text: &str, between: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{between}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::super::outcome::{CheckOutcome, ProgramOutcome, StepOutcome};
    use super::*;

    fn column(has_functions: Option<bool>) -> Column {
        let program = |hook: &str, state| ProgramOutcome { hook: hook.to_owned(), state };
        let programs = vec![
            program("sched:sched_process_fork", Ok(Some(42))),
            program("fentry:nlmsg_notify", Err("refused".to_owned())),
            program("fexit:register_netdevice", Err("refused".to_owned())),
        ];
        let outcome = Outcome {
            release: "6.1.0".to_owned(),
            programs: Ok(programs),
            missing: Vec::new(),
            checks: vec![CheckOutcome { name: "fork".to_owned(), result: Ok(()) }],
            steps: vec![StepOutcome { name: "BPF".to_owned(), result: Ok(7), seconds: 1.0 }],
            seconds: 9,
        };
        Column { title: "6.1.0 (x)".to_owned(), has_functions, outcome }
    }

    #[test]
    fn what_a_kernel_need_not_have_is_no_failure() {
        assert!(column(Some(false)).wrong().is_empty());
        assert!(column(None).wrong().is_empty());
        assert_eq!(column(Some(true)).wrong().len(), 2);
        let mut failing = column(Some(false));
        failing.outcome.steps[0].result = Err("exit status: 101".to_owned());
        failing.outcome.checks[0].result = Err("no record".to_owned());
        failing.outcome.missing.push("net.ns".to_owned());
        assert_eq!(failing.wrong().len(), 3);
    }

    #[test]
    fn the_tables_say_what_is_off_and_why_once() {
        let text = Report { columns: vec![column(None)] }.to_string();
        assert!(text.contains("| sched:sched_process_fork | 42"), "{text}");
        let off = "- 6.1.0 (x): off are fentry:nlmsg_notify, fexit:register_netdevice: refused.";
        assert_eq!(text.matches(off).count(), 1, "{text}");
        assert!(text.contains("7 passed, 1 s"), "{text}");
    }

    #[test]
    fn what_is_written_by_hand_stays() {
        let text = format!("# By hand\n{BEGIN}\nold\n{END}\nalso by hand\n");
        let new = replace(&text, "\nnew\n").expect("both lines are there");
        assert_eq!(new, format!("# By hand\n{BEGIN}\nnew\n{END}\nalso by hand\n"));
    }
}
