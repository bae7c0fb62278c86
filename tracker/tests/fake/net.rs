//! Links and what hangs on them.

use std::fmt::Write as _;

use netdeed_tests::accuracy::Random;
use netdeed_tests::namespace::{in_netns, run_with};
use netdeed_tracker::host::{Host, HostError, Removal};
use netdeed_tracker::model::subject::{Snapshot, Subject, describe};

use crate::{compare, digests, live, one, rounds};

/// Links of all kinds that lead to other links, some up, with addresses, routes, ip rules, neighbours and qdiscs.
fn script(random: &mut Random) -> (String, String) {
    let mut script = String::from("link set lo up\n");
    for link in ["d0", "d1", "d2"] {
        writeln!(script, "link add {link} type bridge").expect("memory");
    }
    // with an address of its own: one that follows the ports changes with them, and neighbours are forgotten then
    script.push_str(
        "link add b0 type bridge\nlink set b0 address 02:00:00:00:01:00\nlink add v0 type veth peer name v1\n",
    );
    for maybe in [
        "link add link d0 name n0 type macvlan mode bridge",
        "link add link d1 name m0 type macvlan mode bridge",
        "link add x0 type vxlan id 7 dev d2 dstport 4789",
        "link set m0 master b0",
        "link set v0 master b0",
        "link add n1 type vxlan id 9 dev n0 dstport 4790",
    ] {
        if random.below(4) > 0
            && (!maybe.contains("dev n0") || script.contains("name n0"))
            && (!maybe.contains("set m0") || script.contains("name m0"))
        {
            writeln!(script, "{maybe}").expect("memory");
        }
    }
    let links = ["d0", "d2", "b0", "v1"];
    for link in links {
        writeln!(script, "link set {link} up").expect("memory");
    }
    for (number, link) in links.into_iter().enumerate() {
        for host in 1..=random.below(3) {
            writeln!(script, "addr add 10.{number}.0.{host}/24 dev {link}").expect("memory");
        }
        if random.below(2) == 0 {
            writeln!(script, "addr add 10.{number}.7.1/25 dev {link}").expect("memory");
        }
        if random.below(2) == 0 {
            writeln!(script, "route add 10.99.{number}.0/24 dev {link}").expect("memory");
            writeln!(script, "route add 10.98.{number}.0/24 dev {link} table 77").expect("memory");
        }
        if random.below(2) == 0 {
            writeln!(script, "neigh add 10.{number}.0.9 lladdr 02:00:00:00:00:0{number} dev {link} nud permanent")
                .expect("memory");
        }
    }
    script.push_str("route add blackhole 203.0.113.0/24\nrule add from 10.99.0.0/16 lookup 77 pref 900\n");
    let mut traffic = String::new();
    for link in ["d0", "d2"] {
        if random.below(2) == 0 {
            writeln!(
                traffic,
                "qdisc add dev {link} root handle 1: htb\nclass add dev {link} parent 1: classid 1:1 htb rate 1mbit\n\
                 class add dev {link} parent 1:1 classid 1:2 htb rate 1mbit\n\
                 qdisc add dev {link} parent 1:2 handle 20: pfifo limit 9\n\
                 qdisc add dev {link} clsact"
            )
            .expect("memory");
        }
    }
    (script, traffic)
}

fn delete(host: &mut dyn Host, subject: &Subject, content: &Snapshot) -> Option<Result<Removal, HostError>> {
    Some(match (subject, content) {
        (Subject::Link(link), Snapshot::Link(content)) => host.delete_link(*link, content),
        (Subject::Address(address), Snapshot::Address(content)) => host.delete_address(address, content),
        (Subject::Route(route), Snapshot::Route(content)) => host.delete_route(route, content),
        (Subject::IpRule(rule), Snapshot::IpRule(content)) => host.delete_ip_rule(rule, content),
        (Subject::Neighbour(neighbour), Snapshot::Neighbour(content)) => host.delete_neighbour(neighbour, content),
        (traffic, Snapshot::Traffic(content)) => host.delete_traffic(traffic, content),
        _ => return None,
    })
}

#[test]
fn links_and_what_hangs_on_them_go_as_the_kernels() {
    rounds(|seed, random| {
        let (links, traffic) = script(random);
        let mut random = Random::new(seed ^ 0x11_4e);
        in_netns(move || {
            // what the kernel gives itself for IPv6 comes by and by
            for name in ["all", "default"] {
                std::fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1").expect("IPv6 off");
            }
            run_with(&links, &["ip", "-batch", "-"]);
            run_with(&traffic, &["tc", "-batch", "-"]);
            let first = live(&[]);
            for step in 0..8 {
                let now = live(&[]);
                // also what is gone meanwhile
                let (subject, content) = one(&mut random, if step % 4 == 3 { &first.rt } else { &now.rt });
                let what = format!("seed {seed}, step {step}: delete {}", describe(subject, content));
                compare(&what, &[], |live| digests(&live.rt), |host| delete(host, subject, content).transpose());
            }
        });
    });
}
