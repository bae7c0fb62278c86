//! What a container runtime does for the kubelet's sake with no plugin between them: the library by which it runs CNI
//! plugins keeps their results, in the runtime's own process.

use std::path::Path;

use crate::model::owner::{Attribution, Evidence, Owner};
use crate::model::path::AbsPath;

/// Where that library keeps them. Without pods neither runtime has anything to do with it.
const STATE: &str = "/var/lib/cni";
/// The owner rules of the runtimes that serve the kubelet, see [`super::default_rules`]. Others run plugins under names of
/// their own.
const RUNTIMES: [&str; 2] = ["containerd", "crio"];
/// Whose that is.
const OWNER: &str = "kubernetes/cri";
/// The name of this rule.
const LABEL: &str = "cri-plugin-results";

/// The verdict on what was done to a path: the kubelet's runtime's, where it is the state of CNI plugins and the runtime
/// itself was seen. Certainty and evidence stay.
pub fn of_path(verdict: Attribution, path: &AbsPath) -> Attribution {
    if !path.as_path().starts_with(Path::new(STATE)) || !verdict.certainty().is_proven() {
        return verdict;
    }
    let runtime = verdict.evidence().iter().find_map(|evidence| match evidence {
        Evidence::OwnerRule { rule, program } if RUNTIMES.contains(&rule.as_str()) => Some(program.clone()),
        _ => None,
    });
    match (runtime, Owner::new(OWNER)) {
        (Some(program), Ok(owner)) => {
            let because = Evidence::OwnerRule { rule: LABEL.to_owned(), program };
            verdict.owned_by(owner).with(because)
        }
        _ => verdict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::owner::Certainty;

    fn verdict(rule: &str, certainty: Certainty) -> Attribution {
        let owner = Owner::new(rule).expect("valid");
        let rule = Evidence::OwnerRule { rule: rule.to_owned(), program: rule.to_owned() };
        Attribution::new(owner, certainty, None, Evidence::Fanotify { tgid: 7 }).with(rule)
    }

    fn path(text: &str) -> AbsPath {
        AbsPath::new(Path::new(text)).expect("absolute")
    }

    #[test]
    fn results_kept_by_the_runtime_itself_are_the_kubelets_and_nothing_else_is() {
        let results = path("/var/lib/cni/results/podnet-1-eth0");
        let its = of_path(verdict("containerd", Certainty::Exact), &results);
        assert_eq!((its.owner().as_str(), its.certainty()), (OWNER, Certainty::Exact));
        assert_eq!(its.evidence().len(), 3, "{its:?}");
        for (rule, certainty, at) in [
            ("containerd", Certainty::Exact, "/run/containerd/s"),
            ("containerd", Certainty::Exact, "/var/lib/cni-other"),
            ("podman", Certainty::Exact, "/var/lib/cni/results"),
            ("containerd", Certainty::Unknown, "/var/lib/cni/results"),
        ] {
            let verdict = verdict(rule, certainty);
            assert_eq!(of_path(verdict.clone(), &path(at)), verdict, "{rule} {at}");
        }
    }
}
