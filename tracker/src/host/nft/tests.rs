//! Bytes of batches, and the reading of verdicts.

use netlink_packet_core::NetlinkBuffer;
use proptest::prelude::*;

use super::commit::Verdict;
use super::emit::{FIRST_SEQ, encode};
use super::*;
use crate::host::HostError;
use crate::model::nft::Family;

fn table() -> TableRef {
    TableRef { family: Family::Ip, name: "t".into() }
}

fn batch(deletions: impl IntoIterator<Item = NftDelete>) -> NftBatch {
    let mut batch = NftBatch::new(Generation(0x0102_0304));
    deletions.into_iter().for_each(|deletion| batch.push(deletion));
    batch
}

fn element(last: u8) -> NftDelete {
    // NFTA_SET_ELEM_KEY { NFTA_DATA_VALUE }, NFTA_SET_ELEM_TIMEOUT, NFTA_SET_ELEM_FLAGS
    let attributes = [
        &[12, 0, 1, 0x80, 8, 0, 1, 0, 10, 0, 0, last][..],
        &[12, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 9],
        &[8, 0, 3, 0, 0, 0, 0, 1],
    ];
    NftDelete::Element { table: table(), set: "s".into(), attributes: attributes.concat() }
}

#[test]
#[cfg(target_endian = "little")]
fn a_rule_deletion_is_these_bytes() {
    let rule = NftDelete::Rule { table: table(), chain: "chain".into(), handle: Handle(7) };
    let expected: [&[u8]; 11] = [
        &[28, 0, 0, 0, 16, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0], // NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, seq 1
        &[0, 0, 0, 10],                                      // nfgenmsg: res_id is NFNL_SUBSYS_NFTABLES
        &[8, 0, 1, 0, 1, 2, 3, 4],                           // NFNL_BATCH_GENID, big endian
        &[52, 0, 0, 0, 8, 10, 5, 0, 2, 0, 0, 0, 0, 0, 0, 0], // NFT_MSG_DELRULE, NLM_F_REQUEST | NLM_F_ACK, seq 2
        &[2, 0, 0, 0],                                       // nfgenmsg: NFPROTO_IPV4
        &[6, 0, 1, 0, b't', 0, 0, 0],                        // NFTA_RULE_TABLE, padded
        &[10, 0, 2, 0, b'c', b'h', b'a', b'i', b'n', 0, 0, 0], // NFTA_RULE_CHAIN, padded
        &[12, 0, 3, 0],                                      // NFTA_RULE_HANDLE
        &[0, 0, 0, 0, 0, 0, 0, 7],                           // the handle, big endian
        &[20, 0, 0, 0, 17, 0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0], // NFNL_MSG_BATCH_END, seq 3
        &[0, 0, 0, 10],
    ];
    assert_eq!(encode(&batch([rule])).bytes, expected.concat());
}

#[test]
#[cfg(target_endian = "little")]
fn elements_of_one_set_share_a_message_and_keep_only_what_identifies_them() {
    let encoded = encode(&batch([element(1), element(2)]));
    assert_eq!(encoded.messages.as_slice(), std::slice::from_ref(&(0..2)));
    let list: [&[u8]; 7] = [
        &[52, 0, 3, 0x80],                          // NFTA_SET_ELEM_LIST_ELEMENTS
        &[24, 0, 1, 0x80],                          // NFTA_LIST_ELEM
        &[12, 0, 1, 0x80, 8, 0, 1, 0, 10, 0, 0, 1], // its key
        &[8, 0, 3, 0, 0, 0, 0, 1],                  // its flags
        &[24, 0, 1, 0x80],                          // NFTA_LIST_ELEM
        &[12, 0, 1, 0x80, 8, 0, 1, 0, 10, 0, 0, 2],
        &[8, 0, 3, 0, 0, 0, 0, 1],
    ];
    let list = list.concat();
    assert!(encoded.bytes.windows(list.len()).any(|window| window == list));
}

#[test]
fn messages_are_whole_and_only_the_last_deletion_asks_for_an_answer() {
    let chains = |index: u32| NftDelete::Chain { table: table(), chain: format!("chain-{index}").as_str().into() };
    let objects = [
        NftDelete::Object { table: table(), kind: 1, name: "o".into() },
        NftDelete::Flowtable { table: table(), name: "f".into() },
        NftDelete::Table { table: table() },
    ];
    // more elements than one attribute can hold
    let all = batch((0..9).map(chains).chain((0..3_000).map(|_| element(3))).chain(objects));
    let encoded = encode(&all);
    let (mut rest, mut flags, mut seqs) = (encoded.bytes.as_slice(), Vec::new(), Vec::new());
    while let Ok(message) = NetlinkBuffer::new_checked(rest) {
        flags.push(message.flags());
        seqs.push(message.sequence_number());
        assert_eq!(message.length() % 4, 0);
        rest = &rest[message.length() as usize..];
    }
    assert!(rest.is_empty());
    assert_eq!(seqs.len(), encoded.messages.len() + 2);
    assert!(encoded.messages.len() > 9 + 1 + 3, "the elements are split");
    assert!(seqs.iter().zip(1..).all(|(seq, expected)| *seq == expected));
    let acks: Vec<usize> = (0..flags.len()).filter(|index| flags[*index] & 4 != 0).collect();
    assert_eq!(acks, [flags.len() - 2]);
    let covered: Vec<usize> = encoded.messages.iter().cloned().flatten().collect();
    assert_eq!(covered, (0..all.commands().len()).collect::<Vec<_>>());
}

/// One `NLMSG_ERROR` message with `NETLINK_CAP_ACK`.
fn answer(seq: u32, code: i32) -> Vec<u8> {
    let mut bytes = vec![0; 36];
    let mut header = NetlinkBuffer::new(&mut bytes);
    header.set_length(36);
    header.set_message_type(2);
    header.set_sequence_number(seq);
    bytes[16..20].copy_from_slice(&code.to_ne_bytes());
    bytes
}

fn judge(answers: &[Vec<u8>]) -> Result<(), HostError> {
    let it = batch(["a", "b"].map(|chain| NftDelete::Chain { table: table(), chain: chain.into() }));
    let mut verdict = Verdict::default();
    answers.iter().for_each(|answer| verdict.read(answer, FIRST_SEQ + 1));
    verdict.judge(&it, &encode(&it))
}

#[test]
fn a_verdict_is_only_good_with_the_last_acknowledgement_and_no_error() {
    assert!(judge(&[answer(FIRST_SEQ + 1, 0)]).is_ok());
    assert!(judge(&[]).is_err(), "silence is no success");
    assert!(judge(&[answer(FIRST_SEQ, 0)]).is_err(), "nor is the acknowledgement of another message");
    assert!(matches!(judge(&[answer(1, -85)]), Err(HostError::GenerationConflict { .. })));
    // the last deletion was fine by itself, the batch was not
    let refused = judge(&[[answer(FIRST_SEQ, -libc::EBUSY), answer(FIRST_SEQ + 1, 0)].concat()]);
    let Err(HostError::Io { object, source, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!((object.as_str(), source.raw_os_error()), ("`chain ip t a`", Some(libc::EBUSY)));
    // an error of the batch itself, such as a missing capability
    let refused = judge(&[answer(1, -libc::EPERM)]);
    assert!(matches!(refused, Err(HostError::Io { object, .. }) if object == "nftables batch"));
}

#[test]
fn generation_zero_would_switch_the_comparison_off_and_is_never_sent() {
    let mut it = NftBatch::new(Generation(0));
    it.push(NftDelete::Table { table: table() });
    assert!(matches!(commit(&it), Err(HostError::GenerationConflict { planned: 0 })));
}

proptest! {
    #[test]
    fn no_answer_makes_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), seq: u32) {
        Verdict::default().read(&bytes, seq);
    }

    #[test]
    fn no_element_makes_the_encoder_panic(attributes in proptest::collection::vec(any::<u8>(), 0..200)) {
        encode(&batch([NftDelete::Element { table: table(), set: "s".into(), attributes }]));
    }
}
