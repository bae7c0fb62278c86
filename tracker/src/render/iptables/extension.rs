//! Which xt matches and targets can be written.

use super::super::Surroundings;
use super::super::line::Line;
use super::words::escaped;
use super::{address, connection, ipv6, mark, meta, nat, packet, payload, rate, report, set, transport};
use crate::decode::nft::expr::Xt;

/// Writes the options of a match or target.
type Write = fn(&Extensions<'_>, &mut Line, &[u8]) -> Option<()>;

/// What extensions are written with.
pub(super) struct Extensions<'a> {
    pub(super) is_ipv6: bool,
    pub(super) surroundings: &'a dyn Surroundings,
}

/// Which families an extension's structure is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Both,
    V4,
    V6,
}

use Of::{Both, V4, V6};

/// Name, families, first and last revision with this structure.
type Row = (&'static str, Of, u32, u32, Write);

/// Ascending by name.
const MATCHES: &[Row] = &[
    ("addrtype", Both, 1, 1, address::addrtype),
    ("ah", V4, 0, 0, transport::ah),
    ("ah", V6, 0, 0, ipv6::ah),
    ("bpf", Both, 1, 1, payload::bpf),
    ("cgroup", Both, 0, 0, meta::cgroup0),
    ("cgroup", Both, 1, 1, meta::cgroup1),
    ("cgroup", Both, 2, 2, meta::cgroup2),
    ("cluster", Both, 0, 0, connection::cluster),
    ("comment", Both, 0, 0, meta::comment),
    ("connbytes", Both, 0, 0, connection::connbytes),
    ("connlabel", Both, 0, 0, connection::connlabel),
    ("connlimit", Both, 1, 1, connection::connlimit),
    ("connmark", Both, 1, 1, mark::mark),
    ("conntrack", Both, 3, 3, connection::conntrack),
    ("cpu", Both, 0, 0, meta::cpu),
    ("dccp", Both, 0, 0, transport::dccp),
    ("devgroup", Both, 0, 0, address::devgroup),
    ("dscp", Both, 0, 0, packet::dscp),
    ("dst", V6, 0, 0, ipv6::destination_options),
    ("ecn", Both, 0, 0, packet::ecn),
    ("esp", Both, 0, 0, transport::esp),
    ("eui64", V6, 0, 0, ipv6::eui64),
    ("frag", V6, 0, 0, ipv6::frag),
    ("hashlimit", Both, 1, 1, rate::hashlimit1),
    ("hashlimit", Both, 2, 2, rate::hashlimit2),
    ("hashlimit", Both, 3, 3, rate::hashlimit3),
    ("hbh", V6, 0, 0, ipv6::hop_options),
    ("helper", Both, 0, 0, connection::helper),
    ("hl", V6, 0, 0, packet::hl),
    ("icmp", V4, 0, 0, transport::icmp),
    ("icmp6", V6, 0, 0, transport::icmp6),
    ("iprange", Both, 1, 1, address::iprange),
    ("ipv6header", V6, 0, 0, ipv6::headers),
    ("length", Both, 0, 0, packet::length),
    ("limit", Both, 0, 0, rate::limit),
    ("mac", Both, 0, 0, address::mac),
    ("mark", Both, 1, 1, mark::mark),
    ("mh", V6, 0, 0, ipv6::mobility),
    ("multiport", Both, 1, 1, transport::multiport),
    ("nfacct", Both, 0, 1, connection::nfacct),
    ("osf", Both, 0, 0, meta::osf),
    ("owner", Both, 1, 1, meta::owner),
    ("physdev", Both, 0, 0, address::physdev),
    ("pkttype", Both, 0, 0, address::pkttype),
    ("policy", Both, 0, 0, address::policy),
    ("quota", Both, 0, 0, rate::quota),
    ("realm", V4, 0, 0, address::realm),
    ("recent", Both, 0, 0, rate::recent0),
    ("recent", Both, 1, 1, rate::recent1),
    ("rpfilter", Both, 0, 0, address::rpfilter),
    ("rt", V6, 0, 0, ipv6::rt),
    ("sctp", Both, 0, 0, transport::sctp),
    ("set", Both, 4, 4, set::matched),
    ("socket", Both, 1, 3, meta::socket),
    ("srh", V6, 0, 0, ipv6::segments0),
    ("srh", V6, 1, 1, ipv6::segments1),
    ("state", Both, 0, 0, connection::state),
    ("statistic", Both, 0, 0, rate::statistic),
    ("string", Both, 1, 1, payload::string),
    ("tcp", Both, 0, 0, transport::tcp),
    ("tcpmss", Both, 0, 0, transport::tcpmss),
    ("time", Both, 0, 0, meta::time),
    ("tos", Both, 1, 1, packet::tos),
    ("ttl", V4, 0, 0, packet::ttl),
    ("u32", Both, 0, 0, payload::u32),
    ("udp", Both, 0, 0, transport::udp),
];

/// Ascending by name.
const TARGETS: &[Row] = &[
    ("AUDIT", Both, 0, 0, report::audit),
    ("CHECKSUM", Both, 0, 0, packet::checksum),
    ("CLASSIFY", Both, 0, 0, packet::classify),
    ("CONNMARK", Both, 1, 1, mark::set_connmark1),
    ("CONNMARK", Both, 2, 2, mark::set_connmark2),
    ("CONNSECMARK", Both, 0, 0, mark::connsecmark),
    ("CT", Both, 0, 0, connection::ct0),
    ("CT", Both, 1, 2, connection::ct),
    ("DNAT", V4, 0, 0, nat::dnat0),
    ("DNAT", Both, 1, 1, nat::dnat1),
    ("DNAT", Both, 2, 2, nat::dnat2),
    ("DNPT", V6, 0, 0, ipv6::npt),
    ("DSCP", Both, 0, 0, packet::set_dscp),
    ("ECN", V4, 0, 0, packet::set_ecn),
    ("HL", V6, 0, 0, packet::set_hl),
    ("HMARK", Both, 0, 0, mark::hmark),
    ("IDLETIMER", Both, 1, 1, meta::idletimer),
    ("LOG", Both, 0, 0, report::log),
    ("MARK", Both, 2, 2, mark::set_mark),
    ("MASQUERADE", V4, 0, 0, nat::masquerade0),
    ("MASQUERADE", V6, 0, 0, nat::masquerade1),
    ("NETMAP", V4, 0, 0, nat::netmap0),
    ("NETMAP", V6, 0, 0, nat::netmap1),
    ("NFLOG", Both, 0, 0, report::nflog),
    ("NFQUEUE", Both, 3, 3, report::nfqueue),
    ("NOTRACK", Both, 0, 0, connection::notrack),
    ("REDIRECT", V4, 0, 0, nat::redirect0),
    ("REDIRECT", V6, 0, 0, nat::redirect1),
    ("REJECT", V4, 0, 0, report::reject4),
    ("REJECT", V6, 0, 0, report::reject6),
    ("SET", Both, 3, 3, set::changed),
    ("SNAT", V4, 0, 0, nat::snat0),
    ("SNAT", Both, 1, 1, nat::snat1),
    ("SNPT", V6, 0, 0, ipv6::npt),
    ("SYNPROXY", Both, 0, 0, transport::synproxy),
    ("TCPMSS", Both, 0, 0, transport::set_tcpmss),
    ("TCPOPTSTRIP", Both, 0, 0, transport::tcpoptstrip),
    ("TEE", Both, 1, 1, address::tee),
    ("TOS", Both, 1, 1, packet::set_tos),
    ("TPROXY", V4, 0, 0, mark::tproxy0),
    ("TPROXY", Both, 1, 1, mark::tproxy1),
    ("TRACE", Both, 0, 0, connection::notrack),
    ("TTL", V4, 0, 0, packet::set_ttl),
];

impl Extensions<'_> {
    /// ` -m name options` or ` -j NAME options`; brackets where the extension, its revision or its content is not known.
    pub(super) fn write(&self, line: &mut Line, is_target: bool, xt: &Xt<'_>) -> Option<()> {
        self.write_part(line, is_target, xt.name, xt.revision, xt.info.unwrap_or_default())
    }

    /// The same for an extension by its name, revision and structure.
    pub(super) fn write_part(
        &self,
        line: &mut Line,
        is_target: bool,
        name: &[u8],
        revision: u32,
        info: &[u8],
    ) -> Option<()> {
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let (rows, option) = if is_target { (TARGETS, "-j") } else { (MATCHES, "-m") };
        let first = rows.partition_point(|row| row.0.as_bytes() < name);
        let family = if self.is_ipv6 { V6 } else { V4 };
        let row = rows[first..]
            .iter()
            .take_while(|row| row.0.as_bytes() == name)
            .find(|row| (row.1 == Both || row.1 == family) && (row.2..=row.3).contains(&revision));
        let is_written = row.is_some_and(|row| {
            line.attempt(|line| {
                write!(line, " {option} {}", connection::alias(row.0, info));
                row.4(self, line, info)
            })
        });
        if !is_written {
            let class = if is_target { "target" } else { "match" };
            line.mark(format_args!("{class} {} revision {revision}", escaped(name)));
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_can_be_searched() {
        for rows in [MATCHES, TARGETS] {
            assert!(rows.is_sorted_by_key(|row| row.0));
        }
    }

    #[test]
    fn no_structure_is_written_from_any_bytes_of_another_length() {
        // 9 is the length of no padded structure
        let surroundings = ();
        for is_ipv6 in [false, true] {
            let extensions = Extensions { is_ipv6, surroundings: &surroundings };
            for (name, _, revision, ..) in
                MATCHES.iter().chain(TARGETS).filter(|row| !["eui64", "NOTRACK", "TRACE"].contains(&row.0))
            {
                let is_target = name.starts_with(char::is_uppercase);
                let xt_bytes = [0xff; 9];
                let mut line = Line::new();
                let mut data = Vec::new();
                crate::decode::nft::attribute::push_attribute(&mut data, 1, name.as_bytes());
                crate::decode::nft::attribute::push_attribute(&mut data, 2, &revision.to_be_bytes());
                crate::decode::nft::attribute::push_attribute(&mut data, 3, &xt_bytes);
                let mut expression = Vec::new();
                let kind: &[u8] = if is_target { b"target" } else { b"match" };
                crate::decode::nft::attribute::push_attribute(&mut expression, 1, kind);
                crate::decode::nft::attribute::push_attribute(&mut expression, 2, &data);
                let decoded = crate::decode::nft::expr::decode_one(&expression).expect("an expression");
                let (crate::decode::nft::expr::Kind::Match(xt) | crate::decode::nft::expr::Kind::Target(xt)) =
                    decoded.kind
                else {
                    panic!("{name} is an xt expression");
                };
                extensions.write(&mut line, is_target, &xt);
                let rendered = line.finish();
                assert!(!rendered.is_exact && rendered.text.contains('['), "{name}: {}", rendered.text);
            }
        }
    }
}
