//! Names that people use, looked up.

use std::path::Path;

use crate::control::tests::fixture::world::{self, journal};
use crate::model::change::ChangeKind;
use crate::model::ids::{BootId, Handle, Ifindex};
use crate::model::nft::Family;
use crate::model::object::{Object, Scope};
use crate::model::owner::{Attribution, Evidence};
use crate::model::path::AbsPath;
use crate::model::subject::Subject;
use crate::query::{Destination, Locator, Reach, RulePlace, locate};

fn names(locator: &Locator) -> Vec<String> {
    locate(&journal(), locator, Reach::Now).expect("memory").iter().map(Object::describe).collect()
}

fn rule(family: Family, handle: u64) -> Locator {
    Locator::Rule {
        table: crate::model::nft::TableRef { family, name: "filter".into() },
        chain: "FORWARD".into(),
        place: RulePlace::Handle(Handle(handle)),
    }
}

#[test]
fn things_are_found_by_what_people_call_them() {
    let path = AbsPath::new(Path::new("/etc/cni//net.d/")).expect("absolute");
    for (locator, name) in [
        (rule(Family::Ip, 16), "rule ip filter FORWARD handle 16"),
        (
            Locator::Chain { name: "KUBE-SERVICES".into(), table: None, family: None, legacy: false },
            "chain ip filter KUBE-SERVICES",
        ),
        (Locator::Table { name: "filter".into(), family: Some(Family::Ip), legacy: false }, "table ip filter"),
        (Locator::Link { name: "cni0".into() }, "link cni0"),
        (Locator::Link { name: "cni0-alt".into() }, "link cni0"),
        (
            Locator::Route { destination: "10.244.0.0/24".parse().expect("prefix") },
            "route 10.244.0.0/24 table main dev cni0",
        ),
        (
            Locator::Address { address: "10.244.0.1".parse().expect("address"), prefix: None },
            "address 10.244.0.1/24 dev cni0",
        ),
        (Locator::Path { path }, "dir /etc/cni/net.d"),
    ] {
        assert_eq!(names(&locator), [name], "{locator}");
    }
}

#[test]
fn near_misses_find_nothing() {
    for locator in [
        rule(Family::Ip6, 16),
        rule(Family::Ip, 15),
        Locator::Rule { table: world::filter(), chain: "INPUT".into(), place: RulePlace::Handle(Handle(16)) },
        Locator::Rule { table: world::filter(), chain: "FORWARD".into(), place: RulePlace::Position(1) },
        Locator::Chain { name: "KUBE-SERVICES".into(), table: Some("nat".into()), family: None, legacy: false },
        Locator::Table { name: "filter".into(), family: Some(Family::Inet), legacy: false },
        Locator::Link { name: "cni".into() },
        Locator::Route { destination: Destination::Default },
        Locator::Route { destination: "10.244.0.0/16".parse().expect("prefix") },
        Locator::Address { address: "10.244.0.1".parse().expect("address"), prefix: Some(16) },
        Locator::Path { path: AbsPath::new(Path::new("/etc/cni")).expect("absolute") },
    ] {
        assert_eq!(names(&locator), [""; 0], "{locator}");
    }
}

#[test]
fn a_removed_link_is_shown_only_when_no_living_one_has_its_name() {
    let journal = journal();
    let flannel = Locator::Link { name: "flannel.1".into() };
    let found = locate(&journal, &flannel, Reach::Now).expect("memory");
    assert_eq!(found.iter().map(|object| (object.id.0, object.is_live())).collect::<Vec<_>>(), [(9, false)]);

    let content = found[0].snapshot.clone();
    let nobody = Attribution::unknown(Evidence::Baseline);
    world::record(&journal, 20, ChangeKind::Created, 70, Subject::Link(Ifindex(12)), Some(content), nobody);
    let found = locate(&journal, &flannel, Reach::Now).expect("memory");
    assert_eq!(found.iter().map(|object| (object.id.0, object.is_live())).collect::<Vec<_>>(), [(20, true)]);
}

#[test]
fn kernel_objects_of_an_earlier_boot_are_not_found_and_directories_are() {
    let journal = journal();
    journal.begin(Scope { boot: BootId(*b"the boot after i"), ..world::scope() }, world::at(90));
    let found = |locator: &Locator| locate(&journal, locator, Reach::Now).expect("memory").len();
    assert_eq!(found(&rule(Family::Ip, 16)), 0, "a handle means nothing after a boot");
    assert_eq!(found(&Locator::Link { name: "cni0".into() }), 0);
    assert_eq!(found(&Locator::Path { path: AbsPath::new(Path::new("/etc/cni/net.d")).expect("absolute") }), 1);
}

#[test]
fn destinations_are_default_prefixes_or_hosts() {
    for (text, parsed) in [
        ("default", Destination::Default),
        ("0.0.0.0/0", Destination::Default),
        ("::/0", Destination::Default),
        ("10.0.0.1", Destination::Prefix("10.0.0.1".parse().expect("address"), 32)),
        ("fd00::/64", Destination::Prefix("fd00::".parse().expect("address"), 64)),
    ] {
        assert_eq!(text.parse(), Ok(parsed), "{text}");
    }
    for bad in ["", "10.0.0.0/33", "10.0.0.0/", "10.0.0", "eth0", "fd00::/129"] {
        assert!(bad.parse::<Destination>().is_err(), "{bad}");
    }
}
