//! Batch deletions against the real kernel, each test in a network namespace of its own. Needs root and nft(8).

#![expect(clippy::print_stderr, reason = "the time a large batch takes is worth seeing")]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use netdeed_tests::namespace::{in_netns, nft, output_of};
use netdeed_tracker::capture::nfnetlink::{NftDump, dump};
use netdeed_tracker::host::{HostError, NftBatch, NftDelete, nft::commit};
use netdeed_tracker::model::ids::Handle;
use netdeed_tracker::model::nft::{Family, NftItem, NftSnapshot, TableRef};
use netdeed_tracker::model::subject::{Snapshot, Subject};

fn ruleset() -> String {
    output_of("nft -s list ruleset")
}

fn table(family: Family, name: &str) -> TableRef {
    TableRef { family, name: name.into() }
}

fn whole(dump: &NftDump) -> &[(Subject, Snapshot)] {
    assert!(dump.undecoded.is_empty(), "{:?}", dump.undecoded);
    &dump.objects
}

fn rules(dump: &NftDump, wanted: &str) -> Vec<Handle> {
    let handle = |(subject, _): &(Subject, Snapshot)| match subject {
        Subject::Nft(nft) => match &nft.item {
            NftItem::Rule { chain, handle } if chain.as_str() == wanted => Some(*handle),
            _ => None,
        },
        _ => None,
    };
    whole(dump).iter().filter_map(handle).collect()
}

/// Attributes of the elements of a set, as dumped.
fn elements(dump: &NftDump, wanted: &str) -> Vec<Vec<u8>> {
    let attributes = |(subject, snapshot): &(Subject, Snapshot)| match (subject, snapshot) {
        (Subject::Nft(nft), Snapshot::Nft(NftSnapshot::Element(element))) => match &nft.item {
            NftItem::Element { set, .. } if set.as_str() == wanted => Some(element.attributes.clone()),
            _ => None,
        },
        _ => None,
    };
    whole(dump).iter().filter_map(attributes).collect()
}

const FOREIGN: &str = "table ip filter {
    set allowed { type ipv4_addr; elements = { 192.0.2.1 } }
    chain INPUT { type filter hook input priority 0; policy accept; tcp dport 22 accept; }
    chain FORWARD { type filter hook forward priority 0; policy drop; iifname \"docker0\" accept; }
}";

#[test]
fn each_kind_of_deletion_does_what_it_says_and_nothing_else() {
    in_netns(|| {
        nft(FOREIGN);
        let before = ruleset();
        nft("table ip filter {
            chain KUBE-A { tcp dport 1 jump KUBE-B; counter; }
            chain KUBE-B { tcp dport 2 drop; }
            counter kube-count { }
            set kube-set { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 }; }
            map kube-map { type inet_service : verdict; elements = { 1 : jump KUBE-B }; }
            map kube-counts { type inet_service : counter; elements = { 1 : \"kube-count\" }; }
        }
        add element ip filter allowed { 10.1.2.3, 10.1.2.4 }
        add rule ip filter FORWARD ip saddr @kube-set jump KUBE-A
        add rule ip filter FORWARD tcp dport vmap @kube-map
        add rule ip filter FORWARD tcp dport { 80, 443 } counter name \"kube-count\"
        table inet kube { chain c { type filter hook input priority 5; ip saddr 10.0.0.1 drop; }; }");
        let dump = dump().expect("dump");
        let it = table(Family::Ip, "filter");
        let mut batch = NftBatch::new(dump.generation);
        for handle in rules(&dump, "FORWARD").into_iter().skip(1) {
            batch.push(NftDelete::Rule { table: it.clone(), chain: "FORWARD".into(), handle });
        }
        for chain in ["KUBE-A", "KUBE-B"] {
            batch.push(NftDelete::RulesOf { table: it.clone(), chain: chain.into() });
        }
        // 192.0.2.1 is somebody else's: its key ends with that address
        let ours = elements(&dump, "allowed").into_iter().filter(|key| !key.windows(4).any(|ip| ip == [192, 0, 2, 1]));
        for attributes in ours {
            batch.push(NftDelete::Element { table: it.clone(), set: "allowed".into(), attributes });
        }
        for map in ["kube-map", "kube-counts"] {
            batch.push(NftDelete::ElementsOf { table: it.clone(), set: map.into() });
            batch.push(NftDelete::Set { table: it.clone(), set: map.into() });
        }
        batch.push(NftDelete::Set { table: it.clone(), set: "kube-set".into() });
        for chain in ["KUBE-A", "KUBE-B"] {
            batch.push(NftDelete::Chain { table: it.clone(), chain: chain.into() });
        }
        batch.push(NftDelete::Object { table: it, kind: 1, name: "kube-count".into() });
        batch.push(NftDelete::Table { table: table(Family::Inet, "kube") });
        commit(&batch).expect("the kernel takes the batch");
        assert_eq!(ruleset(), before);
    });
}

#[test]
fn interval_elements_of_somebody_elses_set_can_be_deleted() {
    in_netns(|| {
        nft("table ip t { set s { type ipv4_addr; flags interval; elements = { 192.0.2.0/24 }; }; }");
        let before = ruleset();
        let known = elements(&dump().expect("dump"), "s");
        nft("add element ip t s { 10.0.0.0/8, 172.16.0.1-172.16.0.9 }");
        let dump = dump().expect("dump");
        let mut batch = NftBatch::new(dump.generation);
        // dumped from the last to the first, but an end is only found after its start
        for attributes in elements(&dump, "s").into_iter().rev().filter(|element| !known.contains(element)) {
            batch.push(NftDelete::Element { table: table(Family::Ip, "t"), set: "s".into(), attributes });
        }
        commit(&batch).expect("the kernel takes the batch");
        assert_eq!(ruleset(), before);
    });
}

#[test]
fn a_stale_generation_is_a_conflict_and_changes_nothing() {
    in_netns(|| {
        nft(FOREIGN);
        let dump = dump().expect("dump");
        nft("add rule ip filter INPUT tcp dport 80 accept");
        let before = ruleset();
        let mut batch = NftBatch::new(dump.generation);
        batch.push(NftDelete::Table { table: table(Family::Ip, "filter") });
        let answer = commit(&batch);
        assert!(
            matches!(answer, Err(HostError::GenerationConflict { planned }) if planned == dump.generation.0),
            "{answer:?}"
        );
        assert_eq!(ruleset(), before);
    });
}

#[test]
fn one_refused_deletion_undoes_the_batch_and_is_named() {
    in_netns(|| {
        nft(FOREIGN);
        nft("table ip filter { chain KUBE-A { drop; }; chain KUBE-B { drop; }; }
            add rule ip filter FORWARD jump KUBE-B");
        let before = ruleset();
        let it = table(Family::Ip, "filter");
        let mut batch = NftBatch::new(dump().expect("dump").generation);
        for chain in ["KUBE-A", "KUBE-B"] {
            batch.push(NftDelete::RulesOf { table: it.clone(), chain: chain.into() });
        }
        for chain in ["KUBE-A", "KUBE-B", "KUBE-C"] {
            batch.push(NftDelete::Chain { table: it.clone(), chain: chain.into() });
        }
        let Err(HostError::Io { object, source, .. }) = commit(&batch) else { panic!("the batch must be refused") };
        assert_eq!(object, "`chain ip filter KUBE-B` and 1 more");
        assert_eq!(source.raw_os_error(), Some(libc::EBUSY));
        assert_eq!(ruleset(), before);
    });
}

#[test]
fn a_chain_with_rules_left_is_not_taken_by_accident() {
    in_netns(|| {
        nft("table ip t { chain c { drop; }; }");
        let mut batch = NftBatch::new(dump().expect("dump").generation);
        batch.push(NftDelete::Chain { table: table(Family::Ip, "t"), chain: "c".into() });
        assert!(matches!(commit(&batch), Err(HostError::Io { .. })));
        assert_eq!(rules(&dump().expect("dump"), "c").len(), 1);
    });
}

/// 5,000 services' worth: 20,000 chains, 55,000 rules, beside a foreign chain.
#[test]
fn twenty_thousand_chains_go_in_well_under_a_second() {
    in_netns(|| {
        const SERVICES: usize = 5_000;
        nft(FOREIGN);
        let before = ruleset();
        let mut script = String::from("add chain ip filter KUBE-SERVICES\n");
        for chain in 0..SERVICES * 4 {
            writeln!(script, "add chain ip filter KUBE-{chain}").expect("memory");
        }
        for service in 0..SERVICES {
            let first = service * 4;
            writeln!(script, "add rule ip filter KUBE-SERVICES tcp dport {} jump KUBE-{first}", service + 1)
                .expect("memory");
            for chain in first..first + 4 {
                writeln!(script, "add rule ip filter KUBE-{chain} counter").expect("memory");
                writeln!(script, "add rule ip filter KUBE-{chain} drop").expect("memory");
            }
            for endpoint in first + 1..first + 3 {
                writeln!(script, "add rule ip filter KUBE-{first} jump KUBE-{endpoint}").expect("memory");
            }
        }
        script.push_str("add rule ip filter FORWARD jump KUBE-SERVICES\n");
        nft(&script);

        let read = Instant::now();
        let dump = dump().expect("dump");
        let read = read.elapsed();
        let it = table(Family::Ip, "filter");
        let chains: Vec<_> = std::iter::once("KUBE-SERVICES".to_owned())
            .chain((0..SERVICES * 4).map(|chain| format!("KUBE-{chain}")))
            .collect();
        let started = Instant::now();
        let mut batch = NftBatch::new(dump.generation);
        let handle = *rules(&dump, "FORWARD").last().expect("the jump");
        batch.push(NftDelete::Rule { table: it.clone(), chain: "FORWARD".into(), handle });
        for chain in &chains {
            batch.push(NftDelete::RulesOf { table: it.clone(), chain: chain.as_str().into() });
        }
        for chain in &chains {
            batch.push(NftDelete::Chain { table: it.clone(), chain: chain.as_str().into() });
        }
        commit(&batch).expect("the kernel takes the batch");
        let took = started.elapsed();
        eprintln!(
            "dump of {} objects {read:?}, batch of {} deletions {took:?}",
            dump.objects.len(),
            batch.commands().len()
        );
        assert_eq!(ruleset(), before);
        assert!(took < Duration::from_secs(5), "{took:?}");
    });
}
