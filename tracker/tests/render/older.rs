//! Structures that older versions of iptables write (before 1.8.8 `limit`, `mark`, `NFLOG` and ports were no native
//! expressions), given to the kernel byte by byte: our lines against those of iptables-nft-save.

use crate::harness::{Outcome, everything, in_netns, rules_of, run};
use netdeed_tracker::render::iptables;
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len() + 4).expect("short");
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn message(kind: u16, flags: u16, family: u8, resource: u16, attributes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(20 + attributes.len()).expect("short");
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([family, 0]);
    bytes.extend(resource.to_be_bytes());
    bytes.extend_from_slice(attributes);
    bytes
}

/// An xt match (lower case) or target of this revision.
fn extension(name: &str, revision: u32, info: &[u8]) -> Vec<u8> {
    let class: &[u8] = if name.starts_with(char::is_uppercase) { b"target\0" } else { b"match\0" };
    let mut data = attribute(1, format!("{name}\0").as_bytes());
    data.extend(attribute(2, &revision.to_be_bytes()));
    let mut padded = info.to_vec();
    padded.resize(padded.len().next_multiple_of(8), 0);
    data.extend(attribute(3, &padded));
    attribute(1, &[attribute(1, class), attribute(2, &data)].concat())
}

/// Appends a rule of one extension to chain `T`, for a layer 4 protocol if not 0.
fn append(family: u8, table: &str, protocol: u32, expression: &[u8]) -> Result<(), std::io::Error> {
    let mut attributes = attribute(1, format!("{table}\0").as_bytes());
    attributes.extend(attribute(2, b"T\0"));
    attributes.extend(attribute(4, expression));
    let compat = [attribute(1, &protocol.to_be_bytes()), attribute(2, &0_u32.to_be_bytes())].concat();
    if protocol != 0 {
        attributes.extend(attribute(5, &compat));
    }
    // NFNL_MSG_BATCH_BEGIN, NFT_MSG_NEWRULE with request, acknowledge, create and append, NFNL_MSG_BATCH_END
    let batch = [
        message(0x10, 1, 0, 10, &[]),
        message(0x0a06, 1 | 4 | 0x400 | 0x800, family, 0, &attributes),
        message(0x11, 1, 0, 10, &[]),
    ];
    let socket = Socket::new(NETLINK_NETFILTER)?;
    socket.send_to(&batch.concat(), &SocketAddr::new(0, 0), 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let error = answer.get(16..20).and_then(|bytes| bytes.try_into().ok()).map_or(-1, i32::from_ne_bytes);
    if error == 0 { Ok(()) } else { Err(std::io::Error::from_raw_os_error(-error)) }
}

/// Bytes of a structure out of pieces.
macro_rules! bytes {
    ($($piece:expr),* $(,)?) => { [$(&$piece[..]),*].concat() };
}

fn text(text: &str, length: usize) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(length, 0);
    bytes
}

fn numbers(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_ne_bytes()).collect()
}

fn shorts(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_ne_bytes()).collect()
}

/// Table, protocol, name, revision, structure.
type Row = (&'static str, u32, &'static str, u32, Vec<u8>);

fn matches() -> Vec<Row> {
    let hashlimit = |mode: u32, average: u32| {
        bytes!(text("h", 16), numbers(&[mode, average, 5, 0, 0, 1000, 60_000]), [32, 32, 0, 0], [0; 8])
    };
    let hashlimit2 = bytes!(
        text("h2", 256),
        200_000_u64.to_ne_bytes(),
        7_u64.to_ne_bytes(),
        numbers(&[4 | 2, 0, 0, 1000, 1000]),
        [24, 32, 0, 0],
        [0; 8],
    );
    vec![
        ("filter", 0, "mark", 1, bytes!(numbers(&[0x4000, 0x4000]), [0; 4])),
        ("filter", 0, "mark", 1, bytes!(numbers(&[1, u32::MAX]), [1, 0, 0, 0])),
        ("filter", 0, "limit", 0, bytes!(numbers(&[120_000, 5]), [0; 32])),
        ("filter", 0, "limit", 0, bytes!(numbers(&[3333, 10]), [0; 32])),
        ("filter", 6, "tcp", 0, bytes!(shorts(&[0, 65535, 22, 22]), [0; 4])),
        ("filter", 6, "tcp", 0, bytes!(shorts(&[1, 2, 80, 90]), [0, 0x17, 2, 2 | 4])),
        ("filter", 6, "tcp", 0, bytes!(shorts(&[5, 5, 0, 65535]), [7, 0x3f, 0, 1 | 8])),
        ("filter", 17, "udp", 0, bytes!(shorts(&[0, 65535, 53, 53]), [0, 0])),
        ("filter", 17, "udp", 0, bytes!(shorts(&[1, 9, 0, 65535]), [1, 0])),
        ("filter", 0, "hashlimit", 1, hashlimit(4, 1000)),
        ("filter", 0, "hashlimit", 1, hashlimit(1 | 16, 120_000)),
        ("filter", 0, "hashlimit", 2, hashlimit2),
        ("filter", 0, "recent", 0, bytes!(numbers(&[60, 3]), [4, 0], text("old", 200), [0, 0])),
        ("filter", 0, "cgroup", 0, numbers(&[5, 1])),
        ("filter", 0, "socket", 1, vec![1]),
        ("filter", 0, "socket", 2, vec![3]),
    ]
}

fn targets() -> Vec<Row> {
    let address = |octets: [u8; 4]| bytes!(octets, [0; 12]);
    let ports = bytes!(80_u16.to_be_bytes(), 90_u16.to_be_bytes());
    vec![
        ("filter", 0, "NFLOG", 0, bytes!(numbers(&[0]), shorts(&[5, 0, 0, 0]), text("old log", 64), [0; 4])),
        ("filter", 0, "NFLOG", 0, bytes!(numbers(&[80]), shorts(&[0, 2, 1, 0]), text("", 64), [0; 4])),
        ("filter", 0, "NFLOG", 0, bytes!(numbers(&[90]), shorts(&[1, 0, 0, 0]), text("p", 64), [0; 4])),
        ("mangle", 0, "CONNMARK", 1, bytes!(numbers(&[5, 0xff, 0xff]), [0, 0, 0, 0])),
        ("mangle", 0, "CONNMARK", 1, bytes!(numbers(&[0, 0xf, 0xff]), [2, 0, 0, 0])),
        ("mangle", 6, "TPROXY", 0, bytes!(numbers(&[1, 1]), [127, 0, 0, 1], 80_u16.to_be_bytes(), [0; 2])),
        ("nat", 0, "DNAT", 1, bytes!(numbers(&[1]), address([10, 0, 0, 1]), address([10, 0, 0, 9]), [0; 4])),
        ("nat", 6, "DNAT", 1, bytes!(numbers(&[3]), address([10, 0, 0, 1]), address([10, 0, 0, 1]), ports)),
        ("raw", 0, "TRACE", 0, vec![]),
        ("raw", 0, "NOTRACK", 0, vec![]),
        ("raw", 0, "CT", 1, bytes!(shorts(&[1, 0]), numbers(&[0, 0]), [0; 16], [0; 32], [0; 8])),
        ("raw", 0, "CT", 0, bytes!(shorts(&[0, 7]), numbers(&[1, 0]), [0; 16], [0; 8])),
    ]
}

/// Revisions that iptables-nft-save 1.8.9 reads as if they were the newest one, and so shows as something else than they
/// are. What the iptables that wrote them shows is what we show.
const MISREAD: [(&str, u32, &str); 7] = [
    (
        "hashlimit",
        1,
        "--hashlimit-upto 10/sec --hashlimit-burst 5 --hashlimit-mode srcip --hashlimit-name h --hashlimit-htable-expire 60000",
    ),
    ("hashlimit", 1, "--hashlimit-above 5/min --hashlimit-burst 5 --hashlimit-mode dstip --hashlimit-name h"),
    (
        "hashlimit",
        2,
        "--hashlimit-upto 5/sec --hashlimit-burst 7 --hashlimit-mode srcip,dstport --hashlimit-name h2 --hashlimit-srcmask 24",
    ),
    ("recent", 0, "--update --seconds 60 --hitcount 3 --name old --rsource"),
    ("cgroup", 0, "! --cgroup 5"),
    ("CONNMARK", 1, "--restore-mark --nfmask 0xff --ctmask 0xf"),
    ("TPROXY", 0, "--on-port 80 --on-ip 127.0.0.1 --tproxy-mark 0x1/0x1"),
];

#[test]
fn older_structures_are_written_as_iptables_save_writes_them() {
    in_netns(|| {
        let (mut outcome, mut misread) = (Outcome::default(), MISREAD.into_iter().peekable());
        for (table, protocol, name, revision, info) in matches().into_iter().chain(targets()) {
            run(&["iptables-nft", "-t", table, "-N", "T"], "").expect("chain");
            let what = format!("{name} {revision}");
            append(2, table, protocol, &extension(name, revision, &info))
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            let theirs = run(&["iptables-nft-save", "-t", table], "").expect("saves");
            let theirs = theirs.lines().find(|line| line.starts_with("-A T")).expect("the rule is saved");
            let dump = everything();
            let (subject, rule) = rules_of(&dump, "T")[0];
            let ours = iptables(subject.table.family, "T", rule, &());
            let is_misread = |(of, number, options): &(&str, u32, &str)| {
                (*of, *number) == (name, revision) && ours.text.ends_with(options)
            };
            match misread.next_if(is_misread) {
                Some((_, _, options)) => {
                    let option = if name.starts_with(char::is_uppercase) { "-j" } else { "-m" };
                    let expected = format!("-A T {option} {name} {options}");
                    assert_ne!(theirs, expected, "iptables reads it by now");
                    outcome.compare(true, &what, &expected, &ours);
                }
                None => {
                    outcome.compare(true, &what, theirs, &ours);
                }
            }
            run(&["iptables-nft", "-t", table, "-F", "T"], "").expect("flushes");
            run(&["iptables-nft", "-t", table, "-X", "T"], "").expect("deletes");
        }
        outcome.assert();
        assert_eq!(misread.next(), None, "every misread one was met");
        assert_eq!(outcome.exact, matches().len() + targets().len());
    });
}
