//! How fast an append is; the figures are printed, the bounds only catch what got worse by an order of magnitude.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::journal::backend::Backend;
use crate::journal::memory::MemoryBackend;
use crate::journal::sled::{SledBackend, SledOptions};
use crate::journal::testing::{created, removed, rule_subject, scope};
use crate::journal::{Journal, JournalLimits, ObjectFilter, Read, Store, verify};
use crate::model::ids::ObjectId;
use crate::model::time::WallTime;

const CHANGES: u64 = 30_000;

#[test]
fn thirty_thousand_changes_go_in_at_once() {
    let dir = tempfile::tempdir().expect("directory");
    let sled = SledBackend::open(&dir.path().join("db"), SledOptions::default()).expect("sled");
    let backends: [(&str, Arc<dyn Backend>); 2] =
        [("memory", Arc::<MemoryBackend>::default()), ("sled", Arc::new(sled))];
    for (name, backend) in backends {
        let mut store = Store::new(backend.clone(), JournalLimits::default()).expect("empty journal");
        store.begin(scope(1, 1), WallTime(1)).expect("begin");
        for round in 0..3 {
            let changes = (1..=CHANGES).map(|n| created(round * CHANGES + n, round * CHANGES + n)).collect();
            let start = Instant::now();
            store.append(changes).expect("append");
            report(name, "creations appended", CHANGES, start);
        }
        let start = Instant::now();
        store.flush().expect("flush");
        println!("{name}: flush took {:?}", start.elapsed());
        let start = Instant::now();
        store.append((1..=CHANGES).map(|n| removed(n, n, 5)).collect()).expect("append");
        report(name, "removals appended", CHANGES, start);
        let start = Instant::now();
        for n in CHANGES + 1..=2 * CHANGES {
            let object = store.live(&scope(1, 1), &rule_subject(n)).expect("read").expect("lives");
            assert_eq!(object.id, ObjectId(n));
        }
        report(name, "live() answered", CHANGES, start);
        let (start, mut seen) = (Instant::now(), 0);
        store
            .visit(&ObjectFilter::default(), &mut |_| {
                seen += 1;
                ControlFlow::Continue(())
            })
            .expect("visit");
        assert_eq!(seen, 2 * CHANGES);
        report(name, "objects visited", seen, start);
        let start = Instant::now();
        assert_eq!(verify(&*backend).expect("whole").entries, 4 * CHANGES + 1);
        report(name, "entries verified", 4 * CHANGES, start);
        println!("{name}: {} bytes on disk", store.stats().expect("stats").bytes_on_disk);
        drop(store);
        let start = Instant::now();
        let store = Store::new(backend, JournalLimits::default()).expect("open again");
        report(name, "objects loaded", 3 * CHANGES, start);
        assert_eq!(store.stats().expect("stats").live_objects, 2 * CHANGES);
    }
}

fn report(backend: &str, what: &str, count: u64, start: Instant) {
    let elapsed = start.elapsed();
    println!("{backend}: {count} {what} in {elapsed:?}, {:.0} per second", count as f64 / elapsed.as_secs_f64());
    assert!(elapsed < Duration::from_secs(60), "{what} took {elapsed:?}");
}
