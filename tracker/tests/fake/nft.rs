//! Batches of nf_tables changes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use netdeed_tests::accuracy::Random;
use netdeed_tests::namespace::{in_netns, nft};
use netdeed_tracker::host::{NftAdd, NftBatch, NftCommand, NftDelete, Place};
use netdeed_tracker::model::digest::Digest;
use netdeed_tracker::model::ids::{ChainName, Handle};
use netdeed_tracker::model::live::LiveState;
use netdeed_tracker::model::nft::{Family, NftItem, NftSnapshot, NftSubject, TableRef};
use netdeed_tracker::model::subject::{Snapshot, Subject};

use crate::{compare, live, one, rounds};

/// Chains of each table; the first is a base chain.
const CHAINS: usize = 5;

/// Content by name, rules by their place: handles are the kernel's own business.
fn contents(live: &LiveState) -> Vec<(String, Vec<Digest>)> {
    let mut contents: BTreeMap<String, Vec<Digest>> = BTreeMap::new();
    for (subject, content) in &live.nft {
        let Subject::Nft(NftSubject { table, item }) = subject else { continue };
        let name = match item {
            NftItem::Rule { chain, .. } => format!("{table} rules of {chain}"),
            item => format!("{table} {item:?}"),
        };
        contents.entry(name).or_default().push(content.digest());
    }
    contents.into_iter().collect()
}

/// A rule's words; jumps go to later chains only, the kernel refuses loops.
fn rule(random: &mut Random, chain: usize) -> String {
    let later = chain + 1 + random.below((CHAINS - chain).saturating_sub(1).max(1));
    let jump = if later < CHAINS { format!("jump c{later}") } else { "accept".to_owned() };
    match random.below(10) {
        0 | 1 => format!("tcp dport {} counter {jump}", random.below(4) + 1),
        2 => format!("ip saddr @s{} {jump}", random.below(2)),
        3 if chain == 0 => "tcp dport vmap @m0".to_owned(),
        4 => format!("tcp dport {{ 80, 443 }} {jump}"),
        5 => format!("tcp dport vmap {{ 80 : {jump}, 443 : drop }}"),
        6 => format!("counter name k{}", random.below(2)),
        7 => "counter name tcp dport map @o0".to_owned(),
        _ => jump,
    }
}

fn script(random: &mut Random) -> String {
    let mut script = String::new();
    for table in ["t0", "t1"] {
        writeln!(script, "table ip {table} {{ counter k0 {{ }}; counter k1 {{ }}; chain c0 {{ type filter hook input priority 0; policy accept; }}")
            .expect("memory");
        for chain in 1..CHAINS {
            writeln!(script, "chain c{chain} {{ }}").expect("memory");
        }
        script.push_str(
            "set s0 { type ipv4_addr; elements = { 192.0.2.1, 192.0.2.2 }; }
             set s1 { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 }; }
             map o0 { type inet_service : counter; elements = { 80 : \"k0\" }; }\n",
        );
        let verdict = random.below(CHAINS - 1) + 1;
        writeln!(
            script,
            "map m0 {{ type inet_service : verdict; elements = {{ 80 : jump c{verdict}, 81 : drop }}; }}\n}}"
        )
        .expect("memory");
        for _ in 0..random.below(12) {
            let chain = random.below(CHAINS);
            writeln!(script, "add rule ip {table} c{chain} {}", rule(random, chain)).expect("memory");
        }
    }
    script
}

/// A deletion of something that is there, or may be.
fn deletion(random: &mut Random, live: &LiveState) -> NftDelete {
    let nothing = TableRef { family: Family::Ip, name: "nothing".into() };
    let Some((Subject::Nft(NftSubject { table, item }), content)) = live.nft.get(random.below(live.nft.len())) else {
        return NftDelete::Table { table: nothing };
    };
    let table = table.clone();
    match (item.clone(), content, random.below(8)) {
        (NftItem::Table, _, 0..3) => NftDelete::Table { table },
        (NftItem::Table, _, 3) => NftDelete::Table { table: nothing },
        (NftItem::Table, _, _) => NftDelete::Chain { table, chain: "nothing".into() },
        (NftItem::Chain(chain), _, 0..4) => NftDelete::RulesOf { table, chain },
        (NftItem::Chain(chain), _, _) => NftDelete::Chain { table, chain },
        (NftItem::Rule { chain, .. }, _, 0) => NftDelete::Rule { table, chain, handle: Handle(9_999) },
        (NftItem::Rule { chain, handle }, _, _) => NftDelete::Rule { table, chain, handle },
        (NftItem::Set(set), _, 0..3) => NftDelete::ElementsOf { table, set },
        (NftItem::Set(set), _, _) => NftDelete::Set { table, set },
        (NftItem::Element { set, .. }, Snapshot::Nft(NftSnapshot::Element(element)), _) => {
            NftDelete::Element { table, set, attributes: element.attributes.clone() }
        }
        (NftItem::Object { kind, name }, _, _) => NftDelete::Object { table, kind, name },
        (NftItem::Flowtable(name), _, _) => NftDelete::Flowtable { table, name },
        (NftItem::Element { .. }, _, _) => NftDelete::Table { table: nothing },
    }
}

/// Whether a deletion is of a set without a name, or of what is in one: nobody can ask for that.
fn is_anonymous(live: &LiveState, deletion: &NftDelete) -> bool {
    let (NftDelete::Set { table, set } | NftDelete::ElementsOf { table, set } | NftDelete::Element { table, set, .. }) =
        deletion
    else {
        return false;
    };
    live.nft.iter().any(|(subject, content)| match (subject, content) {
        (
            Subject::Nft(NftSubject { table: its, item: NftItem::Set(name) }),
            Snapshot::Nft(NftSnapshot::Set(content)),
        ) => its == table && name == set && content.is_anonymous(),
        _ => false,
    })
}

/// What was there before and is not now, as additions in an order of no meaning; rules somewhere in their chain.
fn additions(random: &mut Random, before: &LiveState, now: &LiveState) -> Vec<NftAdd> {
    let is_gone = |subject: &Subject| now.nft.iter().all(|(it, _)| it != subject);
    let gone: Vec<_> = before.nft.iter().filter(|(subject, _)| is_gone(subject)).collect();
    let add = |(subject, content): &&(Subject, Snapshot)| {
        let (Subject::Nft(NftSubject { table, item }), Snapshot::Nft(content)) = (subject, content) else {
            return None;
        };
        let table = table.clone();
        Some(match (item.clone(), content.clone()) {
            (NftItem::Table, NftSnapshot::Table(content)) => NftAdd::Table { table, content },
            (NftItem::Chain(chain), NftSnapshot::Chain(content)) => NftAdd::Chain { table, chain, content },
            (NftItem::Set(set), NftSnapshot::Set(content)) if !content.is_anonymous() => {
                NftAdd::Set { table, set, content }
            }
            (NftItem::Object { kind, name }, NftSnapshot::Other(content)) => {
                NftAdd::Object { table, kind, name, content }
            }
            (NftItem::Rule { chain, .. }, NftSnapshot::Rule(content))
                if content.sets.iter().all(|set| !set.as_str().starts_with("__")) =>
            {
                let place = place(random, now, &table, &chain);
                NftAdd::Rule { table, chain, content, place }
            }
            _ => return None,
        })
    };
    gone.iter().filter_map(add).collect()
}

fn place(random: &mut Random, now: &LiveState, table: &TableRef, chain: &ChainName) -> Place {
    let handles = now.nft.iter().filter_map(|(subject, _)| match subject {
        Subject::Nft(NftSubject { table: its, item: NftItem::Rule { chain: of, handle } }) => {
            (its == table && of == chain).then_some(*handle)
        }
        _ => None,
    });
    let mut handles: Vec<Handle> = handles.collect();
    handles.push(Handle(9_999));
    match random.below(3) {
        0 => Place::Last,
        1 => Place::Before(*one(random, &handles)),
        _ => Place::After(*one(random, &handles)),
    }
}

fn commit(what: &str, generation_of: &LiveState, commands: &[NftCommand]) {
    let mut batch = NftBatch::new(generation_of.generation);
    commands.iter().cloned().for_each(|command| batch.push(command));
    let words: Vec<String> = commands.iter().map(|command| format!("{} {command}", command.verb())).collect();
    compare(&format!("{what}: {words:#?}"), &[], contents, |host| host.commit_nft(&batch));
}

#[test]
fn a_ruleset_changes_as_the_kernels() {
    rounds(|seed, random| {
        let script = script(random);
        let mut random = Random::new(seed ^ 0xfa_4e);
        in_netns(move || {
            nft(&script);
            for step in 0..6 {
                let what = format!("seed {seed}, step {step}");
                let before = live(&[]);
                let deletions = (0..=random.below(3)).map(|_| deletion(&mut random, &before));
                let deletions: Vec<NftCommand> =
                    deletions.filter(|deletion| !is_anonymous(&before, deletion)).map(NftCommand::from).collect();
                commit(&what, &before, &deletions);
                let now = live(&[]);
                let added = additions(&mut random, &before, &now);
                // one by one, or all of them or none
                if random.below(2) == 0 {
                    let added: Vec<NftCommand> = added.into_iter().map(NftCommand::from).collect();
                    commit(&what, &now, &added);
                } else {
                    for addition in added {
                        commit(&what, &live(&[]), &[addition.into()]);
                    }
                }
            }
            // made for another ruleset
            let stale = live(&[]);
            nft("add table ip later");
            commit(&format!("seed {seed}, stale"), &stale, &[deletion(&mut random, &stale).into()]);
        });
    });
}
