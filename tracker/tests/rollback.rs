//! A whole rollback against the real kernel: somebody else's things first and last, the owner's in between; afterwards
//! nft(8) and ip(8) must list the same as on a node where the owner never ran. Needs root, nft(8) and ip(8).

#![expect(clippy::print_stderr, reason = "the time a large rollback takes is worth seeing")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use netdeed_tests::namespace::{in_netns, output_of, run_with};
use netdeed_tracker::host::{Host, RealHost};
use netdeed_tracker::model::ids::{BootId, NetnsId, ObjectId};
use netdeed_tracker::model::object::{Deed, Object, Scope};
use netdeed_tracker::model::owner::{Attribution, Certainty, Evidence, Owner};
use netdeed_tracker::model::path::AbsPath;
use netdeed_tracker::model::subject::{Snapshot, Subject};
use netdeed_tracker::model::time::{BootTime, WallTime};
use netdeed_tracker::rollback::{ExecutionState, Ledger, LedgerError, LiveState, Plan, Selection, plan, run};

fn nft(script: &str) {
    run_with(script, &["nft", "-f", "-"]);
}

fn ip(script: &str) {
    run_with(script, &["ip", "-batch", "-"]);
}

/// What the tools list, without what moves by itself.
fn listing() -> String {
    ["nft -s list ruleset", "ip -o -br link", "ip -4 -br addr", "ip route show table all", "ip rule"]
        .map(output_of)
        .concat()
}

/// The journal a tracker would have: what appears between two looks belongs to whoever acted in between.
#[derive(Default)]
struct Recorder {
    objects: Vec<Object>,
    paths: Vec<AbsPath>,
    begun: usize,
}

impl Recorder {
    fn record(&mut self, owner: &str, act: impl FnOnce(&mut Self)) {
        let before = self.look();
        act(self);
        let known: BTreeSet<Subject> = before.into_iter().map(|(subject, _)| subject).collect();
        for (subject, snapshot) in self.look().into_iter().filter(|(subject, _)| !known.contains(subject)) {
            let evidence = Evidence::CommitThread { generation: 1, tid: 1 };
            let owner = Owner::new(owner).expect("valid");
            self.objects.push(Object {
                id: ObjectId(self.objects.len() as u64 + 1),
                scope: Scope { boot: BootId([0; 16]), netns: NetnsId(1) },
                subject,
                digest: snapshot.digest(),
                snapshot,
                created: Deed {
                    time: WallTime(0),
                    boot_time: BootTime(0),
                    generation: None,
                    attribution: Attribution::new(owner, Certainty::Exact, None, evidence),
                    operation: None,
                },
                changed: None,
                rewritten: None,
                removed: None,
            });
        }
    }

    fn look(&self) -> Vec<(Subject, Snapshot)> {
        let live = RealHost.live(&self.paths).expect("the live state can be read");
        let paths = live.paths.into_iter().filter_map(|(path, now)| Some((Subject::Path(path), Snapshot::Path(now?))));
        live.nft.into_iter().chain(live.rt).chain(paths).collect()
    }

    fn watch(&mut self, path: &Path) {
        self.paths.push(AbsPath::new(path).expect("absolute"));
    }
}

impl Ledger for Recorder {
    fn objects(&mut self) -> Result<Vec<Object>, LedgerError> {
        Ok(self.objects.clone())
    }

    fn begin(&mut self, _plan: &Plan, _before: &LiveState, _known: &[Object]) -> Result<(), LedgerError> {
        self.begun += 1;
        Ok(())
    }

    fn progress(&mut self, _done: usize, _total: usize) {}
}

fn kubernetes() -> Selection {
    Selection::of(Owner::new("kubernetes").expect("valid"))
}

const DOCKER_FIRST: &str = "table ip filter {
    chain FORWARD { type filter hook forward priority 0; policy drop; }
    chain DOCKER { iifname \"docker0\" accept; }
}
add rule ip filter FORWARD jump DOCKER";

const DOCKER_LAST: &str = "add rule ip filter FORWARD oifname \"docker0\" accept";

const KUBERNETES: &str = "table ip filter {
    chain KUBE-FORWARD { ct state established accept; }
    chain KUBE-SVC { }
    chain KUBE-SEP { tcp dport 80 accept; }
    counter kube-count { }
    set kube-nets { type ipv4_addr; flags interval; elements = { 10.244.0.0/16 }; }
    map kube-services { type inet_service : verdict; elements = { 80 : jump KUBE-SVC }; }
}
add rule ip filter KUBE-SVC tcp dport { 80, 443 } jump KUBE-SEP
add rule ip filter KUBE-FORWARD tcp dport vmap @kube-services
insert rule ip filter FORWARD ip saddr @kube-nets counter name kube-count jump KUBE-FORWARD
add rule ip filter FORWARD jump { ip saddr 10.244.0.0/16 accept; }
table inet kube-proxy { chain services { type filter hook input priority 5; ip daddr 10.96.0.1 drop; }; }";

#[test]
fn after_a_rollback_the_node_is_the_one_on_which_the_owner_never_ran() {
    let docker_first = || {
        ip("link set lo up\nlink add docker0 type bridge\naddr add 172.17.0.1/16 dev docker0\nlink set docker0 up\n");
        nft(DOCKER_FIRST);
    };
    let docker_last = || {
        nft(DOCKER_LAST);
        ip("route add blackhole 203.0.113.0/24\n");
    };
    let (sender, without) = std::sync::mpsc::channel();
    in_netns(move || {
        docker_first();
        docker_last();
        sender.send(listing()).expect("received");
    });
    let without = without.recv().expect("listed");

    in_netns(move || {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().canonicalize().expect("canonical");
        let mut journal = Recorder::default();
        journal.record("docker", |_| docker_first());
        journal.record("cni/flannel", |journal| {
            nft(KUBERNETES);
            ip("link add cni0 type bridge\naddr add 10.244.0.1/24 dev cni0\nlink set cni0 up\n\
                link add veth-a type veth peer name veth-b\nlink set veth-a master cni0\nlink set veth-a up\n\
                link add flannel.1 type vxlan id 1 dev cni0 dstport 8472\n\
                route add 10.244.7.0/24 dev cni0\nroute add 10.244.8.0/24 dev docker0\n\
                addr add 10.250.0.1/24 dev docker0\naddr add 10.250.0.2/24 dev docker0\nrule add from 10.244.0.0/16 lookup 100\n");
            for path in [&root.join("cni"), &root.join("cni/net.d")] {
                std::fs::create_dir(path).expect("new directory");
                journal.watch(path);
            }
            std::fs::write(root.join("cni/net.d/10-flannel.conflist"), "{}").expect("new file");
            journal.watch(&root.join("cni/net.d/10-flannel.conflist"));
        });
        journal.record("docker", |_| docker_last());

        let rollback = run(&mut journal, &kubernetes(), &mut RealHost).expect("it runs");
        eprintln!("{}", rollback.plan);
        assert_eq!(rollback.plan.refusals(), []);
        assert_eq!(rollback.execution.state, ExecutionState::Done);
        assert!(rollback.proof.holds(), "{}", rollback.proof);
        assert_eq!(without_numbers(&listing()), without_numbers(&without));
        assert_eq!(std::fs::read_dir(&root).expect("it is there").count(), 0);
        assert_eq!(journal.begun, 1);
        let live = RealHost.live(&[]).expect("the live state can be read");
        assert!(plan(&journal.objects, &live, &kubernetes()).is_empty());
    });
}

/// Hardware addresses are random.
fn without_numbers(listing: &str) -> String {
    let is_mac = |word: &str| word.len() == 17 && word.matches(':').count() == 5;
    let words = |line: &str| line.split_whitespace().filter(|word| !is_mac(word)).collect::<Vec<_>>().join(" ");
    listing.lines().map(words).collect::<Vec<_>>().join("\n")
}

#[test]
fn somebody_elses_things_in_the_way_are_refused_and_stay() {
    in_netns(|| {
        let mut journal = Recorder::default();
        journal.record("docker", |_| nft(DOCKER_FIRST));
        journal.record("kubernetes/kube-proxy", |_| {
            nft(KUBERNETES);
            ip("link add cni0 type bridge\naddr add 10.244.0.1/24 dev cni0\nlink set cni0 up\n");
        });
        journal.record("admin/root", |_| {
            nft("add rule ip filter KUBE-SVC tcp dport 22 accept\nadd rule ip filter DOCKER jump KUBE-SEP");
            ip("route add 198.51.100.0/24 dev cni0\n");
        });
        let rollback = run(&mut journal, &kubernetes(), &mut RealHost).expect("it runs");
        assert_eq!(rollback.execution.state, ExecutionState::Done);
        assert!(rollback.proof.holds(), "{} after\n{}", rollback.proof, rollback.plan);
        let refused: BTreeSet<&str> = rollback.plan.refusals().iter().map(|refusal| refusal.what.as_str()).collect();
        let expected =
            ["chain ip filter KUBE-SEP", "chain ip filter KUBE-SVC", "link cni0", "address 10.244.0.1/24 dev cni0"];
        assert!(expected.iter().all(|what| refused.contains(what)), "{}", rollback.plan);
        let listing = listing();
        for stays in ["tcp dport 22 accept", "jump KUBE-SEP", "198.51.100.0/24 dev cni0", "chain DOCKER"] {
            assert!(listing.contains(stays), "{stays} in\n{listing}");
        }
        // the rule that leads to the administrator's rule stays, and with it the set it looks up; the rest goes
        assert!(listing.contains("ip saddr @kube-nets"), "{listing}");
        assert!(!listing.contains("10.244.0.0/16 accept"), "{listing}");
    });
}

/// 1,000 services beside Docker: the whole way, reading included.
#[test]
fn a_thousand_services_are_taken_back_whole() {
    in_netns(|| {
        let mut journal = Recorder::default();
        journal.record("docker", |_| nft(DOCKER_FIRST));
        let before = listing();
        let mut script = String::from("add chain ip filter KUBE-SERVICES\n");
        for service in 0..1_000 {
            for chain in ["SVC", "SEP", "EXT", "FW"] {
                writeln!(script, "add chain ip filter KUBE-{chain}-{service}").expect("memory");
                writeln!(script, "add rule ip filter KUBE-{chain}-{service} counter accept").expect("memory");
            }
            writeln!(script, "add rule ip filter KUBE-SERVICES tcp dport {} jump KUBE-SVC-{service}", service + 1)
                .expect("memory");
            writeln!(script, "add rule ip filter KUBE-SVC-{service} jump KUBE-SEP-{service}").expect("memory");
        }
        script.push_str("insert rule ip filter FORWARD jump KUBE-SERVICES\n");
        journal.record("kubernetes/kube-proxy", |_| nft(&script));
        let live = RealHost.live(&[]).expect("the live state can be read");
        let started = Instant::now();
        let planned = plan(&journal.objects, &live, &kubernetes());
        let planning = started.elapsed();
        let started = Instant::now();
        let rollback = run(&mut journal, &kubernetes(), &mut RealHost).expect("it runs");
        eprintln!("{} steps: plan {planning:?}, whole run {:?}", planned.steps().len(), started.elapsed());
        assert_eq!(rollback.plan.refusals(), []);
        assert!(rollback.proof.holds(), "{}", rollback.proof);
        assert_eq!(listing(), before);
    });
}
