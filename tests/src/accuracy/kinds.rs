//! The kinds of writers: one row each.

use super::plan::{Random, Writer};

/// One thing that a step makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its class, as `netdeed ls` calls it.
    pub class: &'static str,
    /// A word that only its name or text holds; `EXTRA` for what the step logs as `$extra`.
    pub word: String,
    /// Its owner, when it is not the writer's.
    pub owner: Option<&'static str>,
}

/// Stands for a word that is only known once the thing is made.
const EXTRA: &str = "$extra";

impl Made {
    fn new(class: &'static str, word: impl Into<String>) -> Self {
        Self { class, word: word.into(), owner: None }
    }

    /// Whether its name is in the log only.
    pub fn is_extra(&self) -> bool {
        self.word == EXTRA
    }
}

/// Something a writer does in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Shell commands, the last of which fails when the step did.
    pub script: String,
    /// What it makes.
    pub made: Vec<Made>,
}

/// What a writer makes, and how.
#[derive(Debug)]
pub struct Kind {
    /// Its name in reports.
    pub name: &'static str,
    /// Part of all objects that its writers make, relative to the others.
    pub share: usize,
    /// Whether there is one writer of it only.
    pub is_single: bool,
    /// Steps that a writer of it takes at most.
    pub most: usize,
    /// Whether the tracker says who made such things; otherwise it is only held to name nobody else.
    pub is_claimed: bool,
    /// Programs it runs as, with their owners; any when empty.
    pub actors: &'static [(&'static str, &'static str)],
    /// Shell commands before the first step.
    pub begin: fn(&Writer) -> String,
    /// Step number `n`.
    pub step: fn(&Writer, usize, &mut Random) -> Step,
}

/// Every kind.
pub const KINDS: &[Kind] = &[
    kind("iptables-nft", 2, iptables),
    kind("iptables-nft-restore", 8, restore),
    kind("nft", 8, nft),
    Kind { begin: links_begin, ..kind("ip link and address", 2, links) },
    Kind { begin: routes_begin, ..kind("ip route and rule", 6, routes) },
    kind("directories and files", 6, files),
    Kind { begin: cni_begin, actors: CNI_RUNNERS, ..kind("CNI plugin", 1, cni) },
    Kind { begin: crossing_begin, ..kind("veth across namespaces", 1, crossing) },
    // whose of several moves at once a link came by, no notification says
    Kind { begin: crossing_begin, is_claimed: false, ..kind("veth moved by number", 1, moving) },
    // of two that save and restore at once, one would make the other's rules
    Kind { is_single: true, most: 40, ..kind("iptables-save | iptables-restore", 1, rewrite) },
    kind("iptables-legacy", 1, legacy),
    kind("ioctl bridge", 1, ioctl),
    kind("ipset", 1, ipset),
];

const fn kind(name: &'static str, share: usize, step: fn(&Writer, usize, &mut Random) -> Step) -> Kind {
    Kind { name, share, is_single: false, most: usize::MAX, is_claimed: true, actors: &[], begin: nothing, step }
}

fn nothing(_: &Writer) -> String {
    String::new()
}

/// Programs that become the one they are given, within milliseconds.
fn wrapper(random: &mut Random) -> &'static str {
    const WRAPPERS: [&str; 8] = ["", "", "", "", "setpriv --nnp", "nsenter --net=/proc/$$/ns/net", "env", "nice"];
    WRAPPERS[random.below(WRAPPERS.len())]
}

/// Two bytes of an address that tell the steps of one writer apart.
fn host(n: usize) -> String {
    format!("{}.{}", n / 250, n % 250 + 1)
}

fn iptables(writer: &Writer, n: usize, random: &mut Random) -> Step {
    let (tag, wrap) = (writer.tag(), wrapper(random));
    let (chain, rule) = (format!("{tag}c{n:04}"), format!("{tag}r{n:04}"));
    let comment = format!("-m comment --comment {rule}");
    let make = format!("{wrap} iptables-nft -w -t nat -N {chain}");
    let place = if random.below(3) == 0 { "-t filter -A FORWARD".to_owned() } else { format!("-t nat -A {chain}") };
    Step {
        script: format!("{make} && {wrap} iptables-nft -w {place} {comment} -j RETURN"),
        made: vec![Made::new("chain", chain), Made::new("rule", rule)],
    }
}

/// The table that the rewriter writes anew all the time.
const REWRITTEN: &str = "mangle";

fn restore(writer: &Writer, n: usize, random: &mut Random) -> Step {
    let (tag, wrap) = (writer.tag(), wrapper(random));
    let mut made = Vec::new();
    let mut lines = format!("*{REWRITTEN}\\n");
    for index in 0..3 {
        let chain = format!("{tag}d{n:04}x{index}");
        lines.push_str(&format!(":{chain} - [0:0]\\n"));
        for place in 0..2 {
            let rule = format!("{tag}s{n:04}x{index}y{place}");
            lines.push_str(&format!("-A {chain} -m comment --comment {rule} -j RETURN\\n"));
            made.push(Made::new("rule", rule));
        }
        made.push(Made::new("chain", chain));
    }
    Step { script: format!("printf '{lines}COMMIT\\n' | {wrap} iptables-nft-restore -w --noflush"), made }
}

fn rewrite(writer: &Writer, _: usize, _: &mut Random) -> Step {
    let file = format!("$scratch/{}.save", writer.tag());
    let script = format!(
        "iptables-nft-save -t {REWRITTEN} > {file}; if [ -s {file} ]; then iptables-nft-restore -w < {file}; fi; true"
    );
    Step { script, made: Vec::new() }
}

fn nft(writer: &Writer, n: usize, random: &mut Random) -> Step {
    let (tag, wrap) = (writer.tag(), wrapper(random));
    let (chain, set) = (format!("{tag}c{n:04}"), format!("{tag}s{n:04}"));
    let mut script = format!("add table ip {tag}; add chain ip {tag} {chain}; ");
    let mut made = vec![Made::new("chain", chain.clone()), Made::new("set", set.clone())];
    for index in 0..3 {
        let rule = format!("{tag}r{n:04}x{index}");
        script.push_str(&format!("add rule ip {tag} {chain} counter comment \"{rule}\"; "));
        made.push(Made::new("rule", rule));
    }
    let [high, low] = [n / 256, n % 256];
    let elements = [10, 11].map(|first| (first, writer.number, high, low));
    let text = elements.map(|(a, b, c, d)| format!("{a}.{b}.{c}.{d}")).join(", ");
    made.extend(elements.map(|(a, b, c, d)| Made::new("element", format!("0x{a:02x}{b:02x}{c:02x}{d:02x}"))));
    script.push_str(&format!("add set ip {tag} {set} {{ type ipv4_addr; elements = {{ {text} }}; }}"));
    Step { script: format!("{wrap} nft '{script}'"), made }
}

fn links_begin(_: &Writer) -> String {
    "ip link show lo > /dev/null".to_owned()
}

fn links(writer: &Writer, n: usize, random: &mut Random) -> Step {
    let (tag, wrap) = (writer.tag(), wrapper(random));
    let names = ["a", "b"].map(|side| format!("{tag}{side}{n:04}"));
    let [one, other] = &names;
    let mut made: Vec<Made> = names.iter().map(|name| Made::new("link", name)).collect();
    let script = match random.below(3) {
        // two children of one program at once
        0 => format!(
            "ip link add {one} type bridge & {wrap} ip link add {other} type bridge & wait; ip link show {one} && ip link show {other}"
        ),
        1 => format!("{wrap} ip link add {one} type veth peer name {other}"),
        _ => {
            let address = format!("10.{}.{}/32", 10 + writer.number, host(n));
            made.push(Made::new("address", address.clone()));
            format!(
                "ip link add {one} type bridge && {wrap} ip link add {other} type bridge && {wrap} ip addr add {address} dev {one}"
            )
        }
    };
    Step { script, made }
}

fn routes_begin(writer: &Writer) -> String {
    let tag = writer.tag();
    format!("ip link add {tag}br type bridge && ip link set {tag}br up")
}

fn routes(writer: &Writer, n: usize, random: &mut Random) -> Step {
    let (tag, wrap) = (writer.tag(), wrapper(random));
    let [route, rule] = [60, 110].map(|base| format!("10.{}.{}", base + writer.number, host(n)));
    let mut made = vec![Made::new("route", format!("{route}/32")), Made::new("iprule", format!("{rule}/32"))];
    let rest = match random.below(2) {
        0 => format!("{wrap} ip rule add from {rule} lookup {}", 100 + writer.number),
        // several requests of one process
        _ => {
            let more = format!("10.{}.{}", 160 + writer.number, host(n));
            made.push(Made::new("route", format!("{more}/32")));
            let table = 100 + writer.number;
            format!("printf 'rule add from {rule} lookup {table}\\nroute add {more}/32 dev {tag}br\\n' | ip -batch -")
        }
    };
    Step { script: format!("{wrap} ip route add {route}/32 dev {tag}br && {rest}"), made }
}

fn files(writer: &Writer, n: usize, random: &mut Random) -> Step {
    let (tag, wrap) = (writer.tag(), wrapper(random));
    let dir = format!("/var/lib/cni/{tag}d{n:04}");
    let names = ["own", "copy", "moved", "sub"].map(|name| format!("{dir}/{name}"));
    let [own, copy, moved, sub] = &names;
    let script = format!(
        "{wrap} mkdir {dir} {sub} && echo 1 > {own} && {wrap} cp {own} {copy} && : > {dir}/new && mv {dir}/new {moved}"
    );
    let mut made = vec![Made::new("dir", dir.clone()), Made::new("dir", sub)];
    made.extend([own, copy, moved].map(Made::file));
    Step { script, made }
}

impl Made {
    fn file(path: &String) -> Self {
        Self::new("file", path)
    }
}

/// Who runs plugins: for the kubelet, and for others.
const CNI_RUNNERS: &[(&str, &str)] = &[("containerd", "containerd"), ("podman", "podman")];

fn cni_begin(writer: &Writer) -> String {
    let (tag, number) = (writer.tag(), writer.number);
    let ipam = format!("{{\"type\":\"host-local\",\"ranges\":[[{{\"subnet\":\"10.{}.0.0/16\"}}]]}}", 210 + number);
    format!(
        "conf='{{\"cniVersion\":\"1.0.0\",\"name\":\"{tag}net\",\"type\":\"bridge\",\"bridge\":\"{tag}br\",\"ipam\":{ipam}}}'\n\
         export CNI_PATH=/usr/lib/cni CNI_IFNAME=eth0 CNI_COMMAND=ADD"
    )
}

fn cni(writer: &Writer, n: usize, _: &mut Random) -> Step {
    let pod = format!("{}p{n:04}", writer.tag());
    let out = format!("$scratch/{pod}.out");
    let script = format!(
        "ip netns add {pod} && printf '%s' \"$conf\" | CNI_CONTAINERID={pod} CNI_NETNS=/run/netns/{pod} \
         CNI_ARGS='IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME={pod}' /usr/lib/cni/bridge > {out} \
         && extra=$(sed -n 's/.*\"name\": *\"\\(veth[0-9a-f]*\\)\".*/\\1/p' {out})"
    );
    // the address plan's files are made by the plugin that the plugin runs
    let [bridge, ipam] = match writer.owner {
        "containerd" => ["cni/bridge", "cni/host-local"],
        runner => [runner, runner],
    };
    let file = format!("/var/lib/cni/networks/{}net/10.{}.{}", writer.tag(), 210 + writer.number, address(n + 2));
    let owned = |made: Made, owner| Made { owner: Some(owner), ..made };
    let mut made = vec![owned(Made::new("link", EXTRA), bridge), owned(Made::file(&file), ipam)];
    if n == 0 {
        made.push(owned(Made::new("link", format!("{}br", writer.tag())), bridge));
    }
    Step { script, made }
}

/// The last two bytes of the address that is given out as number `n`.
fn address(n: usize) -> String {
    format!("{}.{}", n / 256, n % 256)
}

fn crossing_begin(writer: &Writer) -> String {
    format!("ip netns add {}ns", writer.tag())
}

/// Makes a veth in another network namespace whose other end is here.
fn crossing(writer: &Writer, n: usize, random: &mut Random) -> Step {
    let tag = writer.tag();
    let name = format!("{tag}v{n:04}");
    let within = ["ip -n", "ip netns exec"][random.below(2)];
    let ip = if within == "ip -n" { "" } else { "ip" };
    let script = format!("{within} {tag}ns {ip} link add e{n:04} type veth peer name {name} netns $$");
    Step { script, made: vec![Made::new("link", name)] }
}

/// Makes a veth in another network namespace and moves one end here.
fn moving(writer: &Writer, n: usize, _: &mut Random) -> Step {
    let tag = writer.tag();
    let name = format!("{tag}m{n:04}");
    let script =
        format!("ip -n {tag}ns link add {name} type veth peer name e{n:04} && ip -n {tag}ns link set {name} netns $$");
    Step { script, made: vec![Made::new("link", name)] }
}

fn legacy(writer: &Writer, n: usize, _: &mut Random) -> Step {
    let tag = writer.tag();
    let script = format!("iptables-legacy -w 60 -t filter -A FORWARD -m comment --comment {tag}l{n:04} -j RETURN");
    Step { script, made: vec![Made::new("rule", format!("{tag}l{n:04}"))] }
}

fn ioctl(writer: &Writer, n: usize, _: &mut Random) -> Step {
    let name = format!("{}i{n:04}", writer.tag());
    Step { script: format!("busybox brctl addbr {name}"), made: vec![Made::new("link", name)] }
}

fn ipset(writer: &Writer, n: usize, _: &mut Random) -> Step {
    let name = format!("{}h{n:04}", writer.tag());
    Step { script: format!("ipset create {name} hash:ip"), made: vec![Made::new("ipset", name)] }
}
