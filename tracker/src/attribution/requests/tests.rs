//! Requests and notifications in every order: who is named, and who is not.

use super::*;
use crate::model::ids::Tgid;
use crate::model::link::AddressSubject;
use crate::model::observation::TaskRef;
use crate::model::process::{ExecId, Image, Placement, ProcessKey, ProcessSource};
use crate::model::subject::Subject;

const HERE: NetnsId = NetnsId(1);
const POD: NetnsId = NetnsId(2);
const WINDOW: Window = Window { after: BootTime(0), before: BootTime(1_000) };

fn request(pid: u32, time: u64, protocol: u32, netns: NetnsId, messages: Vec<RequestMessage>) -> (Request, Arc<Actor>) {
    let process = ProcessKey { tgid: Tgid(pid), start: BootTime(1) };
    let task = TaskRef {
        process,
        tid: Tid(pid),
        comm: "ip".to_owned(),
        uid: 0,
        login_uid: None,
        netns,
        cgroup_id: 1,
        ancestors: Vec::new(),
    };
    let image = Image {
        id: ExecId { process, exec: 1 },
        parent: None,
        exe: Some("/sbin/ip".to_owned()),
        comm: "ip".to_owned(),
        argv: Vec::new(),
        argv_truncated: false,
        uid: 0,
        login_uid: None,
        netns,
        placement: Placement::default(),
        seat: Default::default(),
        cni: None,
        source: ProcessSource::Kernel,
    };
    let actor = Arc::new(Actor { image, ancestry: Vec::new(), is_truncated: false });
    let time = BootTime(time);
    let request = Request {
        time,
        task,
        protocol,
        netns,
        portid: Portid(pid),
        length: 64,
        messages,
        is_truncated: false,
        ip_sets: Vec::new(),
        ipvs: Vec::new(),
    };
    (request, actor)
}

fn message(kind: u16, seq: u32, link: LinkMention) -> RequestMessage {
    RequestMessage { kind, flags: 0x605, seq: NetlinkSeq(seq), link, about: Vec::new(), is_deferred: false }
}

fn named(name: &str) -> LinkMention {
    LinkMention { ifname: Some(name.to_owned()), ..LinkMention::default() }
}

fn veth(name: &str) -> LinkNames<'_> {
    LinkNames { ifindex: Ifindex(9), name, old_name: None, kind: Some("veth"), taken: &[] }
}

fn pid_of(found: &Match) -> Option<u32> {
    match found {
        Match::One { actor, .. } => Some(actor.image.id.process.tgid.0),
        Match::Several { .. } | Match::Ambiguous(_) | Match::Lost | Match::None => None,
    }
}

fn several(found: &Match) -> usize {
    match found {
        Match::Several { actors, .. } => actors.len(),
        _ => 0,
    }
}

#[test]
fn a_commit_is_explained_by_the_netfilter_request_of_its_thread_only() {
    let mut table = RequestTable::default();
    for (pid, protocol) in [(10, NETLINK_NETFILTER), (11, NETLINK_ROUTE)] {
        let (request, actor) = request(pid, 5, protocol, HERE, Vec::new());
        table.open(request, actor);
    }
    assert_eq!(pid_of(&table.committed_by(Tid(10), 3, HERE, WINDOW)), Some(10));
    assert_eq!(table.committed_by(Tid(11), 3, HERE, WINDOW), Match::None);
    assert_eq!(table.committed_by(Tid(10), 3, POD, WINDOW), Match::None, "another netns's request commits elsewhere");
}

#[test]
fn a_request_that_ended_before_the_window_explains_nothing() {
    let mut table = RequestTable::default();
    let (request, actor) = request(10, 5, NETLINK_NETFILTER, HERE, Vec::new());
    table.open(request, actor);
    table.close(Tid(10), BootTime(50), Portid(10));
    let later = Window { after: BootTime(60), before: BootTime(90) };
    assert_eq!(table.committed_by(Tid(10), 3, HERE, later), Match::None);
    assert_eq!(pid_of(&table.committed_by(Tid(10), 3, HERE, WINDOW)), Some(10));
}

#[test]
fn numbers_are_exact_and_an_unbound_socket_is_found_by_its_sequence_number() {
    let mut table = RequestTable::default();
    let (request_bound, actor) = request(10, 5, NETLINK_ROUTE, HERE, vec![message(20, 77, LinkMention::default())]);
    table.open(request_bound, actor);
    let (mut unbound, actor) = request(11, 5, NETLINK_ROUTE, HERE, vec![message(20, 88, LinkMention::default())]);
    unbound.portid = Portid(0);
    table.open(unbound, actor);
    let found = table.numbered(Portid(10), NetlinkSeq(77), HERE, WINDOW);
    assert!(matches!(&found, Match::One { is_exact: true, .. }));
    assert_eq!(pid_of(&found), Some(10));
    let found = table.numbered(Portid(4_000), NetlinkSeq(88), HERE, WINDOW);
    assert!(matches!(&found, Match::One { is_exact: false, .. }));
    assert_eq!(pid_of(&found), Some(11));
    assert_eq!(table.numbered(Portid(10), NetlinkSeq(78), HERE, WINDOW), Match::None);
}

#[test]
fn a_veth_peer_made_from_inside_a_pod_is_found_by_the_peers_name() {
    let mut table = RequestTable::default();
    let mention = LinkMention {
        ifname: Some("eth0".to_owned()),
        peer_ifname: Some("veth3f".to_owned()),
        kind: Some("veth".to_owned()),
        moves_netns: true,
        ifindex: None,
    };
    let (request, actor) = request(10, 5, NETLINK_ROUTE, POD, vec![message(RTM_NEWLINK, 1, mention)]);
    table.open(request, actor);
    let found = table.naming(veth("veth3f"), LinkAct::Appeared, HERE, WINDOW);
    assert_eq!(pid_of(&found), Some(10));
    assert!(matches!(found, Match::One { is_exact: false, .. }));
}

#[test]
fn two_processes_naming_one_link_are_ambiguous_and_one_link_uses_a_request_up() {
    let mut table = RequestTable::default();
    for pid in [10, 11] {
        let (request, actor) = request(pid, 5, NETLINK_ROUTE, HERE, vec![message(RTM_NEWLINK, 1, named("cni0"))]);
        table.open(request, actor);
    }
    assert_eq!(several(&table.naming(veth("cni0"), LinkAct::Appeared, HERE, WINDOW)), 2);

    let mut table = RequestTable::default();
    let (first, actor) = request(10, 5, NETLINK_ROUTE, HERE, vec![message(RTM_NEWLINK, 1, named("a"))]);
    table.open(first, actor);
    assert_eq!(pid_of(&table.naming(veth("a"), LinkAct::Appeared, HERE, WINDOW)), Some(10));
    let (second, actor) = request(11, 6, NETLINK_ROUTE, HERE, vec![message(RTM_NEWLINK, 1, named("a"))]);
    table.open(second, actor);
    assert_eq!(pid_of(&table.naming(veth("a"), LinkAct::Appeared, HERE, WINDOW)), Some(11));
}

#[test]
fn a_kernel_chosen_name_is_matched_by_its_pattern() {
    assert!(fits_pattern("veth%d", "veth12"));
    assert!(!fits_pattern("veth%d", "veth"));
    assert!(!fits_pattern("veth%d", "vethx1"));
    assert!(!fits_pattern("veth", "veth1"));
    let mut table = RequestTable::default();
    let mention =
        LinkMention { ifname: Some("veth%d".to_owned()), kind: Some("veth".to_owned()), ..LinkMention::default() };
    let (request, actor) = request(10, 5, NETLINK_ROUTE, HERE, vec![message(RTM_NEWLINK, 1, mention)]);
    table.open(request, actor);
    assert_eq!(pid_of(&table.naming(veth("veth0"), LinkAct::Appeared, HERE, WINDOW)), Some(10));
    assert_eq!(table.naming(veth("eth7"), LinkAct::Appeared, HERE, WINDOW), Match::None);
}

#[test]
fn an_ifindex_of_another_netns_means_nothing_here() {
    let mut table = RequestTable::default();
    let mention = LinkMention { ifindex: Some(Ifindex(9)), ..LinkMention::default() };
    let (request, actor) = request(10, 5, NETLINK_ROUTE, POD, vec![message(RTM_DELLINK, 1, mention)]);
    table.open(request, actor);
    assert_eq!(table.naming(veth("x"), LinkAct::Disappeared, HERE, WINDOW), Match::None);
}

#[test]
fn queries_are_no_changes() {
    let (get, _) = request(10, 5, NETLINK_ROUTE, HERE, vec![message(18, 1, LinkMention::default())]);
    assert!(!RequestTable::is_change(&get));
    let (new, _) = request(10, 5, NETLINK_ROUTE, HERE, vec![message(16, 1, named("x"))]);
    assert!(RequestTable::is_change(&new));
}

#[test]
fn after_a_loss_content_proves_nothing_until_the_queues_were_empty_once_more() {
    let mut table = RequestTable::default();
    let (named, actor) = request(10, 5, NETLINK_ROUTE, HERE, vec![message(RTM_NEWLINK, 7, named("cni0"))]);
    table.open(named, actor);
    table.lost(BootTime(50));
    assert_eq!(table.naming(veth("cni0"), LinkAct::Appeared, HERE, WINDOW), Match::Lost);
    assert_eq!(pid_of(&table.numbered(Portid(10), NetlinkSeq(7), HERE, WINDOW)), Some(10), "the kernel's word counts");
    assert_eq!(table.numbered(Portid(11), NetlinkSeq(7), HERE, WINDOW), Match::Lost);
    // its end was not seen, and may be long ago
    let later = Window { after: BootTime(60), before: BootTime(90) };
    assert_eq!(table.naming(veth("cni0"), LinkAct::Appeared, HERE, later), Match::None);
}

#[test]
fn a_request_ends_with_its_process() {
    let mut table = RequestTable::default();
    let (named, actor) = request(10, 5, NETLINK_ROUTE, HERE, vec![message(RTM_NEWLINK, 7, named("cni0"))]);
    let process = actor.image.id.process;
    table.open(named, actor);
    table.exited(process, BootTime(20));
    let later = Window { after: BootTime(60), before: BootTime(90) };
    assert_eq!(table.naming(veth("cni0"), LinkAct::Appeared, HERE, later), Match::None);
    table.forget_before(later);
    assert!(table.closed.is_empty() && table.open.is_empty());
}

#[test]
fn only_a_request_that_can_have_done_it_explains_it() {
    let with = |kind, flags, link| {
        let mut table = RequestTable::default();
        let message = RequestMessage { flags, ..message(kind, 1, link) };
        let (request, actor) = request(10, 5, NETLINK_ROUTE, HERE, vec![message]);
        table.open(request, actor);
        table
    };
    let pid = |mut table: RequestTable, act| pid_of(&table.naming(veth("cni0"), act, HERE, WINDOW));
    let bridge = LinkMention { kind: Some("bridge".to_owned()), ..named("cni0") };
    assert_eq!(pid(with(RTM_NEWLINK, 0x605, bridge), LinkAct::Appeared), None, "another kind of link");
    assert_eq!(pid(with(RTM_NEWLINK, 5, named("cni0")), LinkAct::Appeared), None, "without leave to create");
    assert_eq!(pid(with(RTM_NEWLINK, 5, named("cni0")), LinkAct::Changed), Some(10));
    assert_eq!(pid(with(RTM_NEWLINK, 5, named("cni0")), LinkAct::Disappeared), None, "setting deletes nothing");
    let moved = |ifindex| LinkMention { ifindex: Some(Ifindex(ifindex)), moves_netns: true, ..LinkMention::default() };
    assert_eq!(pid(with(RTM_NEWLINK, 5, moved(9)), LinkAct::Disappeared), Some(10));
    assert_eq!(pid(with(RTM_NEWLINK, 5, moved(8)), LinkAct::Disappeared), None, "another link was moved");
    let dummy = LinkMention { kind: Some("dummy".to_owned()), ..named("mine") };
    let mut table = with(RTM_NEWLINK, 0x605, dummy);
    let link = LinkNames { name: "dummy0", kind: Some("dummy"), ..veth("") };
    assert_eq!(table.naming(link, LinkAct::Appeared, HERE, WINDOW), Match::None, "only pairs have another end");
}

#[test]
fn a_thread_that_executed_another_program_may_have_committed_before_or_after() {
    let mut table = RequestTable::default();
    for exec in [1, 2] {
        let (mut request, actor) = request(10, u64::from(exec), NETLINK_NETFILTER, HERE, Vec::new());
        let mut actor = Arc::unwrap_or_clone(actor);
        actor.image.id.exec = exec;
        request.messages = vec![message(BATCH_BEGIN, 1, LinkMention::default())];
        table.open(request, Arc::new(actor));
    }
    assert_eq!(several(&table.committed_by(Tid(10), 3, HERE, WINDOW)), 2);
    let (mut list, actor) = request(11, 5, NETLINK_NETFILTER, HERE, Vec::new());
    list.messages = vec![message(10 << 8 | 7, 1, LinkMention::default())];
    table.open(list, actor);
    assert_eq!(table.committed_by(Tid(11), 3, HERE, WINDOW), Match::None, "a query commits nothing");
}

fn ipv6(last: u16) -> Subject {
    let address = std::net::Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last).into();
    Subject::Address(AddressSubject { ifindex: Ifindex(9), address, prefix: 64 })
}

/// A request to add (20) or delete (21) IPv6 addresses.
fn addresses(kind: u16, about: &[u16], is_deferred: bool) -> Vec<RequestMessage> {
    let about = about.iter().map(|last| ipv6(*last)).collect();
    vec![RequestMessage { about, is_deferred, ..message(kind, 1, LinkMention::default()) }]
}

#[test]
fn an_ipv6_address_is_matched_by_what_the_request_is_about() {
    let mut table = RequestTable::default();
    for (pid, netns, kind, last) in [(10, HERE, 20, 1), (11, HERE, 20, 2), (12, POD, 20, 3), (13, HERE, 21, 4)] {
        let (request, actor) = request(pid, 5, NETLINK_ROUTE, netns, addresses(kind, &[last], false));
        table.open(request, actor);
    }
    let told = |last, is_removal| table.about(&ipv6(last), is_removal, Portid(0), HERE, WINDOW);
    assert_eq!(pid_of(&told(1, false)), Some(10));
    assert_eq!(pid_of(&told(2, false)), Some(11));
    assert!(matches!(told(1, false), Match::One { is_exact: false, .. }));
    assert_eq!(told(1, true), Match::None, "nobody asked to remove it");
    assert_eq!(told(3, false), Match::None, "that address is in another network namespace");
    assert_eq!((told(4, false), pid_of(&told(4, true))), (Match::None, Some(13)));
    assert_eq!(pid_of(&table.about(&ipv6(1), false, Portid(10), HERE, WINDOW)), Some(10));
    assert!(matches!(table.about(&ipv6(1), false, Portid(10), HERE, WINDOW), Match::One { is_exact: true, .. }));
}

#[test]
fn two_that_ask_for_one_address_are_both_named_and_a_cut_request_proves_nothing() {
    let mut table = RequestTable::default();
    for pid in [10, 11] {
        let (request, actor) = request(pid, 5, NETLINK_ROUTE, HERE, addresses(20, &[1], false));
        table.open(request, actor);
    }
    assert_eq!(several(&table.about(&ipv6(1), false, Portid(0), HERE, WINDOW)), 2);
    let (mut flush, actor) = request(12, 5, NETLINK_ROUTE, HERE, addresses(21, &[5, 6], false));
    flush.is_truncated = true;
    table.open(flush, actor);
    assert_eq!(pid_of(&table.about(&ipv6(5), true, Portid(0), HERE, WINDOW)), Some(12));
    assert_eq!(
        table.about(&ipv6(7), true, Portid(0), HERE, WINDOW),
        Match::Lost,
        "it may stand behind what was captured"
    );
    assert_eq!(table.about(&ipv6(7), false, Portid(0), HERE, WINDOW), Match::None);
}

#[test]
fn what_a_worker_announces_later_is_still_the_requesters() {
    let mut table = RequestTable::default();
    for (pid, last, is_deferred) in [(10, 1, true), (11, 2, false)] {
        let (request, actor) = request(pid, 5, NETLINK_ROUTE, HERE, addresses(20, &[last], is_deferred));
        table.open(request, actor);
        table.close(Tid(pid), BootTime(10), Portid(pid));
    }
    let later = Window { after: BootTime(1_000_000), before: BootTime(2_000_000) };
    table.forget_before(later);
    assert_eq!(pid_of(&table.about(&ipv6(1), false, Portid(0), HERE, later)), Some(10));
    assert_eq!(table.about(&ipv6(2), false, Portid(0), HERE, later), Match::None, "that was announced at once");
    assert_eq!(table.about(&ipv6(1), true, Portid(0), HERE, later), Match::None);
    let much_later = Window { after: BootTime(6_000_000_000), before: BootTime(6_000_000_001) };
    table.forget_before(much_later);
    assert_eq!(table.about(&ipv6(1), false, Portid(0), HERE, much_later), Match::None);
}

#[test]
fn an_ioctl_names_links_as_netlink_does_and_answers_no_sequence_number() {
    let mut table = RequestTable::default();
    let bridge = LinkMention { kind: Some("bridge".to_owned()), ..named("br7") };
    let (mut by_ioctl, actor) = request(10, 5, IOCTL, HERE, vec![message(RTM_NEWLINK, 0, bridge)]);
    by_ioctl.portid = Portid(0);
    assert!(RequestTable::is_change(&by_ioctl));
    table.open(by_ioctl, actor);
    let link = LinkNames { kind: Some("bridge"), ..veth("br7") };
    assert_eq!(pid_of(&table.naming(link, LinkAct::Appeared, HERE, WINDOW)), Some(10));
    assert_eq!(table.numbered(Portid(77), NetlinkSeq(0), HERE, WINDOW), Match::None);
}

#[test]
fn a_link_keeps_its_number_when_it_moves_unless_somebody_has_it() {
    let mut table = RequestTable::default();
    let moved = LinkMention { ifindex: Some(Ifindex(4)), moves_netns: true, ..LinkMention::default() };
    let (request, actor) = request(10, 5, NETLINK_ROUTE, POD, vec![message(RTM_NEWLINK, 1, moved)]);
    table.open(request, actor);
    let link = |ifindex, taken| LinkNames { ifindex: Ifindex(ifindex), taken, ..veth("x") };
    let here = |table: &mut RequestTable, link| pid_of(&table.naming(link, LinkAct::Appeared, HERE, WINDOW));
    assert_eq!(here(&mut table, link(9, &[])), None, "the kernel had no reason to give it another number");
    assert_eq!(here(&mut table, link(9, &[Ifindex(4)])), Some(10));
    let mut table = RequestTable::default();
    let moved = LinkMention { ifindex: Some(Ifindex(4)), moves_netns: true, ..LinkMention::default() };
    let (request, actor) = request_again(moved);
    table.open(request, actor);
    assert_eq!(here(&mut table, link(4, &[])), Some(10));
}

fn request_again(link: LinkMention) -> (Request, Arc<Actor>) {
    request(10, 5, NETLINK_ROUTE, POD, vec![message(RTM_NEWLINK, 1, link)])
}
