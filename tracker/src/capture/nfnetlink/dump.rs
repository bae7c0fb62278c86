//! Consistent dumps of the ruleset.

use netlink_packet_core::NetlinkBuffer;
use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, GenMessage, NfTablesMessage, RuleAttribute, RuleMessage, SetElementList,
    SetElementMessage, SetMessage, TableMessage,
};

use super::request::{Answer, Asker};
use crate::capture::CaptureError;
use crate::decode::nft::{self, DecodeReport, Undecoded};
use crate::model::ids::{ChainName, Generation, SetName};
use crate::model::nft::{NftItem, NftSubject, TableRef};
use crate::model::observation::Observation;
use crate::model::subject::{Snapshot, Subject};

/// A busy node commits a few times per second and a dump takes a fraction of one.
const ATTEMPTS: u32 = 20;
/// `NFPROTO_UNSPEC`: all families.
const ALL_FAMILIES: u8 = 0;

/// The whole ruleset of one network namespace at one generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NftDump {
    /// Number of the ruleset dumped.
    pub generation: Generation,
    /// Tables, then chains, sets, elements (those of anonymous sets included), stateful objects, flowtables, rules; rules
    /// in the order of their chain.
    pub objects: Vec<(Subject, Snapshot)>,
    /// Messages that were not understood: objects that exist but are not in `objects`.
    pub undecoded: Vec<Undecoded>,
}

/// Dumps the ruleset of the calling thread's network namespace.
///
/// # Errors
/// [`CaptureError::Unstable`] when every attempt met a commit; [`CaptureError::Io`] and [`CaptureError::Refused`] when
/// the kernel does not answer or answers with an error.
pub fn dump() -> Result<NftDump, CaptureError> {
    let mut asker = Asker::open()?;
    for _ in 0..ATTEMPTS {
        let before = ask_generation(&mut asker)?;
        let mut collector = Collector::default();
        if dump_everything(&mut asker, &mut collector)? == Answer::Whole && ask_generation(&mut asker)? == before {
            let Collector { objects, report, .. } = collector;
            return Ok(NftDump { generation: before, objects, undecoded: report.undecoded });
        }
    }
    Err(CaptureError::Unstable { object: "nf_tables ruleset", attempts: ATTEMPTS })
}

/// Dumps the rules of one chain in their order.
///
/// # Errors
/// [`CaptureError::Refused`] with `ENOENT` when there is no such chain, else as [`dump`]. A rule that is not understood
/// is an error too (`InvalidData`), as the list would have a hole.
pub fn dump_chain(table: &TableRef, chain: &ChainName) -> Result<Vec<(Subject, Snapshot)>, CaptureError> {
    let mut asker = Asker::open()?;
    let family = table.family.nfproto();
    let (table, chain) = (table.name.as_str(), chain.as_str());
    for _ in 0..ATTEMPTS {
        let names = vec![ChainAttribute::Table(table.to_owned()), ChainAttribute::Name(chain.to_owned())];
        let question = NfTablesMessage::GetChain(ChainMessage { attributes: names });
        asker.ask("list the chain", family, question, &mut |_| {})?;
        let names = vec![RuleAttribute::Table(table.to_owned()), RuleAttribute::Chain(chain.to_owned())];
        let question = NfTablesMessage::GetRule(RuleMessage { attributes: names });
        let mut collector = Collector::default();
        let answer = asker.dump("list the chain's rules", family, question, &mut |message| collector.add(message))?;
        if !collector.report.undecoded.is_empty() {
            let source = std::io::ErrorKind::InvalidData.into();
            return Err(CaptureError::Io { operation: "decode the rules", object: format!("chain `{chain}`"), source });
        }
        if answer == Answer::Whole {
            return Ok(collector.objects);
        }
    }
    Err(CaptureError::Unstable { object: "nf_tables chain", attempts: ATTEMPTS })
}

/// Number of the ruleset now in force in the calling thread's network namespace.
///
/// # Errors
/// [`CaptureError::Io`] and [`CaptureError::Refused`] when the kernel does not answer or answers with an error.
pub fn generation() -> Result<Generation, CaptureError> {
    ask_generation(&mut Asker::open()?)
}

fn ask_generation(asker: &mut Asker) -> Result<Generation, CaptureError> {
    let mut collector = Collector::default();
    let question = NfTablesMessage::GetGen(GenMessage { attributes: Vec::new() });
    asker.ask("tell its generation", ALL_FAMILIES, question, &mut |message| collector.add(message))?;
    collector.generation.ok_or_else(|| CaptureError::Io {
        operation: "read the generation",
        object: "nf_tables ruleset".to_owned(),
        source: std::io::ErrorKind::InvalidData.into(),
    })
}

fn dump_everything(asker: &mut Asker, collector: &mut Collector) -> Result<Answer, CaptureError> {
    let questions = [
        ("list tables", NfTablesMessage::GetTable(TableMessage { attributes: Vec::new() })),
        ("list chains", NfTablesMessage::GetChain(ChainMessage { attributes: Vec::new() })),
        ("list sets", NfTablesMessage::GetSet(SetMessage { attributes: Vec::new() })),
    ];
    for (operation, question) in questions {
        if asker.dump(operation, ALL_FAMILIES, question, &mut |message| collector.add(message))? != Answer::Whole {
            return Ok(Answer::Interrupted);
        }
    }
    for (table, set) in collector.sets() {
        if dump_elements(asker, &table, &set, collector)? != Answer::Whole {
            return Ok(Answer::Interrupted);
        }
    }
    let questions = [
        ("list stateful objects", NfTablesMessage::GetObject(Vec::new())),
        ("list flowtables", NfTablesMessage::GetFlowTable(Vec::new())),
        ("list rules", NfTablesMessage::GetRule(RuleMessage { attributes: Vec::new() })),
    ];
    for (operation, question) in questions {
        if asker.dump(operation, ALL_FAMILIES, question, &mut |message| collector.add(message))? != Answer::Whole {
            return Ok(Answer::Interrupted);
        }
    }
    Ok(Answer::Whole)
}

fn dump_elements(
    asker: &mut Asker,
    table: &TableRef,
    set: &SetName,
    collector: &mut Collector,
) -> Result<Answer, CaptureError> {
    let attributes =
        vec![SetElementList::Table(table.name.as_str().to_owned()), SetElementList::Set(set.as_str().to_owned())];
    let question = NfTablesMessage::GetSetElement(SetElementMessage { attributes });
    let family = table.family.nfproto();
    match asker.dump("list set elements", family, question, &mut |message| collector.add(message)) {
        // the set went away since the sets were listed
        Err(CaptureError::Refused { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(Answer::Interrupted)
        }
        other => other,
    }
}

/// Takes the answers of dumps, which have the form of notifications.
#[derive(Default)]
struct Collector {
    objects: Vec<(Subject, Snapshot)>,
    generation: Option<Generation>,
    report: DecodeReport,
    scratch: Vec<Observation>,
}

impl Collector {
    fn add(&mut self, message: &NetlinkBuffer<&[u8]>) {
        nft::decode_one(message, &mut self.scratch, &mut self.report);
        for observation in self.scratch.drain(..) {
            match observation {
                Observation::Nft { subject, after: Some(snapshot) } => self.objects.push((subject, snapshot)),
                Observation::NftCommitted { generation, .. } => self.generation = Some(generation),
                _ => {}
            }
        }
    }

    fn sets(&self) -> Vec<(TableRef, SetName)> {
        let set_of = |(subject, _): &(Subject, Snapshot)| match subject {
            Subject::Nft(NftSubject { table, item: NftItem::Set(set) }) => Some((table.clone(), set.clone())),
            _ => None,
        };
        self.objects.iter().filter_map(set_of).collect()
    }
}
