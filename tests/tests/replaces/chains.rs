//! A shell script that takes a CNI's chains apart one by one, by their names.

use netdeed_tests::oracle::Step;
use netdeed_tests::scenario::kubernetes::{Backend, Firewall};

use super::twins::Case;
use super::{admin, kubernetes};

/// For every chain of these names in the four tables: its jumps, its rules, itself.
const SCRIPT: &str = r#"for table in filter nat mangle raw; do
  chains=$(iptables -t $table -S | sed -nE 's/^-N ((FLANNEL-|CILIUM_)[^ ]*)$/\1/p')
  for chain in $chains; do
    iptables -t $table -S | grep -E -- "-j $chain( |\$)" | sed 's/^-A/-D/' | while read -r rule; do
      eval "iptables -t $table $rule"
    done
  done
  for chain in $chains; do iptables -t $table -F $chain; done
  for chain in $chains; do iptables -t $table -X $chain; done
done"#;

/// An administrator counts what pods send, in a chain named after whose packets these are, and lets a chain of cilium's
/// judge the packets of the office too.
const OWN: &str = "iptables-nft -N FLANNEL-STATS; iptables-nft -A FLANNEL-STATS -s 10.244.0.0/16 -j RETURN
iptables-nft -I FORWARD -m comment --comment 'count pods' -j FLANNEL-STATS
iptables-nft -t mangle -A PREROUTING -s 10.99.0.0/16 -j MARK --set-mark 0x7";

const CILIUM: &str = "for ipt in iptables-nft ip6tables-nft; do
  feed() { $ipt -t $1 -N $2; $ipt -t $1 -I $3 -m comment --comment \"cilium-feeder: $2\" -j $2; }
  feed filter CILIUM_INPUT INPUT; feed filter CILIUM_OUTPUT OUTPUT; feed filter CILIUM_FORWARD FORWARD
  feed nat CILIUM_PRE_nat PREROUTING; feed nat CILIUM_POST_nat POSTROUTING; feed nat CILIUM_OUTPUT_nat OUTPUT
  feed mangle CILIUM_PRE_mangle PREROUTING; feed mangle CILIUM_POST_mangle POSTROUTING
  feed raw CILIUM_PRE_raw PREROUTING; feed raw CILIUM_OUTPUT_raw OUTPUT
  $ipt -A CILIUM_FORWARD -o cilium_host -m comment --comment 'cilium: any->cluster on cilium_host forward accept' -j ACCEPT
  $ipt -A CILIUM_OUTPUT -m mark ! --mark 0xe00/0xf00 -j MARK --set-xmark 0xc00/0xf00
  $ipt -t raw -A CILIUM_PRE_raw -m mark --mark 0x200/0xf00 -m comment --comment 'cilium: NOTRACK for proxy traffic' -j CT --notrack
  $ipt -t mangle -A CILIUM_PRE_mangle -m mark --mark 0x200/0xf00 -j MARK --set-xmark 0x200/0xffffffff
done
ipset create cilium_node_set_v4 hash:ip; ipset add cilium_node_set_v4 192.168.77.6
iptables-nft -t nat -A CILIUM_POST_nat -s 10.0.0.0/24 -m set ! --match-set cilium_node_set_v4 dst -j MASQUERADE
ip link add cilium_host type veth peer name cilium_net; ip link set cilium_host up; ip link set cilium_net up
ip rule add fwmark 0x200/0xf00 lookup 2004 priority 9; ip route add local 0.0.0.0/0 dev lo table 2004";

#[test]
fn a_script_per_chain_takes_what_is_only_named_alike_and_leaves_all_that_is_no_chain() {
    let twins = Case {
        steps: &[
            Step::Network,
            admin(OWN),
            Step::RealFlanneld(Backend::Vxlan, Firewall::Iptables),
            kubernetes("cilium-agent", CILIUM),
        ],
        script: SCRIPT,
        config: "",
        dirs: &[],
        works: |_| true,
    }
    .run();
    twins.assert_reset();
    twins.assert_cleanup(
        &["FLANNEL-STATS", "count pods"],
        &["CILIUM_PRE_raw", "cilium_node_set_v4", "flannel.1", "cilium_host", "fwmark 0x200/0xf00"],
    );
    let cleaned = &twins.cleaned.dump.0["iptables-save"];
    assert!(!cleaned.contains("FLANNEL-") && !cleaned.contains("CILIUM_"), "of IPv4 it takes all:\n{cleaned}");
}
