//! Destroying all IP sets there are, as some cleanups do after kube-proxy in IPVS mode.

use super::twins::Case;
use super::{admin, kubernetes};
use netdeed_tests::oracle::Step;

const SCRIPT: &str = "iptables-save | grep -v KUBE- | iptables-restore
for set in $(ipset list -name); do ipset destroy $set; done";

const OWN: &str = "ipset create office hash:net; ipset add office 10.99.0.0/16";
const KEEPALIVED: &str = "ipset create keepalived hash:ip; ipset add keepalived 224.0.0.18
ipset create keepalived_if hash:net,iface; ipset add keepalived_if 192.0.2.0/24,eth7";

const IPVS: &str = "ipset create KUBE-CLUSTER-IP hash:ip,port; ipset add KUBE-CLUSTER-IP 10.96.0.1,tcp:443
ipset create KUBE-LOOP-BACK hash:ip,port,ip; ipset create KUBE-6-CLUSTER-IP hash:ip,port family inet6
ipset create KUBE-NODE-PORT-TCP bitmap:port range 0-65535; ipset add KUBE-NODE-PORT-TCP 30080
iptables-nft -t nat -N KUBE-SERVICES; iptables-nft -t nat -A PREROUTING -j KUBE-SERVICES
iptables-nft -t nat -A KUBE-SERVICES -m set --match-set KUBE-CLUSTER-IP dst,dst -j ACCEPT
iptables-nft -t nat -A POSTROUTING -m set --match-set KUBE-LOOP-BACK dst,dst,src -j MASQUERADE";

#[test]
fn sets_of_keepalived_and_of_administrators_stay() {
    let twins = Case {
        steps: &[
            admin(OWN),
            Step::Other("keepalived", KEEPALIVED.into()),
            kubernetes("kube-proxy", IPVS),
            admin("ipset add office 10.98.0.0/16"),
        ],
        script: SCRIPT,
        config: "",
        dirs: &[],
        works: |_| true,
    }
    .run();
    twins.assert_reset();
    twins.assert_cleanup(&["create office", "create keepalived ", "add keepalived_if"], &[]);
}
