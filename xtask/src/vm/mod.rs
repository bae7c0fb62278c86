//! Other kernels: stock kernels of Debian, booted under QEMU's software emulation, with the host's root as theirs.
//!
//! A kernel is fetched as a package, unpacked below `target/vm` and never installed. Its machine sees this machine's root
//! read-only by 9p, so the test programs that were built here run there as they are, with this machine's tools. What they
//! write goes into memory; the results come back by a directory of their own. Nothing of it needs KVM.
//!
//! Every wait has a deadline: the machine as a whole here ([`machine`]), each of its steps inside ([`guest`]).

mod guest;
mod initramfs;
mod kept;
mod kernel;
mod machine;
mod outcome;
mod package;
mod report;
mod suite;

use std::path::PathBuf;

use clap::Args;

use crate::error::XtaskError;
use crate::{provision, shell};

use kernel::Kernel;
use report::Report;

pub(crate) use guest::{GuestArguments, run as run_guest};

/// Which kernels to test.
#[derive(Debug, Args)]
pub(crate) struct VmArguments {
    /// With `--tier vm`: only the kernel of this Debian suite.
    #[arg(long, value_name = "SUITE")]
    kernel: Option<String>,
    /// With `--tier vm`: only steps with this in their name.
    #[arg(long, value_name = "NAME")]
    step: Option<String>,
    /// With `--tier vm`: only the usual kernel, and the steps that say whether the programs load there and record
    /// truthfully.
    #[arg(long)]
    usual: bool,
    /// With `--tier vm`: writes what works on which kernel into docs/kernels.md; of kernels and steps that are not run now,
    /// what the last run found.
    #[arg(long)]
    write: bool,
}

impl VmArguments {
    /// What is part of every run of the tests.
    pub(crate) fn usual() -> Self {
        Self { kernel: None, step: None, usual: true, write: false }
    }
}

/// How much to test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// One kernel, and the steps that say whether the programs load there and record truthfully.
    One,
    /// All kernels, all steps.
    All,
}

/// Programs the virtual machines need, beside those of [`provision`].
const PACKAGES: [(&str, &str); 4] = [
    ("/usr/bin/qemu-system-x86_64", "qemu-system-x86"),
    ("/bin/busybox", "busybox-static"),
    ("/sbin/modprobe", "kmod"),
    ("/usr/bin/setpriv", "util-linux"),
];

/// Boots kernels and runs the tests in them.
pub(crate) fn run(arguments: &VmArguments) -> Result<(), XtaskError> {
    if std::env::consts::ARCH != "x86_64" {
        return Err(XtaskError::Wrong("the kernels are x86_64's, and so have to be the programs they run".to_owned()));
    }
    let extent = if arguments.usual { Extent::One } else { Extent::All };
    provision::run()?;
    provision::install_missing(&PACKAGES)?;
    shell::build_programs(false)?;
    let steps = suite::steps(extent, arguments.step.as_deref())?;
    let wanted = |kernel: &&Kernel| match (&arguments.kernel, extent) {
        (Some(suite), _) => kernel.suite == suite,
        (None, Extent::One) => kernel.suite == kernel::USUAL,
        (None, Extent::All) => true,
    };
    let mut outcomes = Vec::new();
    for kernel in kernel::KERNELS.iter().filter(wanted) {
        let unpacked = kernel.provide()?;
        let is_here = |step: &&outcome::Step| !step.not_on.iter().any(|suite| suite == kernel.suite);
        let here: Vec<_> = steps.iter().filter(is_here).cloned().collect();
        let outcome = machine::run(&unpacked, &here)?;
        kept::add(kernel.suite, outcome.clone())?;
        outcomes.push((kernel, outcome));
    }
    if outcomes.is_empty() {
        let suites: Vec<&str> = kernel::KERNELS.iter().map(|kernel| kernel.suite).collect();
        return Err(XtaskError::Wrong(format!("no such kernel: expected one of {}", suites.join(", "))));
    }
    let own = guest::look_at_own(&cache().join("machines/host"))?;
    let report = Report::new(outcomes, own.clone());
    println!("{report}");
    if arguments.write {
        let mut known = Vec::new();
        for kernel in &kernel::KERNELS {
            known.extend(kept::all(kernel.suite)?.map(|outcome| (kernel, outcome)));
        }
        Report::new(known, own).write(&shell::workspace().join("docs/kernels.md"))?;
    }
    report.verdict()
}

/// Where kernels, machines and their results are kept.
fn cache() -> PathBuf {
    shell::target().join("vm")
}
