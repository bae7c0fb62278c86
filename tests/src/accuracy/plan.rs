//! Who makes what: a function of the seed.

use std::fmt::Write as _;
use std::path::Path;

use super::Run;
use super::kinds::{KINDS, Kind, Step};

/// The program that stands for an administrator who logged in.
pub(super) const ADMINISTRATOR: &str = "login";

/// Programs whose children's deeds are theirs, with the owner they stand for.
const ACTORS: [(&str, &str); 10] = [
    ("kube-proxy", "kubernetes/kube-proxy"),
    ("flanneld", "cni/flannel"),
    ("dockerd", "docker"),
    ("firewalld", "firewalld"),
    ("calico-node", "cni/calico"),
    ("libvirtd", "libvirt"),
    ("podman", "podman"),
    ("tailscaled", "tailscale"),
    ("kubelet", "kubernetes/kubelet"),
    (ADMINISTRATOR, "admin/root"),
];

/// Pseudo-random numbers (SplitMix64): the same on every machine.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Numbers that follow from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound.max(1) as u64).unwrap_or_default()
    }
}

/// One writer: acts as one owner, makes things of one kind.
#[derive(Debug)]
pub struct Writer {
    /// From 0.
    pub number: usize,
    /// The program it runs as.
    pub program: &'static str,
    /// The owner that program stands for.
    pub owner: &'static str,
    /// What it makes.
    pub kind: &'static Kind,
    /// What it does, in order.
    pub steps: Vec<Step>,
}

impl Writer {
    /// The start of the names of all it makes.
    pub fn tag(&self) -> String {
        format!("z{:02}", self.number)
    }

    /// Whom its things can truly belong to.
    pub fn may_own(&self, owner: &str) -> bool {
        owner == self.owner || self.steps.iter().flat_map(|step| &step.made).any(|made| made.owner == Some(owner))
    }

    /// What its shell executes. Each step that worked is logged by its number, with what it calls `$extra`.
    pub fn script(&self, log: &Path, scratch: &Path) -> String {
        let mut script = format!("exec 3>>{}\nscratch={}\n", log.display(), scratch.display());
        // writing to a string cannot fail
        let _ = writeln!(script, "{}", (self.kind.begin)(self));
        for (number, step) in self.steps.iter().enumerate() {
            let _ = writeln!(script, "extra=; {{ {}; }} && echo {number} $extra >&3", step.script);
        }
        // the last command would otherwise be executed without a fork, and the shell's name lost
        script + ":\n"
    }
}

/// All writers.
#[derive(Debug)]
pub struct Plan {
    /// What was asked for.
    pub run: Run,
    /// In the order of their numbers.
    pub writers: Vec<Writer>,
}

impl Plan {
    /// The plan for a run. Every kind has a writer when there are as many writers as kinds.
    pub fn of(run: Run) -> Self {
        let mut random = Random::new(run.seed);
        let mut writers: Vec<Writer> = Vec::new();
        let weight: usize = (0..run.writers).map(|number| kind_of(number).share).sum();
        for number in 0..run.writers {
            let kind = kind_of(number);
            let (program, owner) = match kind.actors {
                [] => ACTORS[random.below(ACTORS.len())],
                actors => actors[random.below(actors.len())],
            };
            let mut writer = Writer { number, program, owner, kind, steps: Vec::new() };
            let mut left = (run.objects * kind.share).div_ceil(weight);
            while left > 0 && writer.steps.len() < kind.most {
                let step = (kind.step)(&writer, writer.steps.len(), &mut random);
                // what makes nothing counts by the step
                left = left.saturating_sub(step.made.len().max(1));
                writer.steps.push(step);
            }
            writers.push(writer);
        }
        Self { run, writers }
    }
}

fn kind_of(number: usize) -> &'static Kind {
    // of a kind that may have one writer only, the first
    let many: Vec<&Kind> = KINDS.iter().filter(|kind| !kind.is_single).collect();
    KINDS.get(number).unwrap_or_else(|| many[number % many.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_everything() {
        let run = Run { seed: 7, writers: 32, objects: 2000 };
        let text = |run| format!("{:?}", Plan::of(run));
        assert_eq!(text(run), text(run));
        assert_ne!(text(run), text(Run { seed: 8, ..run }));
    }

    #[test]
    fn all_kinds_and_most_owners_take_part_and_no_two_things_are_called_alike() {
        let plan = Plan::of(Run { seed: 1, writers: 32, objects: 20_000 });
        for kind in KINDS {
            assert!(plan.writers.iter().any(|writer| writer.kind.name == kind.name), "{}", kind.name);
        }
        let mut made: Vec<_> =
            plan.writers.iter().flat_map(|w| &w.steps).flat_map(|step| &step.made).filter(|m| !m.is_extra()).collect();
        let total = made.len();
        assert!((18_000..25_000).contains(&total), "{total}");
        made.sort_by_key(|made| (made.class, made.word.clone()));
        made.dedup_by_key(|made| (made.class, made.word.clone()));
        assert_eq!(made.len(), total);
    }
}
