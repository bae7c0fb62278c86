//! What everybody else does on such a node.

use super::scenario::Maker;
use super::{Step, Timeline};
use crate::accuracy::Random;

pub(super) const TIMELINES: [Maker; 10] = [
    docker,
    firewalld,
    podman,
    rules_by_hand,
    tables_by_hand,
    links_by_hand,
    rewriter,
    tailscale,
    libvirt,
    files_by_hand,
];

fn admin(script: impl Into<super::Script>) -> Step {
    Step::Admin(script.into())
}

/// What a node has from its start: it forwards, and its built-in chains are there. Whoever first lists them makes them
/// otherwise, and a dump that is restored makes them its restorer's.
pub(super) fn boot() -> Vec<Step> {
    vec![admin(
        "echo 1 > /proc/sys/net/ipv4/ip_forward
         for restore in iptables-nft-restore ip6tables-nft-restore; do $restore <<'END'
*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\nCOMMIT
*nat\n:PREROUTING ACCEPT\n:INPUT ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\nCOMMIT
*mangle\n:PREROUTING ACCEPT\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\nCOMMIT
END
         done"
            .replace("\\n", "\n"),
    )]
}

/// Docker with a published port, later with a network of its own.
fn docker(random: &mut Random, _: usize) -> Timeline {
    let mut steps = vec![Step::Docker];
    if random.below(2) == 0 {
        steps.push(Step::WithDocker(
            "docker network create --subnet 172.30.0.0/16 --opt com.docker.network.bridge.name=br-shop shop
             docker run --detach --name api --network shop --publish 8090:80 web:1 /bin/busybox httpd -f -p 80 -h /www"
                .into(),
        ));
    }
    if random.below(3) == 0 {
        steps.push(Step::WithDocker("docker restart --time 0 web".into()));
    }
    Timeline::new("docker", steps)
}

/// It starts before all others, as at a node's boot: its start and its reload flush everybody's iptables rules.
fn firewalld(random: &mut Random, number: usize) -> Timeline {
    let mut boot = vec![Step::Firewalld];
    if random.below(2) == 0 {
        boot.push(admin("firewall-cmd --quiet --reload"));
    }
    let add = |port| admin(format!("firewall-cmd --quiet --add-port={port}/tcp"));
    let steps = (0..=random.below(3)).map(|port| add(7000 + number * 100 + port)).collect();
    Timeline { name: "firewalld", boot, steps }
}

fn podman(_: &mut Random, _: usize) -> Timeline {
    Timeline::new("podman", vec![Step::Podman])
}

/// An administrator's rules in everybody's chains, at both ends, changed and deleted again.
fn rules_by_hand(random: &mut Random, _: usize) -> Timeline {
    const PLACES: [&str; 8] = [
        "iptables-nft -A FORWARD -s 10.99.%.0/24 -j ACCEPT",
        "iptables-nft -I FORWARD -d 10.99.%.0/24 -m conntrack --ctstate ESTABLISHED -j ACCEPT",
        "iptables-nft -t nat -A POSTROUTING -s 10.99.%.0/24 -o lo -j MASQUERADE",
        "iptables-nft -t nat -I PREROUTING -p tcp --dport 22% -j REDIRECT --to-ports 22",
        "iptables-nft -A INPUT -p tcp --dport 9% -m comment --comment 'by hand' -j ACCEPT",
        "iptables-nft -t mangle -A PREROUTING -s 10.99.%.1 -j MARK --set-mark 0x4000/0x4000",
        "ip6tables-nft -I INPUT -p tcp --dport 9% -j DROP",
        "iptables-nft -N office-%; iptables-nft -A office-% -j RETURN; iptables-nft -I OUTPUT -j office-%",
    ];
    let mut steps: Vec<Step> = Vec::new();
    for number in 0..2 + random.below(6) {
        let rule = PLACES[random.below(PLACES.len())].replace('%', &number.to_string());
        if random.below(4) == 0 && !rule.contains(';') {
            let removal = rule.replace(" -A ", " -D ").replace(" -I ", " -D ");
            steps.push(admin(rule));
            steps.push(admin(removal));
        } else {
            steps.push(admin(rule));
        }
    }
    if random.below(3) == 0 {
        // who shuts the door leaves the node's own talk in: its API server listens on the loopback
        steps.push(admin("iptables-nft -I INPUT -i lo -j ACCEPT; iptables-nft -P INPUT DROP"));
    }
    Timeline::new("rules by hand", steps)
}

/// An administrator's own nftables table, as `/etc/nftables.conf` holds one, loaded twice.
fn tables_by_hand(random: &mut Random, _: usize) -> Timeline {
    let table = "nft -f - <<'END'
table inet site
delete table inet site
table inet site {
  set office { type ipv4_addr; flags interval; elements = { 10.99.0.0/16 } }
  map ports { type inet_service : verdict; elements = { 22 : accept } }
  chain in { type filter hook input priority 10; ip saddr @office tcp dport vmap @ports; }
}
END";
    let mut steps = vec![admin(table)];
    for number in 0..random.below(4) {
        steps.push(admin(format!("nft add element inet site office '{{ 10.{}.0.0/16 }}'", 70 + number)));
    }
    if random.below(2) == 0 {
        steps.push(admin(table));
    }
    Timeline::new("tables by hand", steps)
}

fn links_by_hand(random: &mut Random, _: usize) -> Timeline {
    let mut steps = vec![admin("ip link add lan type bridge; ip addr add 10.99.0.1/24 dev lan; ip link set lan up")];
    for number in 0..random.below(4) {
        steps.push(admin(format!(
            "ip route add 10.{}.0.0/16 via 10.99.0.{} metric 50; ip rule add from 10.244.{number}.0/24 lookup 200 priority {}",
            90 + number,
            number + 7,
            300 + number
        )));
    }
    if random.below(2) == 0 {
        steps.push(admin("ip route add 10.244.99.0/24 via 10.99.0.9; ip neigh add 10.99.0.9 lladdr 02:00:00:00:00:09 dev lan nud permanent"));
    }
    Timeline::new("links by hand", steps)
}

/// Somebody who saves and restores everything that is there.
fn rewriter(random: &mut Random, _: usize) -> Timeline {
    const REWRITES: [&str; 4] = [
        "iptables-nft-save | iptables-nft-restore",
        "iptables-nft-save -c | iptables-nft-restore -c",
        "ip6tables-nft-save | ip6tables-nft-restore",
        "iptables-nft-save -t nat | iptables-nft-restore",
    ];
    let steps = (0..=random.below(3)).map(|_| admin(REWRITES[random.below(REWRITES.len())])).collect();
    Timeline::new("rewriter", steps)
}

fn tailscale(random: &mut Random, _: usize) -> Timeline {
    let other = |script: &'static str| Step::Other("tailscaled", script.into());
    let mut steps = vec![
        other(
            "ip tuntap add dev tailscale0 mode tun; ip addr add 100.64.0.7/32 dev tailscale0; ip link set tailscale0 up
            ip rule add pref 5210 fwmark 0x80000/0xff0000 lookup main; ip rule add pref 5270 lookup 52
            ip route add 100.100.100.100 dev tailscale0 table 52",
        ),
        other(
            "iptables-nft -N ts-forward; iptables-nft -I FORWARD -j ts-forward
            iptables-nft -A ts-forward -i tailscale0 -j MARK --set-xmark 0x40000/0xff0000
            iptables-nft -A ts-forward -o tailscale0 -j ACCEPT
            iptables-nft -t nat -N ts-postrouting; iptables-nft -t nat -I POSTROUTING -j ts-postrouting
            iptables-nft -t nat -A ts-postrouting -m mark --mark 0x40000/0xff0000 -j MASQUERADE",
        ),
    ];
    if random.below(2) == 0 {
        steps.push(other("ip route add 100.64.0.8 dev tailscale0 table 52; ip route del 100.100.100.100 table 52"));
    }
    Timeline::new("tailscale", steps)
}

fn libvirt(_: &mut Random, _: usize) -> Timeline {
    let script = "ip link add virbr0 type bridge; ip addr add 192.168.122.1/24 dev virbr0; ip link set virbr0 up
         iptables-nft -N LIBVIRT_FWI; iptables-nft -I FORWARD -j LIBVIRT_FWI
         iptables-nft -A LIBVIRT_FWI -d 192.168.122.0/24 -o virbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
         iptables-nft -A LIBVIRT_FWI -o virbr0 -j REJECT --reject-with icmp-port-unreachable
         iptables-nft -t nat -N LIBVIRT_PRT; iptables-nft -t nat -I POSTROUTING -j LIBVIRT_PRT
         iptables-nft -t nat -A LIBVIRT_PRT -s 192.168.122.0/24 ! -d 192.168.122.0/24 -j MASQUERADE";
    Timeline::new("libvirt", vec![Step::Other("libvirtd", script.into())])
}

/// Files of others in the directories that Kubernetes uses, and ipsets beside its own.
fn files_by_hand(random: &mut Random, _: usize) -> Timeline {
    let mut steps = vec![
        admin("mkdir -p /opt/cni/bin; echo mine > /opt/cni/bin/own-plugin; chmod 755 /opt/cni/bin/own-plugin"),
        admin(
            "ipset create office hash:net; ipset add office 10.99.0.0/16; iptables-nft -A INPUT -m set --match-set office src -j ACCEPT",
        ),
    ];
    if random.below(2) == 0 {
        steps.push(admin(
            "ipset add office 10.98.0.0/16; ipset del office 10.99.0.0/16; echo more >> /opt/cni/bin/own-plugin",
        ));
    }
    Timeline::new("files by hand", steps)
}
