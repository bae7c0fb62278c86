//! IP sets.

use netdeed_tests::accuracy::Random;
use netdeed_tests::namespace::{in_netns, run_with};
use netdeed_tracker::model::subject::{Snapshot, Subject, describe};

use crate::{compare, digests, live, one, rounds};

const SETS: &str = "create a hash:ip
create b hash:net,port
create c bitmap:port range 1-100
create l list:set
create m list:set
add a 192.0.2.1
add a 192.0.2.2
add b 10.0.0.0/8,tcp:80
add c 7
add l a
add l b
add m a
";

#[test]
fn ip_sets_go_as_the_kernels() {
    rounds(|seed, _| {
        in_netns(move || {
            let mut random = Random::new(seed);
            run_with(SETS, &["ipset", "restore"]);
            let first = live(&[]).ip_sets;
            for step in 0..8 {
                let (subject, content) = one(&mut random, &first);
                let what = format!("seed {seed}, step {step}: delete {}", describe(subject, content));
                let (Subject::IpSet(subject), Snapshot::IpSet(content)) = (subject, content) else {
                    panic!("no IP set: {what}");
                };
                compare(&what, &[], |live| digests(&live.ip_sets), |host| host.delete_ip_set(subject, content));
            }
        });
    });
}
