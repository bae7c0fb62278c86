//! Our lines against those of ebtables-legacy 2.0.11, for tables that it wrote (`--atomic-file`): what it would have handed
//! to the kernel. Beside each lies what it lists of it.

use netdeed_tracker::decode::legacy::{bridge, content, replacement};
use netdeed_tracker::model::legacy::{ChainContent, LegacyContent, LegacyFamily, LegacyPolicy, LegacyTable};
use netdeed_tracker::render::iptables_legacy;

const TABLES: [(&str, &[u8], &str); 3] = [
    ("filter", include_bytes!("bridge/filter"), include_str!("bridge/filter.listed")),
    ("nat", include_bytes!("bridge/nat"), include_str!("bridge/nat.listed")),
    ("broute", include_bytes!("bridge/broute"), include_str!("bridge/broute.listed")),
];

/// A table as `ebtables-legacy -L` lists it, but with each rule's chain before it.
fn listed(table: &LegacyContent) -> Vec<String> {
    let mut lines = Vec::new();
    for ChainContent { name, policy, ending, rules } in &table.chains {
        let policy = policy.or(*ending).map_or("", LegacyPolicy::as_str);
        lines.push(format!("Bridge chain: {name}, entries: {}, policy: {policy}", rules.len()));
        for rule in rules {
            let line = iptables_legacy(LegacyFamily::Bridge, name.as_str(), rule, &());
            assert!(line.is_exact, "{line:?}");
            lines.push(line.text);
        }
    }
    lines
}

/// What the tool listed, in the same form.
fn expected(text: &str) -> Vec<String> {
    let mut chain = "";
    let mut lines = Vec::new();
    for line in text.lines().skip(1).filter(|line| !line.is_empty()) {
        match line.strip_prefix("Bridge chain: ").and_then(|rest| rest.split_once(',')) {
            Some((name, _)) => {
                chain = name;
                lines.push(line.to_owned());
            }
            None => lines.push(format!("-A {chain} {}", line.trim_end())),
        }
    }
    lines
}

#[test]
fn lines_of_bridge_tables_are_those_of_ebtables_legacy() {
    let mut rules = 0;
    for (name, bytes, text) in TABLES {
        let table = replacement(LegacyFamily::Bridge, bytes).expect("a table");
        assert_eq!(table.table.name.as_str(), name);
        assert_eq!(listed(&table), expected(text), "{name}");
        rules += table.chains.iter().map(|chain| chain.rules.len()).sum::<usize>();
    }
    assert!(rules >= 50, "{rules}");
}

#[test]
fn a_table_that_is_read_is_the_one_that_was_handed_in() {
    for (name, bytes, _) in TABLES {
        let table = LegacyTable { family: LegacyFamily::Bridge, name: name.into() };
        let given = replacement(LegacyFamily::Bridge, bytes).expect("a table");
        let (head, entries) = bytes.split_at(bridge::REPLACEMENT_BYTES);
        let info = bridge::info(head).expect("a description");
        let mut entries = entries[..info.size as usize].to_vec();
        // what the tool's memory held behind a name, the kernel hands out as it came
        let parsed = bridge::parse(&info, &entries).expect("a table");
        for rule in parsed.chains.iter().flat_map(|chain| &chain.rules) {
            assert_eq!(entries[rule.start + 98..rule.start + 100].len(), 2);
            entries[rule.start + 98] ^= 0xff;
        }
        assert_eq!(content(table, &parsed, &entries).expect("a table").digest(), given.digest(), "{name}");
        assert!(bridge::parse(&info, &entries[..entries.len() - 8]).is_err());
        let mut other = info.clone();
        other.valid_hooks |= 1 << 5 | 1;
        assert!(name == "broute" || bridge::parse(&other, &entries).is_err(), "built-in chains are missing");
    }
}
