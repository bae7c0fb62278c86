//! What two nodes have in common when the same happened on both: no chosen numbers, no order without a meaning.

/// A ruleset in the syntax of `iptables-save`: tables and chains by name, the rules of a chain in their order.
pub(super) fn xtables(text: &str) -> String {
    let text = &container_ids(text);
    let mut tables: Vec<String> = Vec::new();
    for table in text.split_inclusive("COMMIT\n") {
        let mut lines: Vec<&str> = table.lines().collect();
        // stable: only whole chains change their place
        lines.sort_by_key(|line| match line.split(' ').next() {
            Some("-A") => (2, line.split(' ').nth(1).unwrap_or_default()),
            Some("COMMIT") => (3, ""),
            Some(head) if head.starts_with('*') => (0, head),
            _ => (1, *line),
        });
        tables.push(lines.join("\n"));
    }
    tables.sort();
    tables.join("\n")
}

/// Words of 64 hexadecimal digits, which are the random ids of containers, as one.
fn container_ids(text: &str) -> String {
    let is_id = |word: &str| word.len() == 64 && word.chars().all(|c| c.is_ascii_hexdigit());
    let pieces = text.split_inclusive(|c: char| !c.is_ascii_hexdigit());
    pieces
        .map(|piece| {
            let word = piece.trim_end_matches(|c: char| !c.is_ascii_hexdigit());
            if is_id(word) { format!("ID{}", &piece[word.len()..]) } else { piece.to_owned() }
        })
        .collect()
}

/// A ruleset as `nft list ruleset` prints it: tables, chains and sets by name, the rules of a chain in their order.
pub(super) fn nft(text: &str) -> String {
    let text = &container_ids(text);
    let mut tables: Vec<(String, Vec<String>)> = Vec::new();
    let mut block = String::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        match (line.chars().take_while(|c| *c == '\t').count(), tables.last_mut()) {
            (0, _) if line.starts_with("table ") => tables.push((line.to_owned(), Vec::new())),
            (0, _) => {}
            (_, Some((_, blocks))) => {
                block.push_str(line);
                block.push('\n');
                if line == "\t}" {
                    blocks.push(std::mem::take(&mut block));
                }
            }
            (_, None) => {}
        }
    }
    tables.iter_mut().for_each(|(_, blocks)| blocks.sort());
    tables.sort();
    tables.into_iter().map(|(head, blocks)| format!("{head}\n{}}}\n", blocks.concat())).collect()
}

/// A listing of links, addresses or routes without hardware addresses, link-local addresses and the random names and
/// numbers that programs and the kernel choose.
pub(super) fn links(text: &str) -> String {
    let lines = text.lines().map(|line| line.split_whitespace().map(word).collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

/// Lines without their order.
pub(super) fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// A listing of sysctls without those of links with random names.
pub(super) fn sysctls(text: &str) -> String {
    let is_random = |line: &&str| {
        line.split('.').any(|part| part.strip_prefix("veth").is_some_and(|id| u64::from_str_radix(id, 16).is_ok()))
    };
    text.lines().filter(|line| !is_random(line)).collect::<Vec<_>>().join("\n")
}

fn word(word: &str) -> String {
    let is_hex = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_hexdigit());
    let is_mac = |text: &str| text.split(':').count() == 6 && text.split(':').all(is_hex);
    let (name, after) = word.split_at(word.find(['@', ':']).filter(|_| word.starts_with("veth")).unwrap_or(word.len()));
    if name.strip_prefix("veth").is_some_and(is_hex) {
        return format!("vethN{}", if after.ends_with(':') { ":" } else { "" });
    }
    // `8000.2:42:ac:11:0:2`, as bridges print their ports and themselves
    let is_bridge_id = word.split_once('.').is_some_and(|(rank, id)| is_hex(rank) && is_mac(id));
    match word {
        _ if is_mac(word) || is_bridge_id => "MAC".to_owned(),
        // podman names the network namespaces of its containers by chance
        _ if word.strip_prefix("netns-").is_some_and(|id| id.len() == 36) => "netns-ID".to_owned(),
        _ if word.starts_with("fe80:") => "LINK-LOCAL".to_owned(),
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_have_no_order_and_rules_have() {
        let one = "*nat\n:A -\n:B -\n-A B -j x\n-A A -j y\n-A B -j z\nCOMMIT\n*filter\nCOMMIT\n";
        let two = "*filter\nCOMMIT\n*nat\n:B -\n:A -\n-A A -j y\n-A B -j x\n-A B -j z\nCOMMIT\n";
        assert_eq!(xtables(one), xtables(two));
        let three = two.replace("-A B -j x\n-A B -j z", "-A B -j z\n-A B -j x");
        assert_ne!(xtables(one), xtables(&three));

        let one = "table ip a {\n\tchain x {\n\t\tr1\n\t\tr2\n\t}\n\n\tchain y {\n\t}\n}\ntable ip b {\n}\n";
        let two =
            "table ip b {\n}\n# a warning\ntable ip a {\n\tchain y {\n\t}\n\n\tchain x {\n\t\tr1\n\t\tr2\n\t}\n}\n";
        assert_eq!(nft(one), nft(two));
        assert_ne!(nft(one), nft(&two.replace("r1\n\t\tr2", "r2\n\t\tr1")));
        assert_ne!(nft(one), nft(&two.replace("table ip b {\n}\n", "")));
    }

    #[test]
    fn chosen_numbers_are_left_out_and_names_are_not() {
        let one = "5: veth12ab@if2: <UP>\n    link/ether 02:42:ac:11:00:02 bridge_id 8000.2:42:ac:11:0:2";
        assert_eq!(links(one), "5: vethN: <UP>\nlink/ether MAC bridge_id MAC");
        assert_eq!(links("inet 10.0.0.1/24 dev vethweb fe80::1/64"), "inet 10.0.0.1/24 dev vethweb LINK-LOCAL");
    }
}
