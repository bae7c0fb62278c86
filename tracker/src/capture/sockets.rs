//! UDP sockets of this network namespace, as /proc lists them.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use crate::model::ids::Tgid;

/// The lists, one for each family.
const LISTS: [&str; 2] = ["/proc/self/net/udp", "/proc/self/net/udp6"];

/// A program that has a UDP port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortHolder {
    /// The process.
    pub tgid: Tgid,
    /// Its task name.
    pub program: String,
}

/// The programs that have a UDP port open. A socket of the kernel's own, as a tunnel's, is no program's, and that of a process
/// in a hidden part of /proc is not found.
///
/// # Errors
/// When the list cannot be read. A family that is switched off has none.
pub fn holders_of_udp_port(port: u16) -> io::Result<Vec<PortHolder>> {
    let mut sockets = BTreeSet::new();
    for list in LISTS {
        match fs::read_to_string(list) {
            Ok(text) => sockets.extend(text.lines().filter_map(|line| socket_on(line, port))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    if sockets.is_empty() {
        return Ok(Vec::new());
    }
    let holder = |process: fs::DirEntry| {
        let tgid = process.file_name().to_str()?.parse().ok().map(Tgid)?;
        let mut descriptors = fs::read_dir(process.path().join("fd")).ok()?.flatten();
        let has_one = descriptors.any(|descriptor| is_one_of(&descriptor.path(), &sockets));
        let program = fs::read_to_string(process.path().join("comm")).ok()?.trim_end().to_owned();
        has_one.then_some(PortHolder { tgid, program })
    };
    let mut holders: Vec<PortHolder> = fs::read_dir("/proc")?.flatten().filter_map(holder).collect();
    holders.sort();
    Ok(holders)
}

/// The inode number of a listed socket, if it has this port: the second field is `ADDRESS:PORT` in hexadecimal digits, the
/// tenth the inode number.
fn socket_on(line: &str, port: u16) -> Option<u64> {
    let mut fields = line.split_whitespace();
    let (_, own) = fields.nth(1)?.rsplit_once(':')?;
    (u16::from_str_radix(own, 16).ok()? == port).then(|| fields.nth(7)?.parse().ok())?
}

fn is_one_of(descriptor: &Path, sockets: &BTreeSet<u64>) -> bool {
    let Ok(target) = fs::read_link(descriptor) else { return false };
    let number = target.to_str().and_then(|target| target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
    number.is_some_and(|number: u64| sockets.contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_found_by_its_own_port_and_anything_else_is_gone_over() {
        let line = " 4181: 00000000:2118 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 13502337 2 000000009bc190cc 0";
        assert_eq!((socket_on(line, 8472), socket_on(line, 4789)), (Some(13_502_337), None));
        let six = "  7: 00000000000000000000000000000000:12B5 00000000000000000000000000000000:2118 07 0:0 0:0 0 0 0 42 2 0 0";
        assert_eq!((socket_on(six, 4789), socket_on(six, 8472)), (Some(42), None));
        for bad in ["", "  sl  local_address rem_address st", "1: x 2", "1: 0:2118", "1: 0:zz 0:0 1 2 3 4 5 6 7"] {
            assert_eq!(socket_on(bad, 8472), None);
        }
    }

    #[test]
    fn this_process_has_the_port_it_binds() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        let port = socket.local_addr().expect("an address").port();
        let holders = holders_of_udp_port(port).expect("a list");
        assert_eq!(holders.iter().map(|it| it.tgid.0).collect::<Vec<_>>(), [std::process::id()]);
    }
}
