//! A reset that the tracker did not survive is told as interrupted once the next one runs.

use std::time::Duration;

use netdeed_tests::node::Node;
use netdeed_tests::tracker::{Files, Tracker};
use netdeed_tests::wait;
use netdeed_tracker::journal::Journal;
use netdeed_tracker::journal::open::{OpenOptions, open, open_read_only};
use netdeed_tracker::model::operation::{Operation, OperationKind, OperationState};
use netdeed_tracker::model::owner::Owner;
use netdeed_tracker::model::time::WallTime;

fn operation(journal: &mut dyn Journal, state: OperationState) -> Operation {
    let kind = OperationKind::Reset { owner: Owner::new("kubernetes").expect("an owner") };
    let begun = WallTime::now();
    let id = journal.next_operation();
    Operation { id, kind, requested_by: 0, begun, ended: None, state, planned: 7, outcomes: Vec::new() }
}

#[test]
fn what_never_ended_is_interrupted_and_what_ended_is_left_as_it_is() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let mut journal = open(&OpenOptions::new(&files.journal)).expect("a new journal").store;
    for state in [OperationState::Done, OperationState::Begun] {
        let operation = operation(&mut journal, state);
        journal.put_operation(&operation).expect("recorded");
    }
    drop(journal);

    let program = node.command(env!("CARGO_BIN_EXE_netdeedd"));
    let tracker = Tracker::spawn(&node, &files, "", program).expect("a tracker");
    wait::until("a tracker that records", Duration::from_secs(60), || {
        tracker.log().contains("recording").then_some(())
    })
    .unwrap_or_else(|failure| panic!("{failure}\n{}", tracker.log()));
    assert!(tracker.log().contains("interrupted"), "{}", tracker.log());
    tracker.kill();

    let journal = open_read_only(&files.journal).expect("the journal");
    let operations = journal.operations().expect("operations");
    let states: Vec<&OperationState> = operations.iter().map(|operation| &operation.state).collect();
    assert_eq!(states, [&OperationState::Done, &OperationState::Interrupted]);
    assert!(operations[0].ended.is_none() && operations[1].ended.is_some(), "{operations:?}");
}
