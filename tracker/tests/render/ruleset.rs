//! Whole rulesets, as `nft -s -a list ruleset` and iptables-nft-save print them.

use netdeed_tracker::model::nft::Family;
use netdeed_tracker::render::{Handles, Ruleset, iptables_save, nft_ruleset};

use crate::harness::{corpus, everything, in_netns, objects_of, run, same_lines, saved};
use crate::nft::Links;

#[test]
fn everything_in_tables_is_as_nft_lists_it() {
    in_netns(|| {
        run(&["ip", "link", "set", "lo", "up"], "").expect("up");
        run(&["ip", "link", "add", "d1", "type", "veth", "peer", "d2"], "").expect("a second link");
        run(&["nft", "-f", "-"], &corpus("ruleset.setup")).expect("set up");
        let dump = everything();
        let ruleset = Ruleset::new(objects_of(&dump));
        for (handles, command) in [
            (Handles::Shown, &["nft", "-s", "-a", "list", "ruleset"][..]),
            (Handles::Hidden, &["nft", "-s", "list", "ruleset"][..]),
        ] {
            let theirs = run(command, "").expect("lists");
            let ours = nft_ruleset(&ruleset, handles, &Links);
            same_lines("nft list ruleset", &theirs, &ours.text);
            assert!(ours.is_exact);
        }
    });
}

#[test]
fn what_cannot_be_written_of_a_table_is_in_brackets() {
    in_netns(|| {
        let setup = "table ip t {
            set of { typeof ip saddr . tcp dport; }
            chain c { ip saddr 1.1.1.1 jump { accept; }; }
        }";
        run(&["nft", "-f", "-"], setup).expect("set up");
        let dump = everything();
        let ours = nft_ruleset(&Ruleset::new(objects_of(&dump)), Handles::Hidden, &());
        assert!(!ours.is_exact);
        for part in ["\t\ttypeof [key]\n", "\t\tip saddr 1.1.1.1 [immediate]\n", " { [part of a rule]\n"] {
            assert!(ours.text.contains(part), "{part}:\n{}", ours.text);
        }
    });
}

#[test]
fn iptables_tables_are_as_saved() {
    in_netns(|| {
        let script = "*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:Z-LAST - [0:0]
:A-FIRST - [0:0]
:a-lower - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j Z-LAST
-A Z-LAST -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.1:80
-A A-FIRST -j MASQUERADE
COMMIT
*filter
:INPUT DROP [0:0]
:KUBE-FORWARD - [0:0]
-A FORWARD -j KUBE-FORWARD
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
COMMIT
*mangle
-A POSTROUTING -j MARK --set-xmark 0x1/0x1
COMMIT
*raw
-A PREROUTING -j NOTRACK
COMMIT
*security
-A INPUT -j ACCEPT
COMMIT
";
        for (tool, family) in [("iptables", Family::Ip), ("ip6tables", Family::Ip6)] {
            let script =
                if family == Family::Ip { script.to_owned() } else { script.replace("10.0.0.1:80", "[fd00::1]:80") };
            run(&[&format!("{tool}-nft-restore")], &script).expect("restores");
            let dump = everything();
            let ours = iptables_save(&Ruleset::new(objects_of(&dump)), family, &());
            same_lines(tool, &saved(tool), &ours.text);
            assert!(ours.is_exact, "{}", ours.text);
        }
        run(&["nft", "add chain ip filter mine { type filter hook input priority 5; }"], "").expect("chain");
        let dump = everything();
        let ours = iptables_save(&Ruleset::new(objects_of(&dump)), Family::Ip, &());
        assert!(
            !ours.is_exact && ours.text.contains(":mine ACCEPT [0:0] [not a chain of iptables]\n"),
            "{}",
            ours.text
        );
    });
}
