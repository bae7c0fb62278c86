//! nf_tables capture against the running kernel and the real tools, in network namespaces of their own. Needs root.

mod nft_ledger;

use std::ffi::OsStr;
use std::net::UdpSocket;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use netdeed_tests::namespace::{in_netns, nft, run, run_with};
use netdeed_tracker::capture::nfnetlink::{NftSource, dump, dump_chain, generation};
use netdeed_tracker::capture::{CaptureError, Raw, RawSource};
use netdeed_tracker::model::gap::Source;
use netdeed_tracker::model::ids::{ChainName, Generation, Tid};
use netdeed_tracker::model::nft::{Family, NftItem, NftSnapshot, NftSubject, RuleSnapshot, TableRef};
use netdeed_tracker::model::observation::Observation;
use netdeed_tracker::model::subject::{Snapshot, Subject};
use netdeed_tracker::render;

use nft_ledger::{Ledger, assert_agree, observe};

/// Enough for every batch here but the ones meant to overrun.
const LARGE: usize = 64 << 20;

fn commits(observations: &[Observation]) -> Vec<(Generation, Option<Tid>, Option<&str>)> {
    observations
        .iter()
        .filter_map(|observation| match observation {
            Observation::NftCommitted { generation, tid, comm } => Some((*generation, *tid, comm.as_deref())),
            _ => None,
        })
        .collect()
}

fn rules(observations: &[Observation]) -> Vec<(&Subject, &RuleSnapshot)> {
    observations
        .iter()
        .filter_map(|observation| match observation {
            Observation::Nft { subject, after: Some(Snapshot::Nft(NftSnapshot::Rule(rule))) } => Some((subject, rule)),
            _ => None,
        })
        .collect()
}

#[test]
fn every_tool_is_seen_with_its_own_tid() {
    in_netns(|| {
        let mut source = NftSource::open(LARGE).expect("opens");
        let restore =
            "*filter\n:KUBE-X - [0:0]\n-A KUBE-X -s 10.1.0.0/16 -m comment --comment \"a b\" -j RETURN\nCOMMIT\n";
        let tools: [(&str, &dyn Fn() -> u32, &str); 6] = [
            ("nft", &|| nft("add table ip t"), "nft"),
            ("iptables-nft", &|| run("iptables-nft -A FORWARD -j ACCEPT"), "iptables-nft"),
            ("ip6tables-nft", &|| run("ip6tables-nft -A INPUT -p tcp --dport 22 -j DROP"), "ip6tables-nft"),
            ("restore", &|| run_with(restore, &["iptables-nft-restore", "--noflush"]), "iptables-nft-re"),
            ("restore, flushing", &|| run_with(restore, &["iptables-nft-restore"]), "iptables-nft-re"),
            ("delete", &|| nft("delete table ip t"), "nft"),
        ];
        let mut last = generation().expect("answers");
        for (what, tool, comm) in tools {
            let pid = tool();
            let seen = observe(&mut source);
            let commits = commits(&seen);
            assert!(!commits.is_empty(), "{what}: no commit seen");
            for (generation, tid, name) in commits {
                assert_eq!((tid, name), (Some(Tid(pid)), Some(comm)), "{what}");
                assert_eq!(generation.0, last.0 + 1, "{what}: generations follow each other");
                last = generation;
            }
            assert!(
                matches!(seen.last(), Some(Observation::NftCommitted { .. })),
                "{what}: the commit closes the batch"
            );
        }
        assert_eq!(generation().expect("answers"), last);
    });
}

fn text_of(rule: &RuleSnapshot) -> String {
    render::nft(Family::Ip, rule, &()).text
}

#[test]
fn references_and_comments_are_found() {
    in_netns(|| {
        let mut source = NftSource::open(LARGE).expect("opens");
        nft(r#"table inet t {
            set s { type ipv4_addr; }
            map m { type ipv4_addr : verdict; elements = { 1.1.1.1 : jump c2 } }
            counter cc { }
            chain c2 { accept; }
            chain c3 { accept; }
            chain c1 {
                ip saddr vmap @m
                add @s { ip saddr } counter name cc goto c3 comment "ho"
            }
        }"#);
        let seen = observe(&mut source);
        let rules = rules(&seen);
        let rule = |text: &str| rules.iter().find(|(_, rule)| text_of(rule).contains(text)).expect("seen").1;
        let names = |rule: &RuleSnapshot| {
            let RuleSnapshot { chains, sets, objects, .. } = rule;
            format!("{chains:?} {sets:?} {objects:?}")
        };
        assert_eq!(names(rule("lookup")), r#"[] [SetName("m")] []"#);
        let adding = rule("goto");
        assert_eq!(names(adding), r#"[ChainName("c3")] [SetName("s")] [ObjectName("cc")]"#);
        assert_eq!(adding.comment.as_deref(), Some("ho"));
        let of_element = seen.iter().find_map(|observation| match observation {
            Observation::Nft { after: Some(Snapshot::Nft(NftSnapshot::Element(element))), .. } => Some(element),
            _ => None,
        });
        assert_eq!(of_element.expect("seen").chains, [ChainName::from("c2")]);
    });
}

/// Every kind of object but flowtables, which not every kernel has.
const RULESET: &str = r#"table inet t {
            set s { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 1.2.3.4 } }
            set dyn { type ipv4_addr; timeout 1h; elements = { 9.9.9.9 timeout 5m, 8.8.8.8 comment "dns" } }
            set counted { type ipv4_addr; counter; elements = { 9.9.9.9 counter packets 4 bytes 5 } }
            set both { type ipv4_addr . inet_service; flags interval; elements = { 10.0.0.0/8 . 80-90 } }
            map m { type ipv4_addr : verdict; elements = { 1.1.1.1 : jump c2, 2.2.2.2 : drop } }
            map ports { type inet_service : ipv4_addr; elements = { 80 : 1.1.1.1 } }
            map objects { type ipv4_addr : counter; elements = { 1.1.1.1 : "cc" } }
            counter cc { packets 5 bytes 6 }
            quota qq { 10 mbytes used 5 kbytes }
            limit ll { rate 5/second }
            ct helper hh { type "ftp" protocol tcp; }
            chain c2 { accept; }
            chain c1 { type filter hook output priority 0; policy accept;
                ip saddr @s counter drop
                ip saddr { 1.1.1.1, 2.2.2.2 } tcp dport { 80, 443 } accept comment "ho"
                ip saddr vmap @m
                ip saddr . tcp dport vmap { 1.1.1.1 . 80 : jump c2, 2.2.2.2 . 81 : drop }
                counter name cc quota name qq limit name ll
                quota over 5 mbytes drop
                add @dyn { ip saddr timeout 1m limit rate 1/second }
                numgen random mod 2 vmap { 0 : accept, 1 : goto c2 }
            }
        }
        table netdev n { chain i { type filter hook ingress devices = { d0, d1 } priority 0; ip saddr 1.2.3.4 drop; } ; }
        table ip6 six { chain a { ip6 saddr fe80::/10 accept; } ; }
        table bridge b { chain a { ether saddr 02:00:00:00:00:01 drop; } ; }
        table arp a { chain a { arp operation 1 accept; } ; }"#;

#[test]
fn notifications_add_up_to_the_dump() {
    in_netns(|| {
        let mut source = NftSource::open(LARGE).expect("opens");
        let mut ledger = Ledger::default();
        run("ip link set lo up");
        run("ip link add d0 type veth peer name d1");
        let restore =
            "*filter\n:FORWARD DROP [1:2]\n:KUBE-X - [0:0]\n-A FORWARD -j KUBE-X\n-A KUBE-X -j RETURN\nCOMMIT\n";
        let steps: [(&str, &dyn Fn() -> u32); 24] = [
            ("ruleset", &|| nft(RULESET)),
            ("elements", &|| nft("add element inet t s { 5.5.5.0/24 }; delete element inet t dyn { 8.8.8.8 }")),
            ("restore", &|| run_with(restore, &["iptables-nft-restore"])),
            ("restore again", &|| run_with(restore, &["iptables-nft-restore"])),
            ("restore, noflush", &|| run_with(restore, &["iptables-nft-restore", "--noflush"])),
            ("policy", &|| run("iptables-nft -P FORWARD ACCEPT")),
            ("six", &|| run("ip6tables-nft -A INPUT -s fe80::1 -j DROP")),
            ("insert", &|| run("iptables-nft -I FORWARD 1 -j ACCEPT")),
            ("replace", &|| run("iptables-nft -R FORWARD 1 -j DROP")),
            ("flush set", &|| nft("flush set inet t s")),
            ("flush map", &|| nft("flush map inet t m")),
            ("rename", &|| nft("rename chain inet t c1 c9")),
            ("rename and use", &|| nft("add rule inet t c9 drop; rename chain inet t c9 c1")),
            ("dormant", &|| nft("add table inet t { flags dormant; }")),
            ("awake", &|| nft("table inet t { }")),
            ("flush chain", &|| nft("flush chain inet t c1")),
            ("delete set", &|| nft("delete set inet t counted; delete map inet t objects; delete set inet t both")),
            ("delete objects", &|| nft("delete counter inet t cc; delete quota inet t qq; delete ct helper inet t hh")),
            ("delete chain", &|| nft("delete chain inet t c1; delete chain netdev n i")),
            ("made again", &|| nft(&format!("delete table inet t; delete table netdev n; {RULESET}"))),
            ("flush table", &|| nft("flush table inet t")),
            ("delete rules", &|| run("iptables-nft -F")),
            ("delete chains", &|| run("iptables-nft -X")),
            ("flush ruleset", &|| nft("flush ruleset")),
        ];
        for (what, step) in steps {
            step();
            ledger.apply(&observe(&mut source));
            let dump = dump().expect("dumps");
            println!("after `{what}`: {} objects", dump.objects.len());
            assert_agree(&ledger, &dump);
        }
        assert!(ledger.0.is_empty());
    });
}

#[test]
fn traffic_does_not_change_content() {
    in_netns(|| {
        let mut source = NftSource::open(LARGE).expect("opens");
        run("ip link set lo up");
        for matching in [
            "limit --limit 5/min",
            "statistic --mode nth --every 3 --packet 0",
            "statistic --mode random --probability 0.5",
            "quota --quota 2000",
            "hashlimit --hashlimit-name netdeed --hashlimit-above 5/sec --hashlimit-mode srcip",
            "recent --name netdeed --set",
            "connlimit --connlimit-above 3",
            "conntrack --ctstate NEW",
        ] {
            run(&format!("iptables-nft -A OUTPUT -m {matching}"));
        }
        nft(r#"table ip t {
            counter cc { }
            quota qq { 500 bytes }
            set seen { type inet_service; flags dynamic; counter; elements = { 9 } }
            chain o { type filter hook output priority 10;
                counter name cc quota name qq
                quota over 700 bytes counter
                limit rate 2/second counter
                udp dport @seen counter
                ct count over 2 counter
                numgen inc mod 3 == 0 counter
            }
        }"#);
        let mut ledger = Ledger::default();
        ledger.apply(&observe(&mut source));
        let before = dump().expect("dumps");
        let socket = UdpSocket::bind("127.0.0.1:0").expect("binds");
        for _ in 0..100 {
            // nobody listens there, which the socket may hear about; only that packets leave counts
            let _ = socket.send_to(&[0; 64], "127.0.0.1:9");
        }
        let after = dump().expect("dumps");
        assert_ne!(before.objects, after.objects, "counters have counted");
        assert_eq!(nft_ledger::digests(&before), nft_ledger::digests(&after));
        // the quota that was used up was announced outside of any commit
        assert_eq!(observe(&mut source), []);
        assert_agree(&ledger, &after);
    });
}

#[test]
fn one_chain_is_dumped_in_order() {
    in_netns(|| {
        nft("table ip t { chain c { ip saddr 1.1.1.1 drop; } ; chain other { drop; } ; }");
        nft("insert rule ip t c ip saddr 2.2.2.2 drop; add rule ip t c ip saddr 3.3.3.3 drop");
        let table = TableRef { family: Family::Ip, name: "t".into() };
        let texts: Vec<String> = dump_chain(&table, &"c".into())
            .expect("dumps")
            .into_iter()
            .map(|(_, snapshot)| match snapshot {
                Snapshot::Nft(NftSnapshot::Rule(rule)) => text_of(&rule),
                other => panic!("expected a rule but found {other:?}"),
            })
            .collect();
        assert_eq!(texts, ["ip saddr 2.2.2.2 drop", "ip saddr 1.1.1.1 drop", "ip saddr 3.3.3.3 drop"]);
        let error = dump_chain(&table, &"absent".into()).expect_err("no such chain");
        assert!(
            matches!(&error, CaptureError::Refused { source, .. } if source.raw_os_error() == Some(libc::ENOENT)),
            "{error:?}"
        );
    });
}

#[test]
fn names_that_are_not_utf8_are_seen_and_dumped() {
    in_netns(|| {
        let mut source = NftSource::open(LARGE).expect("opens");
        let mut ledger = Ledger::default();
        let name = OsStr::from_bytes(b"odd\xff\xfe");
        for arguments in [&["-N"][..], &["-A"]] {
            let mut command = Command::new("iptables-nft");
            command.args(arguments).arg(name);
            if arguments == ["-A"] {
                command.args(["-j", "RETURN"]);
            }
            assert!(command.status().expect("runs").success());
        }
        ledger.apply(&observe(&mut source));
        let is_rule = |subject: &Subject| {
            matches!(subject, Subject::Nft(NftSubject { item: NftItem::Rule { chain, .. }, .. })
                if *chain == ChainName::from(r"odd\xff\xfe"))
        };
        let dump = dump().expect("dumps");
        assert!(dump.objects.iter().any(|(subject, _)| is_rule(subject)));
        assert_agree(&ledger, &dump);
    });
}

fn big_restore(rules: usize) -> String {
    let mut script = String::from("*filter\n:KUBE-BIG - [0:0]\n");
    for number in 0..rules {
        let (high, low) = (number / 250, number % 250);
        script.push_str(&format!(
            "-A KUBE-BIG -d 10.{}.{}.{low}/32 -p tcp -m comment --comment \"ns/svc-{number} cluster IP\" -j RETURN\n",
            high / 250,
            high % 250
        ));
    }
    script + "COMMIT\n"
}

#[test]
fn a_large_batch_arrives_whole() {
    in_netns(|| {
        let mut source = NftSource::open(LARGE).expect("opens");
        assert!(source.receive_buffer() >= LARGE, "the size is forced: {}", source.receive_buffer());
        let pid = run_with(&big_restore(30_000), &["iptables-nft-restore", "--noflush"]);
        let seen = observe(&mut source);
        assert_eq!(rules(&seen).len(), 30_000);
        assert_eq!(commits(&seen).last().expect("closed").1, Some(Tid(pid)));
        assert!(matches!(seen.last(), Some(Observation::NftCommitted { .. })));
        let mut ledger = Ledger::default();
        ledger.apply(&seen);
        let dump = dump().expect("dumps");
        assert_eq!(ledger.digests(), nft_ledger::digests(&dump));
    });
}

#[test]
fn an_overrun_is_a_loss_in_its_place() {
    in_netns(|| {
        let mut source = NftSource::open(8 << 10).expect("opens");
        run_with(&big_restore(1_000), &["iptables-nft-restore", "--noflush"]);
        nft("add table ip unseen");
        let mut raws = Vec::new();
        while source.drain(&mut raws, 1).expect("works") {}
        let lost = Raw::Lost { source: Source::Nftables, lost: None };
        assert_eq!(raws.iter().filter(|raw| **raw == lost).count(), 1, "one overrun, one loss");
        assert_eq!(raws.last(), Some(&lost), "what was queued before the loss comes before it");
        assert!(raws.len() > 1, "something was queued");
        let pid = nft("add table ip after");
        let seen = observe(&mut source);
        assert!(
            matches!(&seen[0], Observation::Nft { subject: Subject::Nft(NftSubject { table, item: NftItem::Table }), .. }
            if table.name.as_str() == "after")
        );
        assert_eq!(commits(&seen), [(generation().expect("answers"), Some(Tid(pid)), Some("nft"))]);
    });
}
